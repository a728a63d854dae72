"""HTTP/2's frames, as octets (RFC 9113 §4.1, §6)."""

import struct

from h2.errors import ErrorCodes

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""The first octets of a client's connection (§3.4)."""

FRAME_HEAD = struct.Struct(">IBI")
"""Length and type in the first word, flags, stream."""
HEAD_BYTES = 9
LARGEST_FRAME = 16_384
"""Of a payload, in both directions: what every peer accepts (SETTINGS_MAX_FRAME_SIZE)."""
RECORD_BYTES = 16_384
"""The content of a TLS record (RFC 8446 §5.1): a frame of DATA that fills one is not cut into two."""
INITIAL_WINDOW = 65_535
"""Of a connection, and of a stream until SETTINGS says something else (§6.9.2)."""
LARGEST_WINDOW = 2**31 - 1

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION, PRIORITY_UPDATE = 5, 6, 7, 8, 9, 16
"""Types; the last is RFC 9218's (§7.1)."""

END_STREAM, END_HEADERS, PADDED, WITH_PRIORITY = 0x1, 0x4, 0x8, 0x20
ACK = END_STREAM
"""Flags."""

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 1, 2, 3, 4
MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE, NO_RFC7540_PRIORITIES = 5, 6, 9
"""Settings; the last is RFC 9218's (§2.1)."""

Code = ErrorCodes
"""Why a stream or a connection ends (§7)."""

_WINDOW_UPDATE = struct.Struct(">IBII")
_SETTING = struct.Struct(">HI")


class ConnectionFault(Exception):
    """The client broke a rule for which its connection ends (§5.4.1)."""

    def __init__(self, code: Code) -> None:
        super().__init__(code.name)
        self.code = code


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    return FRAME_HEAD.pack(len(payload) << 8 | kind, flags, stream_id) + payload


def head_frames(stream_id: int, block: bytes, *, last: bool) -> bytes:
    """HEADERS, with the CONTINUATIONs that a large block needs; `last`: nothing follows on the stream."""
    flags = END_STREAM if last else 0
    if len(block) <= LARGEST_FRAME:
        return FRAME_HEAD.pack(len(block) << 8 | HEADERS, flags | END_HEADERS, stream_id) + block
    parts = [block[at : at + LARGEST_FRAME] for at in range(0, len(block), LARGEST_FRAME)]
    frames = [frame(HEADERS, flags, stream_id, parts[0])]
    frames += [frame(CONTINUATION, 0, stream_id, part) for part in parts[1:-1]]
    return b"".join([*frames, frame(CONTINUATION, END_HEADERS, stream_id, parts[-1])])


def window_update(stream_id: int, increment: int) -> bytes:
    return _WINDOW_UPDATE.pack(4 << 8 | WINDOW_UPDATE, 0, stream_id, increment)


def reset(stream_id: int, code: Code) -> bytes:
    return _WINDOW_UPDATE.pack(4 << 8 | RST_STREAM, 0, stream_id, code)


def goaway(last_stream: int, code: Code) -> bytes:
    return frame(GOAWAY, 0, 0, struct.pack(">II", last_stream, code))


def settings(values: dict[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*one) for one in values.items()))


def settings_in(payload: bytes) -> dict[int, int]:
    """What a client's SETTINGS say. ConnectionFault: a value that is not allowed (§6.5.2)."""
    if len(payload) % _SETTING.size:
        raise ConnectionFault(Code.FRAME_SIZE_ERROR)
    values: dict[int, int] = dict(_SETTING.iter_unpack(payload))
    if values.get(INITIAL_WINDOW_SIZE, 0) > LARGEST_WINDOW:
        raise ConnectionFault(Code.FLOW_CONTROL_ERROR)
    size = values.get(MAX_FRAME_SIZE, LARGEST_FRAME)
    if values.get(ENABLE_PUSH, 0) > 1 or not LARGEST_FRAME <= size < 2**24:
        raise ConnectionFault(Code.PROTOCOL_ERROR)
    return values


def content_of(flags: int, payload: bytes) -> bytes:
    """The payload of DATA or HEADERS without its padding (§6.1)."""
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ConnectionFault(Code.PROTOCOL_ERROR)
    return payload[1 : len(payload) - payload[0]]
