"""Closed captions for an H.264 stream that has none, as SEI messages (ANSI/SCTE 128-1)."""

import re

_RESUME_CAPTION_LOADING = b"\xfc\x94\x20"
_START_CODE = re.compile(rb"\0?\0\0\x01(?=[\x41\x61\x65\x01])")
"""Before a slice: of an IDR picture, or of another one."""


def captions_unit() -> bytes:
    """An SEI NAL unit with one control code for CC1."""
    payload = b"\xb5\0\x31GA94\x03\x41\xff" + _RESUME_CAPTION_LOADING + b"\xff"
    return b"\x06\x04" + bytes((len(payload),)) + payload + b"\x80"


def with_captions(annex_b: bytes) -> bytes:
    """The same byte stream (H.264 annex B) with captions before each slice."""
    unit = b"\0\0\0\x01" + captions_unit()
    return _START_CODE.sub(lambda found: unit + found[0], annex_b)
