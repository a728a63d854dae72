"""What must hold for a media playlist at every poll, and from one poll to the next (RFC 8216 4.3.3, 6.2)."""

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

from origin.media.fragments import Fragment, FragmentReader
from origin.media.tracks import InitSection, Track


@dataclass
class Listed:
    """One segment as a playlist lists it."""

    number: int
    discontinuity: int
    uri: str
    duration: float
    at: float
    init: str
    gap: bool


@dataclass
class Playlist:
    target: int
    number: int
    segments: list[Listed]
    ended: bool


def read_playlist(text: str) -> Playlist:
    """A media playlist's text as values; AssertionError for what a player could not read."""
    lines = text.splitlines()
    assert lines[0] == "#EXTM3U"
    head = dict(line.split(":", 1) for line in lines if re.match(r"#EXT-X-(VERSION|TARGETDURATION|.*SEQUENCE):", line))
    assert int(head["#EXT-X-VERSION"]) >= 6  # EXT-X-MAP outside I-frame playlists
    assert "#EXT-X-INDEPENDENT-SEGMENTS" in lines
    number, discontinuity = int(head["#EXT-X-MEDIA-SEQUENCE"]), int(head["#EXT-X-DISCONTINUITY-SEQUENCE"])
    playlist = Playlist(int(head["#EXT-X-TARGETDURATION"]), number, [], lines[-1] == "#EXT-X-ENDLIST")
    init, duration, at, gap = "", 0.0, 0.0, False
    for line in lines:
        if line.startswith("#EXT-X-MAP:"):
            init = line.split('"')[1]
        elif line == "#EXT-X-DISCONTINUITY":
            discontinuity += 1
        elif line == "#EXT-X-GAP":
            gap = True
        elif line.startswith("#EXTINF:"):
            duration = float(line.removeprefix("#EXTINF:").rstrip(","))
        elif line.startswith("#EXT-X-PROGRAM-DATE-TIME:"):
            at = datetime.fromisoformat(line.split(":", 1)[1]).timestamp()
        elif line and not line.startswith("#"):
            playlist.segments.append(Listed(number, discontinuity, line, duration, at, init, gap))
            number, duration, at, gap = number + 1, 0.0, 0.0, False
    return playlist


@dataclass
class Watch:
    """One track's playlist through all its polls; `fetch` gets a URI relative to it."""

    fetch: Callable[[str], bytes]
    seen: dict[int, Listed] = field(default_factory=dict)
    starts: dict[int, Fraction] = field(default_factory=dict)
    """Decode time of each segment's first sample, seconds, by number."""
    last: Playlist | None = None
    _inits: dict[str, Track] = field(default_factory=dict)
    _ends: dict[int, Fraction] = field(default_factory=dict)

    def check(self, text: str) -> Playlist:
        playlist = read_playlist(text)
        assert playlist.segments, "a playlist is served once it has a segment"
        if self.last is not None:
            assert playlist.target == self.last.target, "EXT-X-TARGETDURATION must not change"
            assert playlist.number >= self.last.number, "the media sequence number went back"
            lasted = max(self.seen)
            assert playlist.segments[-1].number >= lasted, "a segment was taken off the end"
        for one in playlist.segments:
            assert not re.match(r"[a-z]+:|/", one.uri), "URIs are relative"
            assert round(one.duration) <= playlist.target
            if one.number in self.seen:
                assert one == self.seen[one.number], "what was listed has changed"
            elif not one.gap:
                self._fetch(one)
        for before, after in zip(playlist.segments, playlist.segments[1:], strict=False):
            if before.discontinuity == after.discontinuity and not (before.gap or after.gap):
                assert abs(before.at + before.duration - after.at) < 0.002, "program date-time is continuous"
                assert self._ends[before.number] == self.starts[after.number], "a gap in decode times"
            assert after.discontinuity - before.discontinuity in (0, 1)
            assert after.at > before.at, f"{before} goes back to {after}"
        self.seen.update({one.number: one for one in playlist.segments})
        self.last = playlist
        return playlist

    def _fetch(self, one: Listed) -> None:
        if one.init not in self._inits:
            (init,) = FragmentReader(2**24).feed(self.fetch(one.init))
            assert isinstance(init, InitSection)
            self._inits[one.init] = init.track
        track = self._inits[one.init]
        fragments = read_segment(self.fetch(one.init), self.fetch(one.uri))
        assert fragments[0].independent, "every segment starts with a key frame"
        for before, after in itertools.pairwise(fragments):
            assert before.end == after.start
        self.starts[one.number] = Fraction(fragments[0].start, track.timescale)
        self._ends[one.number] = Fraction(fragments[-1].end, track.timescale)
        assert abs(float(self._ends[one.number] - self.starts[one.number]) - one.duration) < 1e-5, "EXTINF"


def read_segment(init: bytes, segment: bytes) -> list[Fragment]:
    """The fragments of a whole segment; BadMedia if it is not whole."""
    reader = FragmentReader(2**26)
    found = list(reader.feed(init + segment))
    reader.finish()
    return [one for one in found if isinstance(one, Fragment)]
