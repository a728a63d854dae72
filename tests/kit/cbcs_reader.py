"""Samples out of segments that are encrypted with cbcs, read by the book: nothing of the origin's own reader is in it.

Boxes: ISO/IEC 14496-12; `tenc`, `senc`, `saiz`, `saio`: ISO/IEC 23001-7 7, 8. Each encrypted block is decrypted by
itself with ECB, and chained by hand.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

Where = tuple[str, int, int]
"""Kind, first byte of the payload, and its end."""


@dataclass
class Tenc:
    kid: str
    crypt: int
    skip: int
    iv: bytes


def boxes(data: bytes, first: int = 0, end: int | None = None) -> Iterator[Where]:
    end = len(data) if end is None else end
    while first < end:
        size = int.from_bytes(data[first : first + 4], "big")
        assert 8 <= size <= end - first, "a box fills its parent"
        yield data[first + 4 : first + 8].decode("latin-1"), first + 8, first + size
        first += size


def only(data: bytes, kind: str, first: int, end: int) -> tuple[int, int]:
    [found] = [(low, high) for one, low, high in boxes(data, first, end) if one == kind]
    return found


def tenc_of(init: bytes) -> Tenc:
    at = 0, len(init)
    for kind in ("moov", "trak", "mdia", "minf", "stbl", "stsd"):
        at = only(init, kind, *at)
    [(entry, first, end)] = list(boxes(init, at[0] + 8, at[1]))
    assert entry in ("encv", "enca")
    first += 78 if entry == "encv" else 28
    sinf = only(init, "sinf", first, end)
    frma, schm = only(init, "frma", *sinf), only(init, "schm", *sinf)
    assert init[slice(*frma)] in (b"avc1", b"avc3", b"mp4a")
    assert init[schm[0] + 4 : schm[1]] == b"cbcs\0\1\0\0"
    tenc = init[slice(*only(init, "tenc", *only(init, "schi", *sinf)))]
    assert tenc[6] == 1 and tenc[7] == 0, "protected, with a constant IV"
    size = tenc[24]
    assert len(tenc) == 25 + size
    return Tenc(tenc[8:24].hex(), tenc[5] >> 4, tenc[5] & 15, tenc[25:])


def clear_samples(init: bytes, segment: bytes, keys: Mapping[str, bytes]) -> list[bytes]:
    """The samples of a segment or part, decrypted."""
    tenc = tenc_of(init)
    key = keys[tenc.kid]
    found: list[bytes] = []
    for kind, first, end in boxes(segment):
        if kind == "moof":
            traf = only(segment, "traf", first, end)
            entries = list(_entries(segment, first - 8, traf))
            samples = list(_samples(segment, first - 8, traf))
            assert len(entries) in (0, len(samples))
            for at, (low, size) in enumerate(samples):
                sample = segment[low : low + size]
                found.append(_decrypted(sample, entries[at] if entries else None, tenc, key))
    return found


def _samples(data: bytes, moof: int, traf: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Of the origin's own making or of ffmpeg's: sizes in every row, offsets in every run."""
    tfhd = only(data, "tfhd", *traf)
    flags = int.from_bytes(data[tfhd[0] + 1 : tfhd[0] + 4], "big")
    at = tfhd[0] + 8 + 4 * bool(flags & 2) + 4 * bool(flags & 8)
    default = int.from_bytes(data[at : at + 4], "big") if flags & 0x10 else 0
    for kind, first, _ in boxes(data, *traf):
        if kind != "trun":
            continue
        flags = int.from_bytes(data[first + 1 : first + 4], "big")
        count = int.from_bytes(data[first + 4 : first + 8], "big")
        assert flags & 1
        low = moof + int.from_bytes(data[first + 8 : first + 12], "big")
        row = first + 12 + 4 * bool(flags & 4)
        width = 4 * sum(bool(flags & bit) for bit in (0x100, 0x200, 0x400, 0x800))
        for number in range(count):
            size = default
            if flags & 0x200:
                start = row + number * width + 4 * bool(flags & 0x100)
                size = int.from_bytes(data[start : start + 4], "big")
            yield low, size
            low += size


def _entries(data: bytes, moof: int, traf: tuple[int, int]) -> Iterator[list[tuple[int, int]]]:
    """Each sample's subsamples, as `saiz` and `saio` point to them; `senc` says the same."""
    kinds = {kind: (first, end) for kind, first, end in boxes(data, *traf)}
    if "senc" not in kinds:
        assert not kinds.keys() & {"saiz", "saio"}
        return
    saiz = data[slice(*kinds["saiz"])]
    saio = data[slice(*kinds["saio"])]
    assert saiz[4] == 0 and saio[4:8] == (1).to_bytes(4, "big")
    at = moof + int.from_bytes(saio[8:12], "big")
    senc = kinds["senc"][0]
    assert data[senc + 3] == 2 and at == senc + 8
    assert data[senc + 4 : senc + 8] == saiz[5:9]
    for size in saiz[9:]:
        count = int.from_bytes(data[at : at + 2], "big")
        assert size == 2 + 6 * count
        rows = [data[at + 2 + 6 * n : at + 8 + 6 * n] for n in range(count)]
        yield [(int.from_bytes(row[:2], "big"), int.from_bytes(row[2:], "big")) for row in rows]
        at += size
    assert at == kinds["senc"][1]


def _decrypted(sample: bytes, subsamples: list[tuple[int, int]] | None, tenc: Tenc, key: bytes) -> bytes:
    if subsamples is None:
        return _range(sample, tenc, key)
    clear, at = b"", 0
    for plain, protected in subsamples:
        clear += sample[at : at + plain] + _range(sample[at + plain : at + plain + protected], tenc, key)
        at += plain + protected
    assert at == len(sample), "subsamples fill the sample"
    return clear


def _range(data: bytes, tenc: Tenc, key: bytes) -> bytes:
    decryptor = Cipher(AES(key), ECB()).decryptor()
    chain, clear = tenc.iv, b""
    period = tenc.crypt + tenc.skip
    for number, block in enumerate(data[at : at + 16] for at in range(0, len(data), 16)):
        if len(block) == 16 and (period == 0 or number % period < tenc.crypt):
            plain = decryptor.update(block)
            clear += bytes(a ^ b for a, b in zip(plain, chain, strict=True))
            chain = block
        else:
            clear += block
    return clear
