"""What a segment of 4 s costs the origin: as fMP4 when it is published, as MPEG-TS when it is first requested."""

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from origin.media.fragments import FragmentReader, of_samples
from origin.media.samples import NON_SYNC, Samples
from origin.media.tracks import read_init
from origin.mpegts.elementary import read_codec
from origin.mpegts.segments import remux
from origin.storage.folder import Folder
from tests.unit.origin.media.test_fragments import FTYP, box
from tests.unit.origin.media.test_sample_entries import asc, avcc, esds, pictures, sound
from tests.unit.origin.media.test_tracks import init

PIECE = 65_536
AVC = init(box(b"avc1", pictures(avcc())), b"vide")
AAC = init(box(b"mp4a", sound(esds(asc(2, 2)))))


def video(bps: int) -> tuple[bytes, bytes]:
    """(init section, segment): two seconds of pictures in each of two fragments, 30 a second."""
    size = bps // 8 // 30
    media = (size - 4).to_bytes(4, "big") + b"\x41" * (size - 4)
    flags = (0, *[NON_SYNC] * 59)
    table = Samples((1600,) * 60, (size,) * 60, flags, (0,) * 60)
    data = b"".join(of_samples(table, 7, 96_000 * n, media * 60).data for n in (0, 1))
    return read_init(FTYP, AVC).data, data


def audio(bps: int) -> tuple[bytes, bytes]:
    """(init section, segment): 188 frames of AAC."""
    size = bps * 1024 // 48_000 // 8
    table = Samples((1024,) * 188, (size,) * 188, (0,) * 188, (0,) * 188)
    return read_init(FTYP, AAC).data, of_samples(table, 7, 0, bytes(size * 188)).data


SEGMENTS = pytest.mark.parametrize(
    ("head", "segment"),
    [audio(128_000), video(600_000), video(2_500_000), video(6_000_000)],
    ids=["audio 128k", "600k", "2.5M", "6M"],
)


@SEGMENTS
def test_publish_as_fmp4(benchmark: BenchmarkFixture, tmp_path: Path, head: bytes, segment: bytes) -> None:
    """Its body is parsed in pieces, and written."""
    storage = Folder(tmp_path)
    pieces = [segment[at : at + PIECE] for at in range(0, len(segment), PIECE)]

    def publish() -> None:
        reader = FragmentReader(2**26)
        list(reader.feed(head))
        data = b"".join(one.data for piece in pieces for one in reader.feed(piece))
        storage.write("live/any/seg-1-0.m4s", data)

    benchmark(publish)


@SEGMENTS
def test_make_as_mpegts(benchmark: BenchmarkFixture, head: bytes, segment: bytes) -> None:
    codec = read_codec(head)
    made = benchmark(remux, head, codec, segment, 7, 2**26)
    benchmark.extra_info["larger"] = f"{100 * (len(made) / len(segment) - 1):.1f} %"
    if benchmark.stats:
        benchmark.extra_info["MB/s"] = round(len(segment) / 1e6 / benchmark.stats.stats.median)
