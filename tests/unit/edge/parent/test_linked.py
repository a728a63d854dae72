"""What passes a simulated wire, and when: beside a transport and a protocol that write down what they are told."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, cast

import pytest

from cdnkit.policy.upstream.link import Link, Wire
from edge.parent.linked import Linked
from tests.kit.virtual_time import run_virtually

LATENCY_S = 0.25


def now() -> float:
    return round(asyncio.get_running_loop().time(), 3)


class Inner(asyncio.Protocol):
    def __init__(self) -> None:
        self.heard: list[tuple[float, object]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.heard.append((now(), data))

    def connection_lost(self, error: Exception | None) -> None:
        self.heard.append((now(), "lost" if error is None else error))

    def pause_writing(self) -> None:
        self.heard.append((now(), "pause"))

    def resume_writing(self) -> None:
        self.heard.append((now(), "resume"))


class Socket:
    """The transport of the socket below; it tells of its end as asyncio's do."""

    def __init__(self) -> None:
        self.did: list[tuple[float, object]] = []
        self.closing = False

    def write(self, data: bytes) -> None:
        self.did.append((now(), data))

    def close(self) -> None:
        self._end("closed")

    def abort(self) -> None:
        self._end("aborted")

    def _end(self, how: str) -> None:
        if not self.closing:
            self.closing = True
            self.did.append((now(), how))
            asyncio.get_running_loop().call_soon(self.wire.connection_lost, None)

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.did.append((now(), "pause"))

    def resume_reading(self) -> None:
        self.did.append((now(), "resume"))

    wire: Linked


class Lab:
    def __init__(self) -> None:
        self.inner, self.socket = Inner(), Socket()
        self.wire = self.socket.wire = Linked(self.inner, Link(Wire(latency=LATENCY_S), Random(1)))
        self.wire.connection_made(cast(Any, self.socket))

    def parent_closes(self, error: Exception | None = None) -> None:
        self.socket.closing = True
        self.wire.connection_lost(error)


def closes(lab: Lab) -> None:
    lab.inner.transport.close()


def aborts(lab: Lab) -> None:
    lab.inner.transport.abort()


def parent_closes(lab: Lab) -> None:
    lab.parent_closes()


def parent_sends(lab: Lab) -> None:
    lab.wire.data_received(b"pong")


def sends(lab: Lab) -> None:
    lab.inner.transport.write(b"ping")


def waits(seconds: float) -> Callable[[Lab], Any]:
    return lambda lab: asyncio.sleep(seconds)


RESET = ConnectionResetError("reset")
SCRIPTS: list[tuple[str, list[Callable[[Lab], Any]], list[tuple[float, object]], list[tuple[float, object]]]] = [
    # what happens, what the protocol hears, what the socket is told
    ("both ways take the latency", [sends, waits(0.1), parent_sends], [(0.35, b"pong")], [(0.25, b"ping")]),
    ("in order", [sends, waits(0.1), sends], [], [(0.25, b"ping"), (0.35, b"ping")]),
    ("a close is behind the last byte", [sends, closes], [(0.5, "lost")], [(0.25, b"ping"), (0.25, "closed")]),
    ("an end is heard of behind the last byte", [parent_sends, waits(0.1), parent_closes], [(0.25, b"pong"), (0.35, "lost")], []),
    ("an end takes the latency, too", [parent_closes], [(0.25, "lost")], []),
    ("why it ended is told", [lambda lab: lab.parent_closes(RESET)], [(0.25, RESET)], []),
    ("an abort is at once, and drops what is on its way", [sends, parent_sends, waits(0.1), aborts], [(0.1, "lost")], [(0.1, "aborted")]),
    ("what comes after an abort is nothing", [aborts, parent_sends], [(0.0, "lost")], [(0.0, "aborted")]),
    ("an abort while the news of an end is on its way", [parent_closes, waits(0.1), aborts], [(0.1, "lost")], []),
    ("an abort when the end is known", [parent_closes, waits(0.5), aborts], [(0.25, "lost")], []),
    ("two aborts are one", [aborts, waits(0.1), aborts], [(0.0, "lost")], [(0.0, "aborted")]),
    ("nothing is sent to one who has gone", [parent_closes, sends], [(0.25, "lost")], []),
]  # fmt: skip


@pytest.mark.parametrize(("script", "heard", "did"), [row[1:] for row in SCRIPTS], ids=[row[0] for row in SCRIPTS])
def test_what_passes_a_wire_and_when(
    script: list[Callable[[Lab], Any]], heard: list[tuple[float, object]], did: list[tuple[float, object]]
) -> None:
    async def run() -> None:
        lab = Lab()
        for step in script:
            if (waiting := step(lab)) is not None:
                await waiting
        await asyncio.sleep(10.0)
        assert lab.inner.heard == heard
        assert lab.socket.did == did

    run_virtually(run())
