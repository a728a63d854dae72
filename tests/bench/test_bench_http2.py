"""What HTTP/2 itself costs a request that is answered at once: frames, field section, head, response; no socket."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

from hpack import Encoder
from pytest_benchmark.fixture import BenchmarkFixture

from cdnkit.serving import Client, Fields, Listener, Whole, field_block, status_block
from cdnkit.serving.frames import END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, frame, window_update
from cdnkit.serving.front_http2 import Http2Front
from cdnkit.serving.heads_http2 import Heads

BATCH = 4
"""Requests that one read brings, as h2load's -m4 has them."""


class Ready(Whole):
    """1.2 kB that are always there."""

    __slots__ = ()

    def done(self, sent: int, why: str | None) -> None:
        pass


class AlwaysReady:
    """Answers every request alike."""

    def __init__(self) -> None:
        self.answer = Ready()
        self.answer.head = status_block(200) + field_block([("cache-status", "fra; hit"), ("content-length", "1200")])
        self.answer.body, self.answer.ends = bytes(1200), False

    def respond(self, method: str, target: str, fields: Fields, client: Client) -> Whole:
        return self.answer


class Nowhere(asyncio.Transport):
    """Takes all that is written."""

    def write(self, data: Any) -> None:
        pass

    writelines = write

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False


def reads() -> Iterator[bytes]:
    encoder = Encoder()
    head = [(":method", "GET"), (":path", "/1k"), (":scheme", "http"), (":authority", "a.example"), ("user-agent", "x")]
    for first in range(1, 2**31, 2 * BATCH):
        ids = range(first, first + 2 * BATCH, 2)
        blocks = [frame(HEADERS, END_HEADERS | END_STREAM, one, encoder.encode(head)) for one in ids]
        yield b"".join([*blocks, window_update(0, BATCH * 1200)])


def test_a_read_of_four_requests(benchmark: BenchmarkFixture) -> None:
    async def make() -> Http2Front:
        listener = Listener(lambda *_: None, logging.getLogger("bench"), front=AlwaysReady())  # type: ignore[arg-type, return-value]
        listener.end_of_block = b""
        front = Http2Front(listener, asyncio.get_running_loop(), Nowhere(), Client("127.0.0.1", 1, "http", None))
        front.begin(PREFACE + frame(SETTINGS, 0, 0))
        return front

    loop = asyncio.new_event_loop()
    front, coming = loop.run_until_complete(make()), reads()
    benchmark.pedantic(lambda data: front.data_received(data), setup=lambda: ((next(coming),), {}), rounds=5000)
    loop.close()


def test_a_field_section_is_read_once(benchmark: BenchmarkFixture) -> None:
    came = [
        (b":method", b"GET", False),
        (b":path", b"/a", False),
        (b":authority", b"h", False),
        (b"user-agent", b"x", False),
    ]
    heads = Heads()
    came.insert(2, (b":scheme", b"http", False))
    benchmark(lambda: heads.read(list(came), ended=True))
    assert heads.remembered == 1


def test_a_field_section_that_is_new(benchmark: BenchmarkFixture) -> None:
    heads = Heads()
    came = [
        (b":method", b"GET", False),
        (b":scheme", b"http", False),
        (b":path", b"*", False),
        (b":authority", b"h", False),
    ]
    benchmark(lambda: heads.read(list(came), ended=True))
    assert heads.remembered == 0
