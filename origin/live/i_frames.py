"""Where a segment's key frames lie, for I-frame playlists.

A key frame is listed where a fragment begins with it: the range from the `moof` to the end of the first sample. One
inside a fragment would need a `moof` of its own.
"""

from fractions import Fraction

from cdnkit.hls import IFrame
from origin.live.segmenter import Segment

CLOSEST = Fraction(1, 4)
"""Seconds between two that are listed, at least: an encoder may send nothing but key frames, sixty a second."""


def i_frames_of(segment: Segment, timescale: int) -> tuple[IFrame, ...]:
    """The key frames of a video segment, in order; none where it does not begin with one that can be listed."""
    found: list[tuple[int, int, int]] = []  # start in ticks, offset, size
    at = 0
    for fragment in segment.fragments:
        apart = not found or Fraction(fragment.start - found[-1][0], timescale) >= CLOSEST
        if fragment.independent and fragment.row is not None and apart:
            size = fragment.media - fragment.lead + fragment.row.sizes[0]
            found.append((fragment.start, at + fragment.lead, size))
        at += len(fragment.data)
    if not found or found[0][0] != segment.start:
        return ()
    ends = [*(start for start, _, _ in found[1:]), segment.end]
    return tuple(
        IFrame(offset, size, (end - start) / timescale) for (start, offset, size), end in zip(found, ends, strict=True)
    )
