"""A fill without a task, on a connection that rests, has the same response, records and requests as one on a new
connection, whatever the parent does; and what cannot end like that goes on in a task."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from cdnkit.policy.outcomes import Failure
from cdnkit.policy.rules.service import Behavior
from tests.kit.http import Reply, ask
from tests.kit.node import running_node
from tests.kit.origin import Asked, Origin, running_origin

FRESH, SMALL = b"cache-control: max-age=60\r\n", b"content-length: 5\r\n\r\nhello"
LARGE = bytes(range(256)) * 4096
OK = b"HTTP/1.1 200 OK\r\n"
PARENTS: list[tuple[str, str, tuple[bytes, ...], bool]] = [  # what it is, method, what is sent piece by piece, and closed
    ("stored", "GET", (OK + FRESH + SMALL,), False),
    ("in pieces", "GET", (OK[:9], OK[9:] + FRESH[:7], FRESH[7:] + SMALL[:-3], SMALL[-3:-1], SMALL[-1:]), False),
    ("chunked", "GET", (OK + FRESH + b"transfer-encoding: chunked\r\n\r\n5\r\nhel", b"lo\r\n0\r\n", b"\r\n"), False),
    ("to its close", "GET", (OK + FRESH + b"\r\nhel", b"lo"), True),
    ("HEAD", "HEAD", (OK + FRESH + b"content-length: 5\r\n\r\n",), False),
    ("204", "GET", (b"HTTP/1.1 204 No\r\n" + FRESH + b"\r\n",), False),
    ("404", "GET", (b"HTTP/1.1 404 No\r\n" + SMALL,), False),
    ("500", "GET", (b"HTTP/1.1 500 No\r\n" + SMALL,), False),
    ("no-store", "GET", (OK + b"cache-control: no-store\r\n" + SMALL,), False),
    ("no-store, large", "GET", (OK + b"cache-control: no-store\r\ncontent-length: %d\r\n\r\n" % len(LARGE), LARGE), False),
    ("no-store, large, one read", "GET", (OK + b"cache-control: private\r\ncontent-length: 200000\r\n\r\n" + LARGE[:200_000],), False),
    ("large", "GET", (OK + FRESH + b"content-length: %d\r\n\r\n" % len(LARGE), LARGE), False),
    ("too large to store", "GET", (OK + FRESH + b"transfer-encoding: chunked\r\n\r\n", b"%x\r\n" % len(LARGE), LARGE, b"\r\n0\r\n\r\n"), False),
    ("surplus", "GET", (OK + FRESH + SMALL + b"and more",), False),
    ("surplus of chunks", "GET", (OK + FRESH + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n",), False),
    # A server sends the last chunk once more, alone: Go says "unsolicited response received on idle HTTP channel".
    ("a second last chunk", "GET", (OK + FRESH + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n0\r\n\r\n",), False),
    ("cut short", "GET", (OK + FRESH + b"content-length: 50\r\n\r\nhello",), True),
    ("chunks cut short", "GET", (OK + FRESH + b"transfer-encoding: chunked\r\n\r\n5\r\nhel",), True),
    ("malformed chunks", "GET", (OK + FRESH + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n",), False),
    ("no head", "GET", (b"what?\r\n\r\n",), False),
    ("half a head", "GET", (OK + b"x: y\r\n",), True),
    ("101", "GET", (b"HTTP/1.1 101 Up\r\nupgrade: x\r\n\r\n",), False),
    ("early hints", "GET", (b"HTTP/1.1 103 Early\r\nlink: </a>\r\n\r\n", OK + FRESH + SMALL), False),
    ("206 to no range", "GET", (b"HTTP/1.1 206 Part\r\ncontent-range: bytes 0-4/9\r\n" + SMALL,), False),
    ("304 to no condition", "GET", (b"HTTP/1.1 304 No\r\n\r\n",), False),
    ("two lengths", "GET", (OK + FRESH + b"content-length: 4\r\n" + SMALL,), False),
    ("length and chunks", "GET", (OK + FRESH + b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",), False),
]  # fmt: skip


def sending(pieces: tuple[bytes, ...], *, closes: bool) -> Callable[[Asked, asyncio.StreamWriter], Any]:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        if closes:
            writer.close()

    return script


def shown(reply: Reply) -> tuple[object, ...]:
    return reply.status, [line for line in reply.headers.lines if line[0] != "date"], reply.body, reply.whole


def facts(record: dict[str, Any]) -> dict[str, Any]:
    """What does not follow from the clock and from what was before."""
    return {name: value for name, value in record.items() if name in KEPT}


KEPT = {"method", "status", "outcome", "cause", "bytes_sent", "reason", "aborted", "purpose", "failure", "size_bytes"}


async def answered(tmp_path: Path, origin: Origin, method: str, *, rests: bool) -> list[object]:
    records = tmp_path / f"{rests}.jsonl"
    rules = Behavior(path="*")
    async with running_node(
        origin.url, rules, records=records, largest="512KiB", timeouts={"between_bytes": "2s", "first_byte": "2s"}
    ) as node:
        if rests:
            await node.get("/warm")
        before = len(origin.asked)
        first = await ask(node.url, "/a", method=method)
        again = await ask(node.url, "/a", method=method)
        last = await node.get("/last")
        asked = [one.target for one in origin.asked[before:]]
    lines = [facts(record) for record in node.records() if "/warm" not in record["url"]]
    return [shown(first), shown(again), shown(last), asked, sorted(lines, key=repr)]


@pytest.mark.parametrize(
    ("pieces", "method", "closes"), [row[2:0:-1] + row[3:] for row in PARENTS], ids=[row[0] for row in PARENTS]
)
def test_a_connection_that_rests_changes_nothing(
    pieces: tuple[bytes, ...], method: str, closes: bool, tmp_path: Path
) -> None:
    async def run() -> None:
        async with running_origin() as origin:
            origin.says("/warm", b"x")
            origin.says("/last", b"the last one")
            origin.does("/a", sending(pieces, closes=closes))
            new = await answered(tmp_path, origin, method, rests=False)
            assert await answered(tmp_path, origin, method, rests=True) == new

    asyncio.run(run())


def test_a_connection_that_dies_costs_a_second_request_and_no_error() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, Behavior(path="*")) as node:

            async def dies_first(asked: Asked, writer: asyncio.StreamWriter) -> None:
                if origin.count["/a"] > 1:
                    writer.write(OK + FRESH + SMALL)
                else:
                    writer.close()

            origin.says("/warm", b"x")
            origin.does("/a", dies_first)
            await node.get("/warm")
            assert (await node.get("/a")).body == b"hello"
            assert origin.count["/a"] == 2

    asyncio.run(run())


@pytest.mark.parametrize("raw", [b"HTTP/1.1 503 No\r\n" + SMALL, b"what?\r\n\r\n"])
def test_what_fails_over_is_asked_of_the_next_parent(raw: bytes) -> None:
    async def run() -> None:
        async with AsyncExitStack() as stack:
            first, second = [await stack.enter_async_context(running_origin()) for _ in range(2)]
            first.says("/warm", b"x")
            first.does("/a", sending((raw,), closes=False))
            second.says("/a", b"from the second")
            node = await stack.enter_async_context(
                running_node(first.url, others=[second.url], failover={"to": [second.url]})
            )
            await node.get("/warm")
            assert (await node.get("/a")).body == b"from the second"
            assert (first.count["/a"], second.count["/a"]) == (1, 1)

    asyncio.run(run())


@pytest.mark.parametrize("raw", [b"", OK + FRESH + b"content-length: 50\r\n\r\nhello"])
def test_a_node_that_stops_ends_the_fills_that_are_under_way(raw: bytes, tmp_path: Path) -> None:
    async def run() -> None:
        records = tmp_path / "fra.jsonl"
        async with running_origin() as origin, running_node(origin.url, records=records) as node:
            came = asyncio.Event()

            async def begun(asked: Asked, writer: asyncio.StreamWriter) -> None:
                writer.write(raw)
                await writer.drain()
                came.set()
                await asyncio.sleep(60)

            origin.says("/warm", b"x")
            origin.does("/a", begun)
            await node.get("/warm")
            asking = asyncio.create_task(node.get("/a"))
            await came.wait()
            await node.stop()
            with suppress(asyncio.IncompleteReadError):
                assert not (await asking).whole
        fetches = [record for record in node.records() if "purpose" in record]
        assert [fetch["failure"] for fetch in fetches] == ["", Failure.ABANDONED.value]

    asyncio.run(run())
