"""The samples of a fragment, and a fragment made two between any of them (ISO/IEC 14496-12 8.8).

A segment ends at a sample, and encoders put their fragments where they like: of fragments of 3.98 s, the second has the
end of a segment of 4 s inside. `divide` writes both halves anew, a `moof` and an `mdat` each; no byte of media changes.
Fragments that need no division keep the bytes that came.
"""

import struct
from dataclasses import dataclass
from itertools import chain

NON_SYNC = 0x10000
"""sample_is_non_sync_sample (8.8.3.1)."""
MOST_SAMPLES = 2**18
"""In one fragment, and in one segment: an hour and a half of AAC. A run may be a few bytes and claim four thousand
million."""

Runs = tuple[tuple[int, int], ...]
"""Of an `sbgp` box: how many samples, and their group."""


@dataclass(frozen=True, slots=True)
class Samples:
    """A fragment's samples in decode order: a column for each field of `trun`."""

    durations: tuple[int, ...]
    """In ticks."""
    sizes: tuple[int, ...]
    """In bytes."""
    flags: tuple[int, ...]
    shifts: tuple[int, ...]
    """Composition time offsets, in ticks."""
    sequence: int = 0
    """The number that `mfhd` gives."""
    descriptions: tuple[bytes, ...] = ()
    """Payloads of the `sgpd` boxes."""
    groups: tuple[tuple[bytes, Runs], ...] = ()
    """Of each `sbgp` box, what stands before its runs, and these."""

    def __len__(self) -> int:
        return len(self.durations)

    def sync_samples(self) -> tuple[int, ...]:
        """Which ones decoding may begin with."""
        return tuple(index for index, flags in enumerate(self.flags) if not flags & NON_SYNC)

    def part(self, first: int, end: int) -> "Samples":
        """The samples from `first` to before `end`."""
        return Samples(
            self.durations[first:end],
            self.sizes[first:end],
            self.flags[first:end],
            self.shifts[first:end],
            self.sequence,
            self.descriptions,
            tuple((head, _cut_runs(runs, first, end)) for head, runs in self.groups),
        )

    def written(self, track_id: int, start: int, media: bytes | memoryview) -> bytes:
        """The `moof` and `mdat` of these samples; `start` is the first one's decode time, `media` their bytes."""
        mfhd = box(b"mfhd", _full(0, 0) + _number(self.sequence))
        tfhd = box(b"tfhd", _full(0, 0x020000) + _number(track_id))  # default-base-is-moof
        tfdt = box(b"tfdt", _full(1, 0) + start.to_bytes(8, "big"))
        groups = b"".join(box(b"sgpd", payload) for payload in self.descriptions)
        for head, runs in self.groups:
            groups += box(b"sbgp", head + _number(len(runs)) + b"".join(map(_number, chain.from_iterable(runs))))

        def moof(offset: int) -> bytes:
            return box(b"moof", mfhd + box(b"traf", tfhd + tfdt + self._trun(offset) + groups))

        return moof(len(moof(0)) + 8) + box(b"mdat", bytes(media))

    def _trun(self, offset: int) -> bytes:
        columns = [self.durations, self.sizes, self.flags]
        flags = 0x1 | 0x100 | 0x200 | 0x400
        if any(self.shifts):
            columns.append(tuple(shift & 0xFFFFFFFF for shift in self.shifts))
            flags |= 0x800
        rows = struct.pack(f">{len(self) * len(columns)}I", *chain.from_iterable(zip(*columns, strict=True)))
        return box(b"trun", _full(int(min(self.shifts) < 0), flags) + _number(len(self)) + _number(offset) + rows)


def _cut_runs(runs: Runs, first: int, end: int) -> Runs:
    cut = []
    at = 0
    for count, group in runs:
        low, high = max(first, at), min(end, at + count)
        if low < high:
            cut.append((high - low, group))
        at += count
    return tuple(cut)


def box(kind: bytes, payload: bytes) -> bytes:
    return _number(8 + len(payload)) + kind + payload


def _full(version: int, flags: int) -> bytes:
    return _number(version << 24 | flags)


def _number(value: int) -> bytes:
    return value.to_bytes(4, "big")
