"""What encryption adds to a segment of 4 s: whole (AES-128), and its samples (cbcs), of pictures and of sound."""

from collections.abc import Mapping

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from origin.encryption.ciphers import encrypt_whole
from origin.encryption.fragments import encrypted
from origin.encryption.init_sections import parameter_sets
from origin.encryption.slice_headers import ParameterSets
from origin.media.fragments import Fragment, FragmentReader, of_samples
from origin.media.samples import NON_SYNC, Samples
from origin.media.tracks import InitSection, Kind
from tests.bench.test_bench_mpegts import audio
from tests.real.origin.conftest import encoded, ffmpeg

__all__ = ["encoded", "ffmpeg"]

KEY, IV = bytes(range(16)), bytes(16)
FRAMES = 120


def pictures(encoded: Mapping[str, bytes], bps: int) -> tuple[InitSection, Fragment]:
    """Four seconds whose slice headers are x264's, and whose slices are made as long as the rate says."""
    init, *rest = FragmentReader(2**26).feed(encoded["180p.cmfv"])
    assert isinstance(init, InitSection)
    first = next(one for one in rest if isinstance(one, Fragment))
    assert first.row is not None
    at = first.media + sum(first.row.sizes[:1])
    slice_ = first.data[at + 4 : at + first.row.sizes[1]]
    size = bps // 8 // 30
    sample = (size - 4).to_bytes(4, "big") + (slice_ + b"\x55" * size)[: size - 4]
    table = Samples((512,) * FRAMES, (len(sample),) * FRAMES, (0, *[NON_SYNC] * (FRAMES - 1)), (0,) * FRAMES)
    return init, of_samples(table, init.track.track_id, 0, sample * FRAMES)


@pytest.fixture(params=["audio 128k", "600k", "2.5M", "6M"])
def segment(request: pytest.FixtureRequest, encoded: Mapping[str, bytes]) -> tuple[InitSection, Fragment]:
    if request.param == "audio 128k":
        head, data = audio(128_000)
        init, fragment = FragmentReader(2**26).feed(head + data)
        assert isinstance(init, InitSection) and isinstance(fragment, Fragment)
        return init, fragment
    return pictures(encoded, {"600k": 600_000, "2.5M": 2_500_000, "6M": 6_000_000}[request.param])


def test_whole(benchmark: BenchmarkFixture, segment: tuple[InitSection, Fragment]) -> None:
    benchmark(encrypt_whole, segment[1].data, KEY, 7)


def test_samples(benchmark: BenchmarkFixture, segment: tuple[InitSection, Fragment]) -> None:
    init, fragment = segment
    sets = parameter_sets(init) if init.track.kind is Kind.VIDEO else ParameterSets()
    benchmark(encrypted, fragment, init.track, KEY, IV, sets)
