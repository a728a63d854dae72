"""Which closed captions a video track carries: CEA-608 and CEA-708 in its SEI messages (ANSI/SCTE 128-1, CTA-608-E).

`cc_data` stands beside nearly every picture of a video that has captions, also while nobody speaks. It has triplets: a
kind (line 21 of field 1 or 2, or DTVCC) and two bytes. Of line 21, control codes say which of the two channels of
their field they are for; until one came, it is the field's first.
"""

from collections.abc import Iterator

_USER_DATA = b"\xb5\x00\x31GA94\x03"
"""United States, ATSC, captions (ITU-T T.35; ATSC A/53 part 4 6.2.3)."""
_REGISTERED = 4
"""user_data_registered_itu_t_t35 (ITU-T H.264 D.1.6)."""


def instream_ids(media: bytes | memoryview, length_size: int, *, hevc: bool = False) -> set[str]:
    """INSTREAM-IDs of the captions in these samples: CC1 to CC4, and SERVICE1 for DTVCC alone.

    `media` is samples one after another, as an `mdat` has them: NAL units, each behind its length of `length_size`
    bytes. What is no such thing has no captions.
    """
    found: set[str] = set()
    for unit in _units(media, length_size):
        kind = unit[0] >> 1 & 0x3F if hevc else unit[0] & 0x1F
        if kind == (39 if hevc else 6):
            # Emulation prevention (H.264 7.4.1): a 3 behind two zeros is no data.
            payloads = bytes(unit[2 if hevc else 1 :]).replace(b"\0\0\3", b"\0\0")
            for payload in _messages(payloads):
                found |= _channels(payload)
    return found if found == {"SERVICE1"} else found - {"SERVICE1"}


def _units(media: bytes | memoryview, length_size: int) -> Iterator[memoryview]:
    view, at = memoryview(media), 0
    while at + length_size < len(view):
        length = int.from_bytes(view[at : at + length_size], "big")
        at += length_size
        if length < 2 or at + length > len(view):
            return
        yield view[at : at + length]
        at += length


def _messages(data: bytes) -> Iterator[bytes]:
    """Payloads of registered user data in one SEI NAL unit (H.264 7.3.2.3.1)."""
    at = 0
    while at + 2 < len(data):  # the last byte is rbsp_trailing_bits
        kind = size = 0
        while at < len(data) and data[at] == 0xFF:
            kind, at = kind + 255, at + 1
        kind, at = kind + (data[at] if at < len(data) else 0), at + 1
        while at < len(data) and data[at] == 0xFF:
            size, at = size + 255, at + 1
        size, at = size + (data[at] if at < len(data) else 0), at + 1
        if kind == _REGISTERED:
            yield data[at : at + size]
        at += size


def _channels(payload: bytes) -> set[str]:
    if not payload.startswith(_USER_DATA) or len(payload) < len(_USER_DATA) + 2:
        return set()
    flags = payload[len(_USER_DATA)]
    if not flags & 0x40:  # process_cc_data_flag
        return set()
    found = set()
    triplets = payload[len(_USER_DATA) + 2 :]
    for at in range(0, min(3 * (flags & 0x1F), len(triplets) - 2), 3):
        valid, kind = triplets[at] & 4, triplets[at] & 3
        first = triplets[at + 1] & 0x7F  # without its parity
        if not valid:
            continue
        if kind >= 2:
            found.add("SERVICE1")
        elif first & 0x70 == 0x10:  # a control code; its bit 3 is the channel
            found.add(f"CC{1 + 2 * kind + (first >> 3 & 1)}")
        elif kind == 0:
            found.add("CC1")
        elif first >= 0x20:  # text; less is XDS or filling
            found.add("CC3")
    return found
