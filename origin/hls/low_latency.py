"""Low-Latency HLS as a media playlist states it (RFC 8216 2nd ed. 4.4.3.7, 4.4.3.8, 4.4.5): lines of text. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from origin.live.part_window import Shown
from origin.live.parts import Part
from origin.live.window import Entry, TrackWindow

VERSION = 9
"""EXT-X-VERSION where EXT-X-SKIP may stand (section 8)."""
_VERSION_OF_DATES = 10
"""Where it replaces date ranges."""


@dataclass(frozen=True, slots=True)
class LowLatency:
    """What the origin promises: the same in all playlists of a stream. Seconds."""

    part: float
    """PART-TARGET."""
    target: int
    """The target duration."""

    @property
    def hold_back(self) -> float:
        return 3.0 * self.target

    @property
    def part_hold_back(self) -> float:
        """At least two part targets, better three (4.4.3.8)."""
        return 3 * self.part

    @property
    def skip_until(self) -> float:
        """The skip boundary, counted from the playlist's end."""
        return 6.0 * self.target

    @property
    def parts_for(self) -> float:
        """How long before the playlist's end a segment still has its parts in it (6.2.2)."""
        return 3.0 * self.target

    @property
    def waits(self) -> float:
        """How long a request is held at most (6.2.5.2)."""
        return 3.0 * self.target

    @property
    def blocked_lifetime(self) -> float:
        """In caches, of what answers a blocking request (appendix B.1)."""
        return 6.0 * self.target

    @property
    def failed_playlist_lifetime(self) -> float:
        return 4.0 * self.target

    @property
    def failed_part_lifetime(self) -> float:
        return 1.0 * self.target

    def header(self) -> list[str]:
        """EXT-X-SERVER-CONTROL and EXT-X-PART-INF."""
        control = (
            f"CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL={self.skip_until:.3f},CAN-SKIP-DATERANGES=YES,"
            f"HOLD-BACK={self.hold_back:.3f},PART-HOLD-BACK={self.part_hold_back:.3f}"
        )
        return [f"#EXT-X-SERVER-CONTROL:{control}", f"#EXT-X-PART-INF:PART-TARGET={self.part:.6f}"]

    def skippable(self, window: TrackWindow) -> int:
        """How many of the first segments lie behind the skip boundary, each with its whole length."""
        behind = window.duration + sum(part.duration for part in window.in_hand)
        count = 0
        for entry in window.listed:
            behind -= entry.duration
            if behind < self.skip_until:
                break
            count += 1
        return count


@dataclass(frozen=True, slots=True)
class Position:
    """How far a media playlist has come: LAST-MSN and LAST-PART (4.4.5.4)."""

    msn: int
    part: int | None
    """None: the segment has no part that is listed."""


def position(shown: Shown) -> Position:
    """The last part, or where there is none the last segment."""
    if shown.parts:
        return Position(shown.hand, shown.parts - 1)
    return Position(shown.hand - 1, shown.before - 1 if shown.before else None)


def part_line(part: Part) -> str:
    independent = ",INDEPENDENT=YES" if part.independent else ""
    return f'#EXT-X-PART:DURATION={part.duration:.6f},URI="{part.name}"{independent}'


def report_lines(others: Iterable[tuple[str, Position]]) -> list[str]:
    """EXT-X-RENDITION-REPORT for each: (relative URI, position)."""
    lines = []
    for uri, at in others:
        part = "" if at.part is None else f",LAST-PART={at.part}"
        lines.append(f'#EXT-X-RENDITION-REPORT:URI="{uri}",LAST-MSN={at.msn}{part}')
    return lines


def without_dates(delta: str, kept: Collection[str], gone: Iterable[str]) -> str:
    """The delta update that skips date ranges, too (`_HLS_skip=v2`), from the one that does not.

    `kept`: the tags that stay, those that were added since the skip boundary; `gone`: IDs that were removed since then.
    """
    head, skip, rest = delta.partition("#EXT-X-SKIP:")
    lines = [line for line in head.splitlines() if not line.startswith("#EXT-X-DATERANGE:") or line in kept]
    lines[1] = f"#EXT-X-VERSION:{_VERSION_OF_DATES}"
    skipped, _, rest = rest.partition("\n")
    removed = "\t".join(gone)
    return "\n".join([*lines, f'{skip}{skipped},RECENTLY-REMOVED-DATERANGES="{removed}"', rest])


def head_of(part: Part) -> Entry:
    """The segment in hand, as far as its first part tells."""
    return Entry(part.number, part.generation, part.discontinuity, 0.0, 0.0, part.at, 0, part.init)
