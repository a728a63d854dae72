"""How fast ingest bodies are parsed: MB/s of the push parser, in the 64 KiB pieces a socket gives."""

import struct

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from origin.media.fragments import Fragment, FragmentReader, read_moof
from origin.media.tracks import Kind, Track

PIECE = 65_536


def box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def fragment(start: int, samples: int, size: int) -> bytes:
    """A fragment of `samples` samples of `size` bytes, with every column ffmpeg writes."""
    row = struct.pack(">4I", 512, size, 0x10000, 0)
    tfhd = box(b"tfhd", struct.pack(">II", 0x020000, 1))
    tfdt = box(b"tfdt", struct.pack(">BxxxQ", 1, start))
    head = len(box(b"mfhd", bytes(8))) + len(tfhd) + len(tfdt) + 8 + 8 + 8 + 12 + samples * 16
    trun = box(b"trun", struct.pack(">III", 0x01000F01, samples, head + 8) + row * samples)
    moof = box(b"moof", box(b"mfhd", bytes(8)) + box(b"traf", tfhd + tfdt + trun))
    assert len(moof) == head
    return moof + box(b"mdat", bytes(samples * size))


def init() -> bytes:
    tkhd = box(b"tkhd", bytes(12) + (1).to_bytes(4, "big") + bytes(68))
    mdhd = box(b"mdhd", bytes(12) + (15_360).to_bytes(4, "big") + bytes(8))
    hdlr = box(b"hdlr", bytes(8) + b"vide" + bytes(13))
    entry = box(b"avc1", bytes(24) + struct.pack(">HH", 1920, 1080) + bytes(50) + box(b"avcC", b"\1\x64\0\x28"))
    stsd = box(b"stsd", bytes(4) + (1).to_bytes(4, "big") + entry)
    mdia = box(b"mdia", mdhd + hdlr + box(b"minf", box(b"stbl", stsd)))
    trex = box(b"trex", struct.pack(">6I", 0, 1, 1, 0, 0, 0))
    return box(b"ftyp", b"iso6\0\0\0\0cmfc") + box(b"moov", box(b"trak", tkhd + mdia) + box(b"mvex", trex))


@pytest.mark.parametrize("bps", [600_000, 4_000_000, 12_000_000], ids=["360p", "1080p", "2160p"])
def test_parse(benchmark: BenchmarkFixture, bps: int) -> None:
    """A minute of half-second fragments at 30 frames a second."""
    body = init() + b"".join(fragment(n * 7680, 15, bps // 8 // 30) for n in range(120))
    parts = [body[at : at + PIECE] for at in range(0, len(body), PIECE)]

    def parse() -> int:
        reader = FragmentReader(2**26)
        count = sum(1 for part in parts for _ in reader.feed(part))
        reader.finish()
        return count

    assert benchmark(parse) == 121
    megabytes = len(body) / 1e6
    benchmark.extra_info["MB/s"] = round(megabytes / benchmark.stats.stats.median) if benchmark.stats else None


def test_read_one_moof(benchmark: BenchmarkFixture) -> None:
    """The work per fragment that does not depend on its size."""
    reader = FragmentReader(2**26)
    found = list(reader.feed(init() + fragment(0, 15, 100)))
    assert isinstance(found[1], Fragment)
    from origin.media.boxes import BoxReader

    (moof,) = [one for one in BoxReader(2**26).feed(found[1].data) if one.kind == "moof"]
    track = Track(Kind.VIDEO, 1, 15_360, "avc1.640028")
    assert benchmark(read_moof, moof, track)[0].samples == 15
