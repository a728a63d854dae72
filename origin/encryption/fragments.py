"""A fragment encrypted with cbcs: the same `moof` with `saiz`, `saio` and `senc`, and samples of the same size.

(ISO/IEC 23001-7 7.1, 7.2; ISO/IEC 14496-12 8.7.8, 8.7.9.) Everything else that the fragment says stays byte for byte,
but for the data offsets, which grow with the `moof`. Sound is encrypted as a whole with a constant IV: there is nothing
to say of its samples, and so no box.
"""

from collections.abc import Callable

from origin.encryption.ciphers import encrypt_blocks, encrypt_pattern
from origin.encryption.slice_headers import ParameterSets
from origin.encryption.subsamples import Subsample, protected_ranges, subsamples
from origin.errors import BadMedia
from origin.media.boxes import children
from origin.media.fragments import Fragment
from origin.media.samples import box
from origin.media.tracks import Kind, Track

_DATA_OFFSET = 0x1


def encrypted(fragment: Fragment, track: Track, key: bytes, iv: bytes, sets: ParameterSets) -> bytes:
    """The fragment's bytes, encrypted; `sets` are the track's parameter sets so far, and take those of the fragment.

    `BadMedia`: samples that lie apart, or are damaged.
    """
    if fragment.row is None:
        raise BadMedia("a fragment", "samples that lie apart", "samples in a row: they cannot be encrypted")
    media = bytearray(fragment.data)
    at = fragment.media
    if track.kind is Kind.AUDIO:
        for size in fragment.row.sizes:
            encrypt_blocks(media, ((at, at + size),), key, iv)
            at += size
        return bytes(media)
    table: list[list[Subsample]] = []
    for size in fragment.row.sizes:
        found = protected_ranges(memoryview(fragment.data)[at : at + size], track.length_size, sets)
        ranges, mapped = subsamples(size, found)
        encrypt_pattern(media, ((at + first, at + end) for first, end in ranges), key, iv)
        table.append(mapped)
        at += size
    end = fragment.lead + int.from_bytes(media[fragment.lead : fragment.lead + 4], "big")
    moof = _with_subsamples(memoryview(fragment.data)[fragment.lead + 8 : end], table)
    return bytes(media[: fragment.lead]) + moof + bytes(media[end:])


def _with_subsamples(payload: memoryview, table: list[list[Subsample]]) -> bytes:
    """The `moof` of this payload, with the subsamples of each sample."""
    entries = [
        len(one).to_bytes(2, "big")
        + b"".join(clear.to_bytes(2, "big") + size.to_bytes(4, "big") for clear, size in one)
        for one in table
    ]
    count = len(entries).to_bytes(4, "big")
    saiz = box(b"saiz", bytes(5) + count + bytes(map(len, entries)))
    senc = box(b"senc", (0x2).to_bytes(4, "big") + count + b"".join(entries))
    added = len(saiz) + 20 + len(senc)

    def traf(inner: memoryview, offset: int) -> bytes:
        boxes = b"".join(_box(kind, _moved(kind, data, added)) for kind, data in children(inner, "moof/traf"))
        # Where the first sample's entry is, counted from the moof: behind the head of `senc`.
        at = offset + 8 + len(boxes) + len(saiz) + 20 + 16
        saio = box(b"saio", bytes(4) + (1).to_bytes(4, "big") + at.to_bytes(4, "big"))
        return boxes + saiz + saio + senc

    return box(b"moof", _rebuilt(payload, "moof", "traf", traf))


def _rebuilt(payload: memoryview, where: str, kind: str, change: Callable[[memoryview, int], bytes]) -> bytes:
    made = b""
    for one, data in children(payload, where):
        made += _box(one, change(data, 8 + len(made)) if one == kind else bytes(data))
    return made


def _moved(kind: str, data: memoryview, added: int) -> bytes:
    """A `trun` whose samples lie `added` bytes further from the start of the `moof`; any other box as it is."""
    if kind != "trun" or not data[3] & _DATA_OFFSET:
        return bytes(data)
    offset = int.from_bytes(data[8:12], "big", signed=True) + added
    return bytes(data[:8]) + offset.to_bytes(4, "big", signed=True) + bytes(data[12:])


def _box(kind: str, payload: bytes) -> bytes:
    return box(kind.encode("latin-1"), payload)
