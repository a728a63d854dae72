"""`prft` boxes, as encoders write them and otherwise."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from origin.media.reference_times import ReferenceTime, reference_time
from tests.kit.cmaf_sender import box

AT = 1_790_000_000
NTP = (AT + 2_208_988_800) << 32


def prft(flags: int, *, version: int = 1, ntp: int = NTP, media: int = 90_000) -> bytes:
    return box(b"prft", struct.pack(">IIQQ" if version else ">IIQI", version << 24 | flags, 1, ntp, media))


TABLE = [  # boxes before a fragment, what they say
    (b"", None),
    (prft(24), ReferenceTime(AT, 90_000, "captured")),
    (prft(0), ReferenceTime(AT, 90_000, "encoder")),
    (prft(24, version=0), ReferenceTime(AT, 90_000, "captured")),
    (prft(24, ntp=NTP + 2**31), ReferenceTime(AT + 0.5, 90_000, "captured")),
    (prft(24, media=2**40), ReferenceTime(AT, 2**40, "captured")),
    (prft(1), None),  # the encoder's output: after an unknown time
    (prft(2), None),  # the fragment was finalised
    (prft(4), None),  # it was written to a file
    (prft(4) + prft(0), ReferenceTime(AT, 90_000, "encoder")),
    (box(b"emsg", b"splice") + prft(24), ReferenceTime(AT, 90_000, "captured")),
    (box(b"emsg", b"splice"), None),
    (box(b"prft", b"short"), None),
    (prft(24)[:-9], None),  # cut short, although the reader does not let such a one through
]


@pytest.mark.parametrize(("lead", "then"), TABLE)
def test_the_first_that_tells_of_capture_or_of_the_encoders_input(lead: bytes, then: ReferenceTime | None) -> None:
    assert reference_time(lead) == then


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_any_bytes(before: bytes, after: bytes) -> None:
    reference_time(before + prft(24) + after)
    reference_time(before)
