"""What an uploaded playlist lists: the objects that viewers may ask for while it stands (RFC 8216 section 4)."""

import re
from dataclasses import dataclass
from posixpath import normpath
from urllib.parse import unquote, urlsplit

from origin.errors import BadMedia

LARGEST_LIST = 2 * 2**20
"""The most bytes of a playlist or an MPD. An EVENT playlist of a day, 4 s segments, has 1 MiB."""

_URI = re.compile(r'URI="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Template:
    """Objects that an MPD lists without naming each: those whose path fits, and whose number or time or age does."""

    pattern: re.Pattern[str]
    first: int | None = None
    """The lowest number or time of the timeline, which group 1 of the pattern is; None: there is none, age decides."""
    last: int | None = None
    """The highest; None: the timeline has no end."""
    depth: float | None = None
    """Seconds after which an object is no longer listed, where age decides; None: it is listed for good."""

    def lists(self, path: str, age: float) -> bool:
        match = self.pattern.fullmatch(path)
        if match is None:
            return False
        if self.first is None:
            return self.depth is None or age <= self.depth
        number = int(match[1])
        return number >= self.first and (self.last is None or number <= self.last)


EVERYTHING = Template(re.compile(".*"))


@dataclass(frozen=True, slots=True)
class Listing:
    """What one playlist or MPD says of other objects."""

    paths: frozenset[str] = frozenset()
    """Paths inside the stream that it names."""
    promised: frozenset[str] = frozenset()
    """Those that must be there once it is: a preload hint may come later."""
    templates: tuple[Template, ...] = ()
    duration: float = 0.0
    """Seconds of media that it lists."""
    target: float = 0.0
    """Seconds that a segment lasts at most; 0: it does not say."""
    ended: bool = False
    """Nothing more will come."""

    def lists(self, path: str, age: float) -> bool:
        """Whether a viewer who has it may ask for the object at `path`, which was stored `age` seconds ago."""
        return path in self.paths or any(template.lists(path, age) for template in self.templates)

    def promises(self, path: str) -> bool:
        """Whether the object at `path` must be there before this is."""
        return path in self.promised or any(
            template.first is not None and template.lists(path, 0.0) for template in self.templates
        )


def resolve(stream: str, base: str, reference: str) -> set[str]:
    """The paths inside the stream that a reference from the object at `base` may mean; none: it leads elsewhere.

    An absolute reference leads to wherever viewers read: `https://edge/live/v0/live0.ts`, or another prefix that we do
    not know. Then it is taken to mean the object of this name that is in the folder of the playlist, too.
    """
    try:
        parts = urlsplit(reference)
    except ValueError:
        return set()
    path = unquote(parts.path)
    folder = base.rpartition("/")[0]
    if not parts.scheme and not parts.netloc and not path.startswith("/"):
        found = normpath(f"{folder}/{path}" if folder else path)
        return set() if found.startswith("..") or found == "." else {found}
    name = path.rpartition("/")[2]
    _, marker, inside = path.partition(f"/{stream}/")
    return {one for one in (inside if marker else "", f"{folder}/{name}" if folder else name) if one and name}


def read_playlist(stream: str, path: str, data: bytes) -> Listing:
    """What an HLS playlist lists. `BadMedia`: it is none."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise BadMedia(f"byte {error.start}", "bytes that are no UTF-8", "a playlist (RFC 8216 section 4)") from None
    lines = text.splitlines()
    if not lines or lines[0].rstrip() != "#EXTM3U":
        first = lines[0][:40] if lines else ""
        raise BadMedia("line 1", repr(first), "#EXTM3U (RFC 8216 section 4.3.1.1)")
    paths: set[str] = set()
    hinted: set[str] = set()
    duration = target = 0.0
    ended = False
    for line in map(str.strip, lines):
        if line.startswith("#EXTINF:"):
            duration += _number(line[8:].partition(",")[0])
        elif line.startswith("#EXT-X-TARGETDURATION:"):
            target = _number(line.partition(":")[2])
        elif line == "#EXT-X-ENDLIST":
            ended = True
        elif line.startswith("#EXT"):
            names = hinted if line.startswith("#EXT-X-PRELOAD-HINT") else paths
            for reference in _URI.findall(line):
                names |= resolve(stream, path, reference)
        elif line and not line.startswith("#"):
            paths |= resolve(stream, path, line)
    promised = frozenset(paths)
    return Listing(promised | hinted, promised, duration=duration, target=target, ended=ended)


def _number(text: str) -> float:
    """A decimal number; 0 where it is none: the playlist is served as it came, and this is only for its lifetime."""
    match = re.fullmatch(r"\d{1,9}(\.\d{0,12})?", text.strip())
    return float(match[0]) if match else 0.0
