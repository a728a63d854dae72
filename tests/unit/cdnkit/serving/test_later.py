"""A response that comes later is written as the same one by an application's messages would be."""

import asyncio
from itertools import product
from typing import Any

import pytest

from cdnkit.serving.exchange import Exchange, status_line
from cdnkit.serving.front_roles import Later, Outlet, Whole
from cdnkit.serving.later import COPIED_BYTES, LaterExchange
from tests.kit.virtual_time import run_virtually

END = b"date: today\r\n\r\n"


class Transport:
    def __init__(self) -> None:
        self.written = b""
        self.buffered = 0
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True

    def get_extra_info(self, name: str) -> Any:
        return None


class Front:
    """What an exchange sees of one."""

    def __init__(self) -> None:
        self.transport: Any = Transport()
        self.full = False
        self.end_of_head = END
        self.stalled_after = 10.0
        self.ended: list[bool] = []

    def taken(self) -> int:
        return -self.transport.buffered

    def answer(self, answer: Whole, *, closes: bool) -> None: ...

    def call(self, method: str, scope: Any, *, closes: bool) -> None: ...

    def over(self, *, ends: bool) -> None:
        self.ended.append(ends)


class Noted(Later):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def begin(self, outlet: Outlet) -> None: ...

    def on_room(self) -> None:
        self.heard.append("room")

    def on_sent(self) -> None:
        self.heard.append("sent")

    def on_left(self, why: str) -> None:
        self.heard.append(f"left: {why}")


PIECES = ([], [b"a"], [b"a", b"bc"], [b"x" * (COPIED_BYTES + 1)])


@pytest.mark.parametrize("pieces", PIECES, ids=len)
def test_the_same_bytes_as_of_an_application(pieces: list[bytes]) -> None:
    async def run() -> None:
        for method, sized, closes, ends in product(("GET", "HEAD"), *[(False, True)] * 3):
            length = sum(map(len, pieces)) if sized else None
            fields = [] if length is None else [("content-length", str(length))]
            if ends:
                fields.append(("connection", "close"))
            sent = [] if method == "HEAD" else pieces
            theirs, ours = Front(), Front()
            exchange = Exchange(theirs, method, closes=closes)
            headers = [(name.encode(), value.encode()) for name, value in fields]
            await exchange.send({"type": "http.response.start", "status": 200, "headers": headers})
            for piece in sent:
                await exchange.send({"type": "http.response.body", "body": piece, "more_body": True})
            await exchange.send({"type": "http.response.body", "body": b""})
            later = Noted()
            outlet = LaterExchange(ours, method, later, closes=closes)
            lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
            outlet.start(status_line(200) + lines.encode(), length, ends=ends)
            for piece in sent:
                outlet.write(piece)
            outlet.end()
            assert ours.transport.written == theirs.transport.written
            assert ours.ended == [exchange.ends] and later.heard == ["sent"]

    asyncio.run(run())


@pytest.mark.parametrize("wrong", ["too long", "too short"])
def test_a_body_of_another_length_than_its_heads_ends_the_connection(wrong: str) -> None:
    front, later = Front(), Noted()
    outlet = LaterExchange(front, "GET", later, closes=False)
    outlet.start(status_line(200), 2, ends=False)
    with pytest.raises(ValueError, match=f"1 bytes {wrong}"):
        if wrong == "too long":
            outlet.write(b"abc")
        else:
            outlet.write(b"a")
            outlet.end()
    assert b"abc" not in front.transport.written
    assert front.ended == ([True] if wrong == "too short" else [])  # the other is its application's to fail


def test_a_client_that_leaves_is_given_up_and_one_without_a_head_hears_of_it() -> None:
    front, later = Front(), Noted()
    outlet = LaterExchange(front, "GET", later, closes=False)
    outlet.leave()
    outlet.leave()
    assert later.heard == ["left: "] and front.ended == [True]
    assert front.transport.written.startswith(b"HTTP/1.1 500 ")


def test_an_interim_response_goes_out_before_the_head_and_never_behind_it() -> None:
    front = Front()
    outlet = LaterExchange(front, "GET", Noted(), closes=False)
    outlet.interim(103, [("link", "</a>")])
    assert front.transport.written == b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
    outlet.start(status_line(200), 0, ends=False)
    outlet.interim(103, [])
    assert front.transport.written.count(b"103") == 1


def test_a_client_that_takes_nothing_is_dropped_and_one_that_takes_a_little_is_not() -> None:
    async def run() -> None:
        front, later = Front(), Noted()
        outlet = LaterExchange(front, "GET", later, closes=False)
        outlet.start(status_line(200), None, ends=False)
        front.full, front.transport.buffered = True, 100_000
        outlet.write(b"abc")
        for left in (90_000, 80_000):
            front.transport.buffered = left
            await asyncio.sleep(front.stalled_after)
            assert not front.transport.aborted
        await asyncio.sleep(2 * front.stalled_after)
        assert front.transport.aborted and later.heard == ["left: viewer: took nothing for 10 s"]

    run_virtually(run())


def test_a_client_that_takes_more_again_is_not_watched_any_longer() -> None:
    async def run() -> None:
        front, later = Front(), Noted()
        outlet = LaterExchange(front, "GET", later, closes=False)
        outlet.start(status_line(200), None, ends=False)
        front.full = True
        outlet.write(b"abc")
        front.full = False
        outlet.wake()
        await asyncio.sleep(3 * front.stalled_after)
        assert later.heard == ["room"] and not front.transport.aborted

    run_virtually(run())
