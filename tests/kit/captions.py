"""Closed captions for an H.264 stream that has none: CEA-608 in SEI messages (ANSI/CTA-608-E, ANSI/SCTE 128-1)."""

import re
from collections.abc import Iterable, Iterator

_RESUME_CAPTION_LOADING, _ERASE_MEMORY, _END_OF_CAPTION = (0x14, 0x20), (0x14, 0x2E), (0x14, 0x2F)
_LAST_ROW = (0x14, 0x70)
_NOTHING = (0, 0)
_START_CODE = re.compile(rb"\0?\0\0\x01(?=[\x41\x61\x65\x01])")
"""Before a slice: of an IDR picture, or of another one."""


def captions_unit(pair: tuple[int, int] = _RESUME_CAPTION_LOADING) -> bytes:
    """An SEI NAL unit with two bytes for CC1, which get their odd parity here."""
    first, second = (byte | (byte.bit_count() % 2 == 0) << 7 for byte in pair)
    payload = b"\xb5\0\x31GA94\x03\x41\xff" + bytes((0xFC, first, second)) + b"\xff"
    return b"\x06\x04" + bytes((len(payload),)) + payload + b"\x80"


def with_captions(annex_b: bytes, pairs: Iterable[tuple[int, int]] = ()) -> bytes:
    """The same byte stream (H.264 annex B) with captions before each slice; without `pairs`, the same ones each time."""
    rest = iter(pairs)
    usual = _NOTHING if pairs else _RESUME_CAPTION_LOADING
    return _START_CODE.sub(lambda found: b"\0\0\0\x01" + captions_unit(next(rest, usual)) + found[0], annex_b)


def shown_each_second(texts: Iterable[str], rate: int) -> Iterator[tuple[int, int]]:
    """The pairs of bytes of pictures at `rate` a second: a text from each full second on (pop-on captions).

    A text is loaded in the second before; nothing is shown in the first one.
    """
    shown = [_NOTHING]
    for text in texts:
        letters = text.encode("ascii").ljust(len(text) + len(text) % 2)
        pairs = zip(letters[::2], letters[1::2], strict=True)
        load = [*shown, _RESUME_CAPTION_LOADING, _ERASE_MEMORY, _LAST_ROW, *pairs]
        assert len(load) <= rate, "more than a second's pictures carry"
        yield from load
        yield from [_NOTHING] * (rate - len(load))
        shown = [_END_OF_CAPTION]
    yield from shown
