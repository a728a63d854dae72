"""Long bodies that are read to where they stay: whole, cut short, with more behind them, and read while they come."""

import asyncio
import gzip
import random

import pytest

from cdnkit.policy.rules.service import Behavior, Key
from cdnkit.vendors import PROFILES
from tests.kit.http import ask
from tests.kit.node import running_node
from tests.kit.origin import Asked, running_origin

LONG = 1_500_000
BODY = random.Random(1).randbytes(LONG)
CUTS = [  # where the parent pauses, in bytes of the body
    (), (1,), (LONG - 1,), (300_000,), (LONG - 16_384,), (LONG - 16_385, LONG - 16_383), (1, 400_000, 400_001, 1_400_000),
]  # fmt: skip
HEAD = b"HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: %d\r\n\r\n" % LONG
SHORT = b"HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 1\r\n\r\nx"


@pytest.mark.parametrize("cuts", CUTS)
def test_a_long_body_is_whole_for_all_who_read_it(cuts: tuple[int, ...]) -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, Behavior(path="*")) as node:

            async def long(asked: Asked, writer: asyncio.StreamWriter) -> None:
                writer.write(HEAD)
                for begin, end in zip((0, *cuts), (*cuts, LONG), strict=True):
                    writer.write(BODY[begin:end])
                    await writer.drain()
                    await asyncio.sleep(0.02)

            origin.does("/long", long)
            origin.says("/warm", b"x")
            await node.get("/warm")  # now a connection rests
            first = asyncio.create_task(node.get("/long"))
            await asyncio.sleep(0.01)
            others = [node.get("/long"), node.get("/long", Range="bytes=299999-1399999")]
            replies = [await first, *await asyncio.gather(*others)]
            stored = await node.get("/long")
            assert [reply.body for reply in replies] == [BODY, BODY, BODY[299_999:1_400_000]]
            assert stored.body == BODY and "hit" in str(stored.headers)
            assert [asked.target for asked in origin.asked].count("/long") == 1

    asyncio.run(run())


@pytest.mark.parametrize("sent", [0, 100_000, 1_000_000, LONG - 16_384, LONG - 1])
def test_one_that_breaks_off_is_not_stored(sent: int) -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, Behavior(path="*")) as node:
            broken = True

            async def long(asked: Asked, writer: asyncio.StreamWriter) -> None:
                writer.write(HEAD + (BODY[:sent] if broken else BODY))
                await writer.drain()
                if broken:
                    writer.close()

            origin.does("/long", long)
            origin.says("/warm", b"x")
            await node.get("/warm")
            cut = await node.get("/long")
            assert not cut.whole and cut.body == BODY[: len(cut.body)]
            broken = False
            assert (await node.get("/long")).body == BODY

    asyncio.run(run())


def test_what_comes_behind_one_answers_nobody() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, Behavior(path="*")) as node:

            async def long(asked: Asked, writer: asyncio.StreamWriter) -> None:
                writer.write(HEAD + BODY + SHORT)
                await writer.drain()

            origin.does("/long", long)
            origin.says("/warm", b"x")
            origin.says("/next", b"the right one")
            await node.get("/warm")
            assert (await node.get("/long")).body == BODY
            assert (await ask(node.url, "/next")).body == b"the right one"

    asyncio.run(run())


def test_one_that_is_compressed_here_takes_no_more_than_it_becomes() -> None:
    """Varnish gave a compressed object the room of its Content-Length."""
    text = b"a line of a text that is long and the same\n" * 8_000

    async def run() -> None:
        rule = Behavior(path="*", compress=True, key=Key(accept_encoding=("gzip",)))
        async with running_origin() as origin, running_node(origin.url, rule, profile=PROFILES["cloudfront"]) as node:
            origin.says("/a.html", text, cache_control="max-age=60", content_type="text/html")
            origin.says("/warm", b"x")
            await node.get("/warm")
            replies = [await node.get("/a.html", Accept_Encoding="gzip") for _ in range(2)]
            assert [gzip.decompress(reply.body) for reply in replies] == [text, text]
            assert (await node.health())["stored_bytes"] < 20_000

    asyncio.run(run())
