"""Packets whatever the sizes: no byte of a PES packet is lost, and counters go on over segments."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from origin.mpegts.packets import PACKET, Packets, adaptation, pes_header
from origin.mpegts.tables import MEDIA_PID, PAT_PID, PMT_PID, pat, pmt
from tests.kit.mpegts import TsReader

SIZES = st.one_of(st.integers(3, 400), st.integers(65_500, 65_560), st.integers(150, 200))


def segment(number: int, sizes: list[int], start: int, *, keys: bool) -> tuple[bytes, list[bytes]]:
    """A segment of PES packets of these sizes, 40 ms apart, and their media."""
    packets = Packets(MEDIA_PID)
    pieces: list[bytes | memoryview] = [Packets(PAT_PID, number).section(pat())]
    pieces.append(Packets(PMT_PID, number).section(pmt(0x1B)))
    media = [bytes((index % 256,)) * size for index, size in enumerate(sizes)]
    for index, data in enumerate(media):
        dts = start + 3600 * index
        header = pes_header(0xE0, len(data), dts + 7200 * (index % 2), dts)
        field = adaptation(random_access=keys, pcr=dts - 45_000)
        pieces += packets.write(header + data, field, last=index == len(media) - 1)
    return b"".join(pieces), media


@settings(deadline=None)
@given(
    segments=st.lists(st.lists(SIZES, min_size=1, max_size=20), min_size=1, max_size=4),
    number=st.integers(0, 2**40),
    start=st.sampled_from([45_000, 2**33 - 1, 2**33 - 3600, 2**33 + 44_999, 2**40]),
    keys=st.booleans(),
)
def test_what_goes_in_comes_out_and_the_counters_go_on(
    segments: list[list[int]], number: int, start: int, keys: bool
) -> None:
    reader = TsReader()
    for index, sizes in enumerate(segments):
        data, media = segment(number + index, sizes, start, keys=keys)
        stream = reader.read(data)
        assert [one.data for one in stream.pes] == media
        assert [one.dts for one in stream.pes] == [(start + 3600 * n) % 2**33 for n in range(len(sizes))]
        assert all(one.random_access is keys for one in stream.pes)
        assert reader.counters[MEDIA_PID] == 15, "the next segment begins at 0"
        needed = sum(1 + (size + 19 + 8) // 184 for size in sizes)
        assert len(data) // PACKET <= 2 + needed + 15


@pytest.mark.parametrize("pcr", [0, 1, 2**33 - 1, 2**33, -1])
def test_a_packet_of_a_clock_alone_is_not_counted(pcr: int) -> None:
    packets = Packets(MEDIA_PID)
    first = b"".join(packets.write(pes_header(0xC0, 5, 0, 0) + bytes(5)))
    alone = packets.clock(pcr)
    second = b"".join(packets.write(pes_header(0xC0, 5, 0, 0) + bytes(5)))
    assert (len(first), len(alone), len(second)) == (188, 188, 188)
    assert (first[3] & 15, alone[3] & 15, second[3] & 15) == (0, 0, 1)
    assert alone[3] >> 4 == 2, "no payload"
    assert alone[4:6] == b"\xb7\x10"
    assert int.from_bytes(alone[6:12], "big") >> 15 == pcr % 2**33


def test_a_length_only_where_it_fits() -> None:
    assert pes_header(0xE0, 65_527, 0, 0)[4:6] == b"\xff\xff"
    assert pes_header(0xE0, 65_528, 0, 0)[4:6] == b"\0\0"
