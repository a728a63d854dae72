"""Frames as they come: what ends a connection, and with which code (RFC 9113 §6). Whatever comes, nothing else happens."""

import asyncio
import random
from collections.abc import Callable

import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    ExtensionFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)  # fmt: skip

from cdnkit.serving.budget import ODDITIES, RESETS
from cdnkit.serving.frame_reader import CONTINUATIONS, FrameReader
from cdnkit.serving.frames import PREFACE, PRIORITY_UPDATE, Code, ConnectionFault


class Noted:
    """Writes down what it is called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def on_block(self, stream_id: int, block: bytes, *, ended: bool) -> None:
        self.calls.append(("block", stream_id, block, ended))

    def on_data(self, stream_id: int, data: bytes, size: int, *, ended: bool) -> None:
        self.calls.append(("data", stream_id, data, size, ended))

    def on_window(self, stream_id: int, increment: int) -> None:
        self.calls.append(("window", stream_id, increment))

    def on_reset(self, stream_id: int) -> None:
        self.calls.append(("reset", stream_id))

    def on_settings(self, values: dict[int, int]) -> None:
        self.calls.append(("settings", values))

    def on_ping(self, payload: bytes) -> None:
        self.calls.append(("ping", payload))

    def on_priority(self, stream_id: int, value: str) -> None:
        self.calls.append(("priority", stream_id, value))

    def on_goaway(self) -> None:
        self.calls.append(("goaway",))


START = PREFACE + SettingsFrame(0).serialize()


def fed(
    *frames: Frame | bytes, cut: Callable[[bytes], list[bytes]] = lambda all_: [all_], start: bytes = START
) -> object:
    """What the frames came to: the calls after the first SETTINGS, or the code of the fault."""
    loop = asyncio.new_event_loop()
    try:
        noted = Noted()
        reader = FrameReader(noted, loop, 50_000)
        stream = start + b"".join(one if isinstance(one, bytes) else one.serialize() for one in frames)
        try:
            for piece in cut(stream):
                reader.feed(piece)
        except ConnectionFault as fault:
            return fault.code
        return noted.calls[1:]
    finally:
        loop.close()


def raw(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream_id.to_bytes(4, "big") + payload


FRAMES = [  # frames                                                                what they come to
    ([HeadersFrame(1, b"ab", flags=["END_HEADERS", "END_STREAM"])], [("block", 1, b"ab", True)]),
    ([HeadersFrame(1, b"a"), ContinuationFrame(1, b"b"), ContinuationFrame(1, b"c", flags=["END_HEADERS"])],
     [("block", 1, b"abc", False)]),
    ([HeadersFrame(1, b"ab", flags=["END_HEADERS", "PADDED"], pad_length=9)], [("block", 1, b"ab", False)]),
    ([HeadersFrame(3, b"a", flags=["END_HEADERS", "PRIORITY"], depends_on=1)], [("block", 3, b"a", False)]),
    ([DataFrame(1, b"xy", flags=["PADDED"], pad_length=5)], [("data", 1, b"xy", 8, False)]),
    ([WindowUpdateFrame(0, 7), WindowUpdateFrame(1, 9)], [("window", 0, 7), ("window", 1, 9)]),
    ([RstStreamFrame(1, 8), PingFrame(0, b"12345678"), PingFrame(0, b"12345678", flags=["ACK"])],
     [("reset", 1), ("ping", b"12345678")]),
    ([SettingsFrame(0, {4: 5}), SettingsFrame(0, flags=["ACK"])], [("settings", {4: 5})]),
    ([raw(PRIORITY_UPDATE, 0, 0, b"\0\0\0\5u=1")], [("priority", 5, "u=1")]),
    ([GoAwayFrame(0), PriorityFrame(5), ExtensionFrame(200, 1, body=b"x")], [("goaway",)]),
    # what no client may send
    ([raw(0, 0, 0, b"x")], Code.PROTOCOL_ERROR),
    ([raw(1, 4, 0, b"x")], Code.PROTOCOL_ERROR),
    ([ContinuationFrame(1, b"x")], Code.PROTOCOL_ERROR),
    ([HeadersFrame(1, b"a"), ContinuationFrame(3, b"b")], Code.PROTOCOL_ERROR),
    ([HeadersFrame(1, b"a"), PingFrame(0, b"12345678")], Code.PROTOCOL_ERROR),
    ([HeadersFrame(1, b"a", flags=["END_HEADERS", "PRIORITY"], depends_on=1)], Code.PROTOCOL_ERROR),
    ([raw(0, 8, 1, b"\x05abc")], Code.PROTOCOL_ERROR),  # more padding than payload
    ([raw(0, 8, 1, b"")], Code.PROTOCOL_ERROR),
    ([raw(0, 0, 1, bytes(16_385))], Code.FRAME_SIZE_ERROR),
    ([raw(3, 0, 1, b"abc")], Code.FRAME_SIZE_ERROR),
    ([raw(6, 0, 0, b"abc")], Code.FRAME_SIZE_ERROR),
    ([raw(6, 0, 1, b"12345678")], Code.PROTOCOL_ERROR),
    ([raw(4, 0, 1, b"")], Code.PROTOCOL_ERROR),
    ([raw(4, 0, 0, b"abc")], Code.FRAME_SIZE_ERROR),
    ([raw(4, 1, 0, bytes(6))], Code.FRAME_SIZE_ERROR),
    ([raw(4, 0, 0, b"\0\2\0\0\0\2")], Code.PROTOCOL_ERROR),
    ([raw(4, 0, 0, b"\0\4\x80\0\0\0")], Code.FLOW_CONTROL_ERROR),
    ([raw(4, 0, 0, b"\0\5\0\0\0\1")], Code.PROTOCOL_ERROR),
    ([raw(7, 0, 0, b"abc")], Code.FRAME_SIZE_ERROR),
    ([raw(8, 0, 1, b"abc")], Code.FRAME_SIZE_ERROR),
    ([raw(2, 0, 1, b"abc")], Code.FRAME_SIZE_ERROR),
    ([raw(2, 0, 0, b"abcde")], Code.PROTOCOL_ERROR),
    ([raw(PRIORITY_UPDATE, 0, 0, bytes(4))], Code.PROTOCOL_ERROR),
    ([PushPromiseFrame(1, 2, flags=["END_HEADERS"])], Code.PROTOCOL_ERROR),
    # floods
    ([HeadersFrame(1, b""), *[ContinuationFrame(1, b"")] * CONTINUATIONS], Code.ENHANCE_YOUR_CALM),
    ([HeadersFrame(1, bytes(16_000)), *[ContinuationFrame(1, bytes(16_000))] * 3], Code.ENHANCE_YOUR_CALM),
    ([PingFrame(0, b"12345678").serialize() * 2 * int(ODDITIES[0])], Code.ENHANCE_YOUR_CALM),
    ([PingFrame(0, b"12345678", flags=["ACK"]).serialize() * 2 * int(ODDITIES[0])], Code.ENHANCE_YOUR_CALM),
    ([raw(200, 0, 1, b"") * 2 * int(ODDITIES[0])], Code.ENHANCE_YOUR_CALM),
    ([RstStreamFrame(1, 8).serialize() * 2 * int(RESETS[0])], Code.ENHANCE_YOUR_CALM),
]  # fmt: skip


@pytest.mark.parametrize(("frames", "come_to"), FRAMES)
def test_frames_are_read_or_end_the_connection(frames: list[Frame | bytes], come_to: object) -> None:
    assert fed(*frames) == come_to


@pytest.mark.parametrize(("frames", "come_to"), FRAMES[:10])
def test_frames_are_read_alike_wherever_they_are_cut(frames: list[Frame | bytes], come_to: object) -> None:
    assert fed(*frames, cut=lambda all_: [all_[at : at + 1] for at in range(len(all_))]) == come_to


BEGINNINGS = [
    b"GET / HTTP/1.1\r\n\r\n", PREFACE[:-1] + b"x", PREFACE + PingFrame(0, b"12345678").serialize(),
    PREFACE + SettingsFrame(0, flags=["ACK"]).serialize(), PREFACE + HeadersFrame(1, b"", flags=["END_HEADERS"]).serialize(),
]  # fmt: skip


@pytest.mark.parametrize("start", BEGINNINGS)
def test_a_connection_begins_with_the_preface_and_settings(start: bytes) -> None:
    assert fed(start=start) == Code.PROTOCOL_ERROR


@pytest.mark.parametrize("seed", range(300))
def test_whatever_comes_is_read_or_ends_the_connection(seed: int) -> None:
    rng = random.Random(seed)
    frames: list[Frame | bytes] = []
    for _ in range(rng.randint(1, 40)):
        size = rng.choice((0, 1, 4, 5, 6, 8, 12, 100, 16_384))
        frames.append(raw(rng.choice((*range(11), 16, 200)), rng.choice((0, 1, 4, 5, 8, 0x20, 255)), rng.choice((0, 1, 2, 3, 2**31 + 1)),
                          rng.randbytes(size)))  # fmt: skip
    fed(
        *frames,
        cut=lambda all_: [
            all_[:cut] if not at else all_[cut:] for at, cut in enumerate([rng.randrange(len(all_))] * 2)
        ],
    )
