"""Fragments in, parts out: a part is a run of fragments of one segment (a Partial Segment: RFC 8216 2nd ed. 4.4.4.9).

A part lasts at most the part target, and at least 85 % of it unless it is the last of its segment. Where the encoder's
fragments fit, they are joined; where none ends in that span, one is divided between two samples. Pure.
"""

from dataclasses import dataclass
from fractions import Fraction

from origin.media.fragments import Fragment
from origin.media.tracks import Kind, Track

SHORTEST = Fraction(85, 100)
"""Of the part target (4.4.4.9)."""


@dataclass(slots=True)
class Part:
    """One part of a segment, listed before its segment is complete."""

    number: int
    """Media sequence number of its segment."""
    index: int
    """Within the segment, from 0."""
    generation: int
    discontinuity: int
    init: str
    at: float
    """Program date-time of the segment's start, Unix seconds."""
    duration: float
    independent: bool
    """It has a frame that decoding can begin with."""
    size: int
    key: str = ""
    """Id of the key that it is encrypted with; "": it is not."""
    received: float = 0.0
    """When the last of it came, Unix seconds; 0: not known."""

    @property
    def name(self) -> str:
        return part_name(self.generation, self.number, self.index)


def part_name(generation: int, number: int, index: int) -> str:
    return f"part-{generation}-{number}-{index}.m4s"


@dataclass(slots=True)
class Cut:
    """Fragments as parts, and those that wait for more."""

    parts: list[list[Fragment]]
    rest: list[Fragment]
    misfit: bool = False
    """The rest can make no part of lawful length: frames too long, or fragments too long that cannot be divided."""


def cut(
    fragments: list[Fragment], target: Fraction, track: Track, *, until: Fraction | None = None, last: bool = False
) -> Cut:
    """Parts of at most `target` seconds from fragments that follow one another.

    `until`: what lies behind this second may belong to another segment, and waits; None: nothing does. `last`: no more
    comes in this segment.
    """
    longest = target * track.timescale
    shortest = SHORTEST * longest
    until = None if until is None else until * track.timescale
    rest, parts = list(fragments), list[list[Fragment]]()
    while rest:
        latest = rest[0].start + longest
        open_end = until is not None and until < latest
        run = _run(rest, until if open_end and until is not None else latest, shortest, track.kind)
        if run.count == len(rest) and last:
            parts.append(rest)
            return Cut(parts, [])
        waits = open_end or run.count == len(rest)
        if run.length < shortest or (waits and run.length + run.grain <= longest):
            return Cut(parts, rest, misfit=not waits)
        if run.samples:
            rest[run.count : run.count + 1] = rest[run.count].divide(run.samples, track.track_id)
        count = run.count + (run.samples > 0)
        parts.append(rest[:count])
        del rest[:count]
    return Cut(parts, rest)


@dataclass(slots=True)
class _Run:
    """So many fragments, and so many samples of the next one."""

    count: int
    samples: int
    length: int
    """In ticks."""
    grain: int
    """Ticks by which it could grow."""


def _run(fragments: list[Fragment], latest: Fraction, shortest: Fraction, kind: Kind) -> _Run:
    """The longest run of the first fragments that ends at `latest` or before.

    Sound is taken sample by sample, so that its parts end where those of the pictures do. Pictures are taken by whole
    fragments, unless these are `shortest` no longer: their bytes then need not be written anew.
    """
    start = fragments[0].start
    count = next((at for at, one in enumerate(fragments) if one.end > latest), len(fragments))
    length = fragments[count - 1].end - start if count else 0
    before = fragments[max(0, count - 1)]
    fine = kind is Kind.AUDIO and before.table is not None
    grain = before.table.durations[-1] if fine and before.table is not None else before.duration
    if count == len(fragments) or fragments[count].table is None or (kind is Kind.VIDEO and length >= shortest):
        return _Run(count, 0, length, grain)
    ends = fragments[count].starts()[1:]
    samples = sum(end <= latest for end in ends)
    return _Run(count, samples, ends[samples - 1] - start if samples else length, grain)


def is_independent(fragments: list[Fragment], kind: Kind) -> bool:
    """EXT-X-PART's INDEPENDENT: the part contains an independent frame."""
    return kind is Kind.AUDIO or any(fragment.independent or fragment.keys for fragment in fragments)
