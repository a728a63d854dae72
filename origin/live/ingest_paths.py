"""Which track an ingest request is for: the paths of DASH-IF live media ingest, interface 1.

| path below `/ingest/{stream}/`                                   | track                                          |
|------------------------------------------------------------------|------------------------------------------------|
| `{track}.cmfv`, `.cmfa`, `.cmft`, `.mp4`                         | `{track}`                                      |
| `Streams({track}.cmfv)` (deprecated since 1.1)                   | `{track}`                                      |
| `{track}/{anything}.cmfv`, `.cmfa .cmft .m4s .mp4 .init .header` | `{track}`                                      |
| a name made by the MPD that was posted first                     | the `id` of its Representation                 |
| `{anything}.mpd`                                                 | none: it is that MPD                           |

An MPD of interface 1 has `@availabilityStartTime` 1970-01-01T00:00:00Z (which tells it from a presentation for
players), one Period, no BaseURL, and a SegmentTemplate whose `@media` and `@initialization` are the same in all
adaptation sets: `$RepresentationID$`, and in `@media` one of `$Number$` and `$Time$`. It is read for names and nothing
else: what the tracks are, their init sections say.
"""

import re
from dataclasses import dataclass, field
from xml.parsers.expat import ExpatError, ParserCreate

from origin.errors import BadMedia, printable
from origin.media.tracks import Kind

LARGEST_MPD = 2**18
"""Bytes. One of 64 Representations has about twenty thousand."""
MOST_ELEMENTS = 4096
MOST_DEPTH = 16
MOST_NAMES = 64

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""What a stream or a track may be called: a part of URLs and of file names."""

_KINDS = {"cmfv": Kind.VIDEO, "cmfa": Kind.AUDIO, "cmft": Kind.TEXT, "mp4": None}
_INNER = re.compile(r"([^/]+)/[^/]{1,200}\.(cmfv|cmfa|cmft|m4s|mp4|init|header)")
_STREAMS = re.compile(r"Streams\((.+)\)")
_VARIABLE = re.compile(r"\$(RepresentationID|Number|Time|Bandwidth|)(?:%0(\d{1,2})d)?\$")


@dataclass(slots=True)
class Place:
    """What a path is for."""

    track: str
    kind: Kind | None
    """What its extension promises."""


def place_of(path: str, names: "Names | None") -> Place:
    """The track of a path below `/ingest/{stream}/`. `BadMedia`: it names none."""
    if names is not None and (track := names.track_of(path)) is not None:
        return Place(track, _KINDS.get(path.rpartition(".")[2]))
    if (match := _INNER.fullmatch(path)) is not None:
        return Place(_checked(match[1], path), _KINDS.get(match[2]))
    if (match := _STREAMS.fullmatch(path)) is not None:
        path = match[1]
    track, _, extension = path.rpartition(".")
    name = _checked(track, path)
    if extension not in _KINDS:
        raise BadMedia(name, f".{printable(extension, 30)}", ".cmfv (video), .cmfa (audio), .cmft (text) or .mp4")
    return Place(name, _KINDS[extension])


def _checked(track: str, path: str) -> str:
    if not NAME.fullmatch(track):
        wanted = "letters, digits, - and _ (64 at most, a letter or digit first)"
        raise BadMedia(printable(path), "a name that cannot be used", wanted)
    return track


@dataclass(slots=True)
class Names:
    """The names that an MPD gives to the requests of its tracks."""

    patterns: list[tuple[re.Pattern[str], str]] = field(default_factory=list)
    """Of each track, its requests' paths."""

    def track_of(self, path: str) -> str | None:
        return next((track for pattern, track in self.patterns if pattern.fullmatch(path)), None)

    def to_json(self) -> list[tuple[str, str]]:
        return [(pattern.pattern, track) for pattern, track in self.patterns]

    @classmethod
    def from_json(cls, values: list[tuple[str, str]]) -> "Names":
        """The names as they were saved. TypeError or ValueError: they were not saved by `to_json`."""
        try:
            return cls([(re.compile(pattern), track) for pattern, track in values])
        except re.error as error:
            raise ValueError(str(error)) from None


def read_names(mpd: bytes) -> Names | None:
    """The names that this MPD gives; None: it is no MPD of interface 1, and gives none. `BadMedia`: it is no MPD."""
    reader = _Reader()
    reader.read(mpd)
    if not reader.is_from_epoch or reader.periods != 1 or reader.has_base or len(reader.templates) != 1:
        return None
    ((media, initialization),) = reader.templates
    if "$RepresentationID$" not in media or "$RepresentationID$" not in initialization:
        return None
    if ("$Number" in media) == ("$Time" in media):
        return None
    names = Names()
    for track, bandwidth in reader.representations:
        if not NAME.fullmatch(track):
            return None
        either = "|".join(_pattern(one, track, bandwidth) for one in (media, initialization))
        names.patterns.append((re.compile(either), track))
    return names if names.patterns else None


def _pattern(template: str, track: str, bandwidth: str) -> str:
    """A template as a regular expression (ISO/IEC 23009-1 5.3.9.4.4)."""
    pattern, at = "", 0
    for match in _VARIABLE.finditer(template):
        pattern += re.escape(template[at : match.start()])
        values = {"RepresentationID": track, "Bandwidth": bandwidth, "": "$"}
        pattern += re.escape(values[match[1]]) if match[1] in values else r"\d{1,20}"
        at = match.end()
    return pattern + re.escape(template[at:])


class _Reader:
    """Reads an MPD element by element: no tree, no entities, no more than the bounds above."""

    def __init__(self) -> None:
        self.is_from_epoch = False
        self.periods = 0
        self.has_base = False
        self.templates: set[tuple[str, str]] = set()
        self.representations: list[tuple[str, str]] = []
        self._elements = 0
        self._depth = 0

    def read(self, data: bytes) -> None:
        parser = ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = self._doctype
        try:
            parser.Parse(data, True)
        except (ExpatError, ValueError, LookupError) as error:
            raise BadMedia("MPD", f"no XML ({printable(str(error), 80)})", "an MPD (ISO/IEC 23009-1)") from None

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(" ")[2]
        if not self._elements and name != "MPD":
            raise BadMedia("MPD", f"the element {printable(name, 30)}", "MPD")
        self._elements += 1
        self._depth += 1
        if self._elements > MOST_ELEMENTS or self._depth > MOST_DEPTH:
            raise BadMedia(
                "MPD",
                f"{self._elements} elements, {self._depth} deep",
                f"at most {MOST_ELEMENTS} elements, {MOST_DEPTH} deep",
            )
        match name:
            case "MPD":
                began = attributes.get("availabilityStartTime", "")
                self.is_from_epoch = began.startswith("1970-01-01T00:00:00")
            case "Period":
                self.periods += 1
            case "BaseURL":
                self.has_base = True
            case "SegmentTemplate":
                self.templates.add((attributes.get("media", ""), attributes.get("initialization", "")))
            case "Representation":
                self.representations.append((attributes.get("id", ""), attributes.get("bandwidth", "")))
                if len(self.representations) > MOST_NAMES:
                    raise BadMedia("MPD", "more Representations", f"at most {MOST_NAMES}")

    def _end(self, tag: str) -> None:
        self._depth -= 1

    def _doctype(self, *_: object) -> None:
        raise BadMedia("MPD", "a document type declaration", "none: an MPD has no entities")
