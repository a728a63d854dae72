"""What goes out: never more than the windows let through, in order, and in the end all of it."""

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cdnkit.serving.frames import DATA, END_STREAM, FRAME_HEAD, INITIAL_WINDOW, LARGEST_FRAME, RECORD_BYTES
from cdnkit.serving.sender import SECURE_FRAMES, Sender
from cdnkit.serving.streams import Stream


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()

    def write(self, data: Any) -> None:
        self.written += data

    def writelines(self, list_of_data: Any) -> None:
        for data in list_of_data:
            self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def received(self) -> tuple[dict[int, bytes], set[int]]:
        """Bytes by stream, and the streams that have ended. Each frame is well-formed."""
        streams: dict[int, bytes] = {}
        ended = set[int]()
        at = 0
        while at < len(self.written):
            word, flags, stream_id = FRAME_HEAD.unpack_from(self.written, at)
            size = word >> 8
            assert word & 0xFF == DATA and size <= LARGEST_FRAME and stream_id not in ended
            at += 9 + size
            streams[stream_id] = streams.get(stream_id, b"") + self.written[at - size : at]
            if flags & END_STREAM:
                ended.add(stream_id)
        assert at == len(self.written)
        return streams, ended


PIECES = st.lists(st.integers(0, 40_000), min_size=1, max_size=4)
STREAMS = st.lists(st.tuples(PIECES, st.integers(0, 7), st.booleans()), min_size=1, max_size=5)
EVENTS = st.lists(
    st.tuples(st.sampled_from(["window", "connection", "settings", "full", "drained"]), st.integers(0, 4), st.integers(1, 30_000)),
    max_size=30,
)  # fmt: skip


@given(streams=STREAMS, window=st.integers(0, 100_000), events=EVENTS)
def test_windows_hold_and_everything_arrives(
    streams: list[tuple[list[int], int, bool]], window: int, events: list[tuple[str, int, int]]
) -> None:
    loop = asyncio.new_event_loop()
    wire, finished = Wire(), list[Stream]()
    sender = Sender(wire, loop, finished.append, lambda: None)
    sender.held = True
    sender.stream_window = window
    opened = [Stream(2 * at + 1, window, (urgency, shares)) for at, (_, urgency, shares) in enumerate(streams)]
    bodies: dict[int, bytes] = {}
    allowed, on_connection = {one.id: window for one in opened}, INITIAL_WINDOW
    most = dict(allowed)
    """The largest that a window was: what goes before it becomes smaller goes in good faith."""
    for one, (pieces, _, _) in zip(opened, streams, strict=True):
        for at, size in enumerate(pieces):
            piece = bytes((one.id + at,)) * size
            bodies[one.id] = bodies.get(one.id, b"") + piece
            one.push(piece, last=at == len(pieces) - 1)
            sender.push(one)
    for what, which, size in events:
        stream = opened[which % len(opened)]
        if what == "window":
            allowed[stream.id] += size
            sender.widen(stream, size)
        elif what == "connection":
            on_connection += size
            sender.widen(None, size)
        elif what == "settings":  # all windows become smaller or larger, below zero too
            for one in opened:
                sender.widen(one, size - 15_000)
                allowed[one.id] += size - 15_000
        else:
            sender.full = what == "full"
        sender.flush()
        received, _ = wire.received()
        assert sum(map(len, received.values())) <= on_connection
        for one in opened:
            assert one.taken == len(received.get(one.id, b"")) and bodies[one.id].startswith(received.get(one.id, b""))
            assert one.window == allowed[one.id] - one.taken
            most[one.id] = max(most[one.id], allowed[one.id])
            assert one.taken <= most[one.id]
    sender.full = False
    sender.widen(None, 10**6)
    for one in opened:
        sender.widen(one, 10**6)
    sender.flush()
    received, ended = wire.received()
    assert {one: body for one, body in received.items() if body} == {one: body for one, body in bodies.items() if body}
    assert ended == {one.id for one in opened} == {one.id for one in finished} and not sender.turns
    loop.close()


class SecureWire(Wire):
    """A connection over TLS, whose writes are kept apart."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return object() if name == "ssl_object" else default

    def write(self, data: Any) -> None:
        super().write(data)
        self.writes.append(bytes(data))


def test_over_tls_little_is_written_at_once_and_frames_fill_records() -> None:
    wire, loop = SecureWire(), asyncio.new_event_loop()
    sender = Sender(wire, loop, lambda _: None, lambda: None)
    sender.window = sender.stream_window = 2**30
    stream = Stream(1, 2**30, (3, True))
    body = bytes(range(256)) * 1000
    stream.push(body, last=True)
    sender.held = True
    sender.push(stream)
    sender.flush()
    loop.close()
    assert wire.received() == ({1: body}, {1})
    full, last = wire.writes[:-1], wire.writes[-1]
    assert {len(one) for one in full} == {SECURE_FRAMES * RECORD_BYTES} and len(last) <= SECURE_FRAMES * RECORD_BYTES
