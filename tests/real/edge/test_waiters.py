"""Requests that wait for one fill, with a front and without: the same answers, records and fetches, whatever happens.

Over HTTP/1.1 each has a connection of its own; over HTTP/2 they share one.

A script is made from a seed: who asks before the head comes, what the origin sends and how it ends, who joins in the
middle, who leaves, and what is purged. It runs before a node with a front and before one without.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest

from cdnkit.policy.rules.service import Behavior
from edge.wakes import WOKEN_PER_TURN
from tests.kit.burst import Viewer, connect, wire
from tests.kit.http2 import Client, Stream, http2
from tests.kit.hurry import QUIET_S, hurry
from tests.kit.late import GUARD_S
from tests.kit.node import Running, running_node
from tests.kit.origin import Asked, Origin, response, running_origin

FIELDS: tuple[dict[str, str], ...] = (
    *({},) * 8, {"Range": "bytes=0-1"}, {"Range": "bytes=2-"}, {"Range": "bytes=0-0,2-3"}, {"Range": "bytes=999999-"},
    {"If-None-Match": '"1"'}, {"If-None-Match": '"2"'}, {"If-Range": '"1"', "Range": "bytes=1-2"},
    {"Cache-Control": "no-cache"}, {"Cache-Control": "only-if-cached"}, {"A-Language": "en"}, {"A-Language": "de"},
    {"Accept-Encoding": "gzip"}, {"Authorization": "Bearer x"}, {"Connection": "close"},
)  # fmt: skip
METHODS = ("GET",) * 9 + ("HEAD",)
KEPT = 'HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\netag: "1"\r\n'
HEADS = (
    *(KEPT,) * 6,
    KEPT + "vary: A-Language\r\n",
    KEPT + "content-type: text/html\r\n",
    "HTTP/1.1 200 OK\r\ncache-control: no-store\r\n",
    'HTTP/1.1 200 OK\r\ncache-control: max-age=0\r\netag: "1"\r\n',
    "HTTP/1.1 404 No\r\ncache-control: max-age=5\r\n",
    "HTTP/1.1 500 Error\r\n",
    "HTTP/1.1 204 Nothing\r\ncache-control: max-age=60\r\n",
    "",
)
"""As the origin sends them, without their framing; "": it hangs up instead."""
ENDS = (*("whole",) * 6, "broken")
WHAT = {"url", "method", "status", "outcome", "cause", "reason", "headers", "head_bytes", "bytes_sent", "aborted", "refusal",
        "object_class", "behavior", "seq"}  # fmt: skip


Request = tuple[str, dict[str, str]]
"""Method and fields."""
Got = tuple[int, int, list[tuple[str, str]], bytes, bool]
"""Number, status, fields, body, and whether that is all of it."""
OF_WHO_LEFT = {"aborted", "bytes_sent", "status", "reason"}


@dataclass
class Script:
    """What happens to one object."""

    before: list[Request] = field(default_factory=list)
    """Requests that come before the origin's head."""
    head: str = KEPT
    chunked: bool = False
    pieces: list[bytes] = field(default_factory=list)
    between: list[list[Request]] = field(default_factory=list)
    """Requests that come before each piece."""
    leaving: dict[int, int] = field(default_factory=dict)
    """By the number of a request, before which piece its client leaves; -1: before the head."""
    purged: int | None = None
    """Before which piece the object is purged."""
    ends: str = "whole"


def script_of(seed: int) -> Script:
    rng = random.Random(seed)

    def asked(most: int) -> list[Request]:
        return [(rng.choice(METHODS), rng.choice(FIELDS)) for _ in range(rng.randint(0, most))]

    made = Script([("GET", rng.choice(FIELDS[:9])), *asked(8)], rng.choice(HEADS), rng.random() < 0.3)
    sizes = rng.choice(((5,), (5,), (1, 2, 3), (70_000,), (100_000, 1, 200_000), ()))
    made.pieces = [bytes([65 + at]) * size for at, size in enumerate(sizes)]
    made.between = [asked(2) for _ in sizes]
    number = len(made.before) + sum(map(len, made.between))
    if rng.random() < 0.4:
        made.leaving = {rng.randrange(number): rng.randint(-1, len(sizes)) for _ in range(2)}
    made.purged = rng.randint(0, len(sizes)) if rng.random() < 0.2 else None
    made.ends = rng.choice(ENDS)
    return made


def wire_of(script: Script) -> Iterator[bytes | None]:
    """What the origin sends, in its steps; None: it hangs up."""
    if not script.head:
        yield None
        return
    bodiless = " 204 " in script.head
    length = sum(map(len, script.pieces))
    framing = "transfer-encoding: chunked\r\n" if script.chunked else f"content-length: {length}\r\n"
    yield (script.head + ("" if bodiless else framing) + "\r\n").encode()
    for at, piece in enumerate(script.pieces):
        if bodiless:
            yield b""
        elif script.ends == "broken" and at == len(script.pieces) - 1:
            yield None
            return
        else:
            yield b"%x\r\n%b\r\n" % (len(piece), piece) if script.chunked else piece
    yield b"0\r\n\r\n" if script.chunked and not bodiless else b""


async def settled() -> None:
    """All that can happen has happened: node, origin and clients are in one loop."""
    for _ in range(40):
        await asyncio.sleep(0)


class Clients(Protocol):
    """All who ask, by the number of the request."""

    async def ask(self, which: int, request: Request) -> None: ...

    async def leave(self, which: int) -> None: ...

    async def got(self, which: int) -> Got: ...


class Http1:
    def __init__(self, viewers: list[Viewer]) -> None:
        self.viewers = viewers

    async def ask(self, which: int, request: Request) -> None:
        self.viewers[which].ask(wire("/x", request[0], **request[1]))

    async def leave(self, which: int) -> None:
        self.viewers[which].leave()

    async def got(self, which: int) -> Got:
        one = await asyncio.wait_for(self.viewers[which].done, GUARD_S)
        return which, one.status, sorted(_meant(one.fields, one.body)), one.body, one.whole


class Http2:
    def __init__(self, client: Client) -> None:
        self.client = client
        self.streams: dict[int, tuple[int, Stream]] = {}

    async def ask(self, which: int, request: Request) -> None:
        method, fields = request
        lines = [(name.lower(), value) for name, value in fields.items() if name != "Connection"]
        number = self.client.h2.get_next_available_stream_id()
        stream = await self.client.ask("/x", *lines, method=method, authority="edge")
        self.streams[which] = number, stream

    async def leave(self, which: int) -> None:
        if which in self.streams and not self.streams[which][1].over:
            self.client.h2.reset_stream(self.streams[which][0])
            await self.client.flush()

    async def got(self, which: int) -> Got:
        stream = self.streams[which][1]
        await self.client.until(stream)
        # What is left of a body when its stream is reset depends on the windows of that moment.
        body = bytes(stream.body) if stream.whole else b""
        return which, stream.status, sorted(stream.headers.items()), body, stream.whole


@asynccontextmanager
async def clients(node: Running, number: int, version: str) -> AsyncIterator[Clients]:
    if version == "2":
        async with http2(node.url) as client:
            yield Http2(client)
    else:
        yield Http1(await connect(node.url, number))


async def run_on(node: Running, origin: Origin, script: Script, version: str) -> list[Got]:
    """What each client got that did not leave."""
    steps: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def first(asked: Asked, writer: asyncio.StreamWriter) -> None:
        origin.says("/x", b"again", cache_control="max-age=60", etag='"9"')
        if asked.method == "HEAD":
            writer.write(response(b"", 200, "HEAD", cache_control="max-age=60"))
            return
        while (step := await steps.get()) is not None:
            if writer.is_closing():  # nobody waits any more
                return
            writer.write(step)
            if steps.empty() and step is last:
                return
        writer.close()

    origin.does("/x", first)
    wires = list(wire_of(script))
    last = wires[-1]
    number = len(script.before) + sum(map(len, script.between))
    turns, left = iter(range(number)), set[int]()
    async with clients(node, number, version) as all_of_them:

        async def ask(requests: list[Request]) -> None:
            for request in requests:
                which = next(turns)
                if which not in left:
                    await all_of_them.ask(which, request)
                    await settled()

        async def leave(at: int) -> None:
            for which, when in script.leaving.items():
                if when == at:
                    left.add(which)
                    await all_of_them.leave(which)
            await settled()

        await ask(script.before)
        await leave(-1)
        steps.put_nowait(wires[0])
        await settled()
        for at, requests in enumerate(script.between):
            await ask(requests)
            await leave(at)
            if script.purged == at:
                await node.purge(url="http://edge/x")
                await settled()
            if at + 1 < len(wires):
                steps.put_nowait(wires[at + 1])
                await settled()
        await leave(len(script.between))
        for step in wires[len(script.between) + 1 :]:
            steps.put_nowait(step)
        return [await all_of_them.got(which) for which in range(number) if which not in script.leaving]


def _meant(fields: dict[str, str], body: bytes) -> Iterator[tuple[str, str]]:
    """The fields. Where no body follows, one may say how it would be framed, or leave that out (RFC 9110 §9.3.2)."""
    return ((name, value) for name, value in fields.items() if body or name != "transfer-encoding")


async def outcome(
    seeds: range, folder: Path, version: str, *, front: bool
) -> tuple[list[Any], Counter[str], list[list[str]]]:
    """What all clients of all scripts got, what the node recorded, and what its origins were asked."""
    got, records, asked = [], Counter[str](), []
    for seed in seeds:
        async with running_origin() as origin:
            path = folder / f"{front}.{seed}.jsonl"
            node = running_node(
                origin.url, Behavior(path="*"), records=path, front=front, clock=lambda: 1_700_000_000.0
            )
            async with node as edge:
                got.append((seed, await run_on(edge, origin, script_of(seed), version)))
                await settled()
                await edge.stop()
                for line in edge.records():
                    # Without a front, a client that left is noticed when the next piece is sent, or never.
                    names = WHAT - OF_WHO_LEFT if script_of(seed).leaving else WHAT
                    kept = {name: value for name, value in line.items() if name in names}
                    records[f"{seed} {kept}"] += line["kind"] == "request"
            asked.append(
                [f"{seed} {one.method} {one.target} {one.headers.without(('host',)).lines}" for one in origin.asked]
            )
    return got, records, asked


@pytest.mark.parametrize("version", ["1.1", "2"])
@pytest.mark.parametrize("seeds", [range(30), pytest.param(range(30, 200), marks=pytest.mark.long)])
def test_those_who_wait_get_the_same_by_the_front_and_by_hypercorn(seeds: range, version: str, tmp_path: Path) -> None:
    async def run() -> None:
        by_front = await outcome(seeds, tmp_path, version, front=True)
        by_hypercorn = await outcome(seeds, tmp_path, version, front=False)
        for ours, theirs in zip(by_front[0], by_hypercorn[0], strict=True):
            assert ours == theirs
        assert by_front[1] == by_hypercorn[1]
        assert by_front[2] == by_hypercorn[2]

    asyncio.run(run())


# ---- what others have met ----------------------------------------------------------------------------------------------

MANY = 3 * WOKEN_PER_TURN + 1


async def held(origin: Origin, body: bytes) -> tuple[asyncio.Event, asyncio.Event]:
    """Until the first is set, the origin keeps `/x` back; it sends the last byte when the second is."""
    head, last = asyncio.Event(), asyncio.Event()

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await head.wait()
        writer.write(response(body, cache_control="max-age=60")[:-1])
        await last.wait()
        writer.write(body[-1:])

    origin.does("/x", script)
    return head, last


def test_who_waits_is_woken_by_the_response_and_not_by_a_clock() -> None:
    """nginx looks twice a second whether a response is there that somebody else has asked for."""

    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:
            head, last = await held(origin, b"hello")
            viewers = await connect(node.url, MANY)
            for viewer in viewers:
                viewer.ask(wire("/x"))
            await until(lambda: origin.count["/x"] == 1)
            head.set()
            last.set()
            loop = asyncio.get_running_loop()
            began = loop.time()
            got = await asyncio.gather(*(viewer.done for viewer in viewers))
            assert loop.time() - began < QUIET_S  # timers move this clock, and work does not
            assert {(one.status, one.body, one.whole) for one in got} == {(200, b"hello", True)}
            assert origin.count["/x"] == 1

    hurry(run())


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_a_first_client_that_takes_nothing_keeps_nobody_waiting(version: str) -> None:
    """Envoy wrote a response to its cache as fast as the first client took it."""
    body = bytes(6_000_000)

    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:
            head, last = await held(origin, body)
            host, _, port = node.url.removeprefix("http://").partition(":")
            if version == "2":
                async with http2(node.url) as slow:
                    await slow.ask("/x", authority="edge")  # and reads nothing: its window is 64 KiB
                    await others(node, origin, head, last)
            else:
                reader, writer = await asyncio.open_connection(host, int(port), limit=1)
                writer.write(wire("/x"))
                await others(node, origin, head, last)
                writer.transport.abort()
                assert reader

    async def others(node: Running, origin: Origin, head: asyncio.Event, last: asyncio.Event) -> None:
        await until(lambda: origin.count["/x"] == 1)
        viewers = await connect(node.url, 3)
        viewers[0].ask(wire("/x"))
        head.set()
        await settled()
        viewers[1].ask(wire("/x"))
        await settled()
        last.set()
        got = await asyncio.wait_for(asyncio.gather(viewers[0].done, viewers[1].done), GUARD_S)
        viewers[2].ask(wire("/x", Range="bytes=5999999-"))
        got.append(await asyncio.wait_for(viewers[2].done, GUARD_S))
        assert [(one.status, len(one.body), one.whole) for one in got] == [(200, 6_000_000, True)] * 2 + [
            (206, 1, True)
        ]
        assert origin.count["/x"] == 1

    asyncio.run(run())


def test_parents_that_die_one_after_the_other_keep_nobody_waiting_for_ever() -> None:
    """Elsewhere each who waited became the next to ask, and the last waited for all of them."""

    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:
            go = asyncio.Event()

            async def dies(asked: Asked, writer: asyncio.StreamWriter) -> None:
                await go.wait()
                writer.close()

            origin.does("/x", dies)
            viewers = await connect(node.url, MANY)
            for viewer in viewers:
                viewer.ask(wire("/x"))
            await until(lambda: origin.count["/x"] == 1)
            for _ in viewers:
                await settled()  # uvloop accepts few connections in a turn
            go.set()
            got = await asyncio.wait_for(asyncio.gather(*(viewer.done for viewer in viewers)), GUARD_S)
            assert {one.status for one in got} == {502}
            assert origin.count["/x"] <= 3  # a first try, and what may be tried again

    asyncio.run(run())


@pytest.mark.parametrize("lands", [True, False], ids=["lands in time", "does not land"])
def test_who_waits_at_shutdown_gets_what_comes_in_time_and_has_a_record(lands: bool, tmp_path: Path) -> None:
    async def run() -> None:
        async with running_origin() as origin:
            node = running_node(origin.url, records=tmp_path / "fra.jsonl")
            async with node as edge:
                head, last = await held(origin, b"hello")
                viewers = await connect(edge.url, 3)
                for viewer in viewers:
                    viewer.ask(wire("/x"))
                await until(lambda: origin.count["/x"] == 1)
                await settled()
                stopping = asyncio.create_task(edge.stop())
                await settled()
                if lands:
                    head.set()
                    last.set()
                got = await asyncio.wait_for(asyncio.gather(*(viewer.done for viewer in viewers)), GUARD_S)
                await stopping
                assert {(one.status, one.whole) for one in got} == ({(200, True)} if lands else {(0, False)})
                kept = [line for line in edge.records() if line["kind"] == "request"]
                assert [line["aborted"] for line in kept] == [not lands] * 3

    asyncio.run(run())


async def until(so: Callable[[], bool]) -> None:
    async with asyncio.timeout(GUARD_S):
        while not so():  # noqa: ASYNC110  # the origin keeps a list, not an event
            await asyncio.sleep(0)
