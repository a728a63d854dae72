"""Which bytes of a sample are encrypted: its subsamples (ISO/IEC 23001-7 9.5, 10.4.2), of H.264.

Clear are the lengths of NAL units, their headers, slice headers, and all NAL units that are no slices. A subsample is a
run of clear bytes and the protected ones behind it.
"""

from origin.encryption.ciphers import Range
from origin.encryption.slice_headers import ParameterSets
from origin.errors import BadMedia

LONGEST_CLEAR = 0xFFFF
"""BytesOfClearData has 16 bits: a longer run is several subsamples."""
MOST = 42
"""Of a sample: `saiz` has 8 bits for the 2 + 6 bytes each. Of a picture with more slices, the smallest stay clear."""
_SLICES = (1, 5)
_PARTITIONS = (2, 3, 4)

Subsample = tuple[int, int]
"""Clear bytes, and the protected bytes behind them."""


def protected_ranges(sample: memoryview, length_size: int, sets: ParameterSets) -> list[Range]:
    """Of an H.264 sample. Parameter sets in it go to `sets`. `BadMedia`: NAL units that are damaged, or unknown."""
    ranges: list[Range] = []
    at = 0
    while at < len(sample):
        first = at + length_size
        end = first + int.from_bytes(sample[at:first], "big")
        if end > len(sample):
            raise BadMedia("a NAL unit", f"{end - first} bytes", f"at most {len(sample) - first}, to the sample's end")
        if end > first:
            kind = sample[first] & 0x1F
            if kind in _PARTITIONS:
                raise BadMedia("a NAL unit", f"data partition {kind}", "whole slices: it cannot be encrypted")
            if kind in _SLICES:
                header = sets.header_length(sample[first:end])
                if first + header < end:
                    ranges.append((first + header, end))
            elif kind in (7, 8):
                sets.take(bytes(sample[first:end]))
        at = end
    return ranges


def subsamples(size: int, ranges: list[Range]) -> tuple[list[Range], list[Subsample]]:
    """(the ranges that are encrypted, the subsamples) of a sample of `size` bytes."""
    ranges, found = list(ranges), _mapped(size, ranges)
    while len(found) > MOST and ranges:
        ranges.remove(min(ranges, key=lambda one: one[1] - one[0]))
        found = _mapped(size, ranges)
    if len(found) > MOST:
        raise BadMedia("a sample", f"{size} clear bytes in a row", f"at most {MOST * LONGEST_CLEAR}")
    return ranges, found


def _mapped(size: int, ranges: list[Range]) -> list[Subsample]:
    found: list[Subsample] = []
    at = 0
    for first, end in [*ranges, (size, size)]:
        clear = first - at
        while clear > LONGEST_CLEAR:
            found.append((LONGEST_CLEAR, 0))
            clear -= LONGEST_CLEAR
        if clear or end > first:
            found.append((clear, end - first))
        at = end
    return found
