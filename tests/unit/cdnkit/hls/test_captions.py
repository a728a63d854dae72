"""Closed captions in SEI messages: which channels they are, and that no bytes are too strange."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdnkit.hls import instream_ids

FIELD_1, FIELD_2, DTVCC_DATA, DTVCC_START = 0, 1, 2, 3
PADDING = (FIELD_1, 0x80, 0x80)


def cc_data(*triplets: tuple[int, int, int], valid: bool = True) -> bytes:
    """An SEI NAL unit with captions, behind its length."""
    body = b"".join(bytes((0xF8 | 4 * valid | kind, first, second)) for kind, first, second in triplets)
    payload = b"\xb5\x00\x31GA94\x03" + bytes((0x40 | len(triplets), 0xFF)) + body + b"\xff"
    sei = b"\x06" + b"\x04" + bytes((len(payload),)) + payload + b"\x80"
    # Emulation prevention: what could be mistaken for a start code gets a 3 into it.
    for last in (0, 1, 2, 3):
        sei = sei.replace(bytes((0, 0, last)), bytes((0, 0, 3, last)))
    return unit(sei)


def unit(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


SLICE = unit(b"\x65" + bytes(range(1, 200)))

CHANNELS = [  # given these captions, INSTREAM-IDs
    ([PADDING], {"CC1"}),  # nobody speaks yet
    ([(FIELD_1, 0x94, 0x20)], {"CC1"}),  # resume caption loading, odd parity
    ([(FIELD_1, 0x1C, 0x20)], {"CC2"}),
    ([(FIELD_1, 0x94, 0x20), (FIELD_1, 0x1C, 0x20)], {"CC1", "CC2"}),
    ([(FIELD_2, 0x15, 0x20)], {"CC3"}),
    ([(FIELD_2, 0x9D, 0x20)], {"CC4"}),
    ([PADDING, (FIELD_2, 0x80, 0x80)], {"CC1"}),  # field 2 is filled, and says nothing
    ([PADDING, (FIELD_2, 0x01, 0x05)], {"CC1"}),  # XDS: the programme's name, no captions
    ([(FIELD_2, 0x61, 0x62)], {"CC3"}),
    ([(DTVCC_START, 0x02, 0x21)], {"SERVICE1"}),
    ([PADDING, (DTVCC_START, 0x02, 0x21), (DTVCC_DATA, 0, 0)], {"CC1"}),  # DTVCC of the same words, as is usual
    ([], set()),
]


@pytest.mark.parametrize(("triplets", "channels"), CHANNELS)
def test_channels(triplets: list[tuple[int, int, int]], channels: set[str]) -> None:
    assert instream_ids(SLICE + cc_data(*triplets) + SLICE, 4) == channels


def test_what_is_not_valid_is_nothing() -> None:
    assert instream_ids(cc_data(PADDING, (FIELD_1, 0, 0), valid=False), 4) == set()


def test_other_messages_in_the_same_unit() -> None:
    captions = cc_data((FIELD_1, 0x94, 0x20))[5:]
    assert instream_ids(unit(b"\x06" + b"\x05\x02ab" + captions), 4) == {"CC1"}
    assert instream_ids(unit(b"\x06" + b"\x05\xff\x01" + bytes(256) + captions), 4) == {"CC1"}, "a size of two bytes"


def test_other_user_data() -> None:
    assert instream_ids(cc_data(PADDING).replace(b"GA94", b"DTG1"), 4) == set(), "AFD"
    assert instream_ids(cc_data(PADDING).replace(b"\xb5\x00\x31", b"\xb5\x00\x3c"), 4) == set(), "HDR10+"


def test_hevc() -> None:
    assert instream_ids(unit(b"\x4e\x01" + cc_data(PADDING)[5:]), 4, hevc=True) == {"CC1"}
    assert instream_ids(unit(b"\x4e\x01" + cc_data(PADDING)[5:]), 4) == set()


def test_lengths_of_two_bytes() -> None:
    assert instream_ids(cc_data(PADDING)[2:], 2) == {"CC1"}


@given(st.binary(max_size=300), st.sampled_from([1, 2, 4]), st.booleans())
def test_any_bytes(data: bytes, length_size: int, hevc: bool) -> None:
    assert instream_ids(data, length_size, hevc=hevc) <= {"CC1", "CC2", "CC3", "CC4", "SERVICE1"}


@given(st.integers(0, 60), st.integers(0, 255))
def test_any_damage(place: int, value: int) -> None:
    data = bytearray(cc_data((FIELD_1, 0x94, 0x20), (FIELD_2, 0x15, 0x20), (DTVCC_START, 0, 0)))
    data[place % len(data)] = value
    instream_ids(bytes(data), 4)
