"""Slices over real sockets: blocks fetched once, bytes exact, and what a viewer and the records see of it."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from cdnkit.policy.rules.service import Behavior
from cdnkit.policy.upstream.request import MAX_UPSTREAM_REQUESTS
from tests.kit.http import ask
from tests.kit.node import running_node
from tests.kit.origin import Asked, Origin, response, running_origin

BLOCK = 64 * 1024
BODY = bytes(i * 31 % 251 for i in range(10 * BLOCK + 777))
SLICED = Behavior(path="*", slice=BLOCK)


def large(origin: Origin, body: bytes = BODY, etag: str = '"v1"') -> None:
    """An object that answers ranges."""

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        first, last = (int(text) for text in (asked.headers.first("range") or "").removeprefix("bytes=").split("-"))
        part = body[first : last + 1]
        fields = {"content_range": f"bytes {first}-{first + len(part) - 1}/{len(body)}", "etag": etag}
        writer.write(response(part, 206, cache_control="max-age=60", **fields))

    origin.does("/big.mp4", script)


async def _viewers() -> None:
    async with running_origin() as origin, running_node(origin.url, SLICED) as node:
        large(origin)
        replies = await asyncio.gather(*(node.get("/big.mp4") for _ in range(50)))
        assert all(reply.whole and reply.body == BODY for reply in replies)
        assert origin.count["/big.mp4"] == 11  # one fetch a block, whoever asked first
        part = await node.get("/big.mp4", range=f"bytes={BLOCK - 5}-{3 * BLOCK}")
        assert (part.status, part.body) == (206, BODY[BLOCK - 5 : 3 * BLOCK + 1])
        assert part["content-range"] == f"bytes {BLOCK - 5}-{3 * BLOCK}/{len(BODY)}"
        assert origin.count["/big.mp4"] == 11


def test_fifty_viewers_of_a_large_object_cost_one_fetch_a_block() -> None:
    asyncio.run(_viewers())


async def _larger_than_the_room() -> None:
    room = 5 * BLOCK
    async with running_origin() as origin, running_node(origin.url, SLICED, memory=room, largest=BLOCK) as node:
        large(origin)
        for _ in range(2):
            assert (await node.get("/big.mp4")).body == BODY
        health = await node.health()
        assert 0 < health["stored_bytes"] <= room


def test_an_object_larger_than_the_room_goes_through_it_in_blocks() -> None:
    asyncio.run(_larger_than_the_room())


async def _two_tiers() -> None:
    async with (
        running_origin() as origin,
        running_node(origin.url, SLICED, name="shield", service={"gate": False}) as shield,
        running_node(shield.url, SLICED, name="fra") as fra,
        running_node(shield.url, SLICED, name="iad") as iad,
    ):
        large(origin)
        bodies = await asyncio.gather(*(node.get("/big.mp4") for node in (fra, iad)))
        assert [reply.body for reply in bodies] == [BODY, BODY]
        assert origin.count["/big.mp4"] == 11
        assert (await fra.get("/big.mp4"))["cache-status"].split(", ")[-1].startswith("fra; hit")  # type: ignore[union-attr]


def test_a_block_at_the_edge_is_a_block_at_the_shield() -> None:
    asyncio.run(_two_tiers())


async def _new_version() -> None:
    async with running_origin() as origin, running_node(origin.url, SLICED) as node:
        large(origin)
        await node.get("/big.mp4", range="bytes=0-9")
        large(origin, BODY[::-1], '"v2"')
        broken = await node.get("/big.mp4")
        assert (broken.status, broken.whole) == (200, False)
        assert broken.body == BODY[:BLOCK]  # not a byte of the other version
        assert (await node.get("/big.mp4")).body == BODY[::-1]


def test_an_object_that_changes_under_way_breaks_the_connection_and_mixes_nothing() -> None:
    asyncio.run(_new_version())


async def _dying_origin() -> None:
    async with running_origin() as origin, running_node(origin.url, SLICED) as node:
        large(origin)
        whole = origin.scripts["/big.mp4"]

        async def dies_at_the_fifth(asked: Asked, writer: asyncio.StreamWriter) -> None:
            if len(origin.asked) >= 5:
                writer.transport.abort()
            else:
                await whole(asked, writer)

        origin.does("/big.mp4", dies_at_the_fifth)
        broken = await node.get("/big.mp4")
        assert (broken.whole, broken.body) == (False, BODY[: 4 * BLOCK])
        origin.does("/big.mp4", whole)
        origin.asked.clear()
        assert (await node.get("/big.mp4")).body == BODY
        assert origin.count["/big.mp4"] == 7  # what came is kept


def test_an_origin_that_dies_half_way_leaves_the_blocks_that_came() -> None:
    asyncio.run(_dying_origin())


async def _leaving_viewer() -> None:
    async with running_origin() as origin, running_node(origin.url, SLICED) as node:
        large(origin)
        reader, writer = await asyncio.open_connection(*node.url.removeprefix("http://").split(":"))
        writer.write(b"GET /big.mp4 HTTP/1.1\r\nhost: h\r\n\r\n")
        await reader.readexactly(1000)
        writer.transport.abort()
        assert (await ask(node.url, "/big.mp4")).body == BODY
        for _ in range(100):
            if (await node.health())["fills_in_flight"] == 0:
                break
        assert (await node.health())["fills_in_flight"] == 0


def test_a_viewer_who_leaves_in_the_middle_takes_nothing_with_him() -> None:
    asyncio.run(_leaving_viewer())


async def _records(folder: Path) -> None:
    async with running_origin() as origin, running_node(origin.url, SLICED, records=folder / "fra.jsonl") as node:
        large(origin)
        await node.get("/big.mp4", range=f"bytes=0-{2 * BLOCK - 1}")
        await node.get("/big.mp4", range=f"bytes={BLOCK}-{3 * BLOCK - 1}")
        await node.get("/big.mp4", range="bytes=0-99")
        await node.stop()
        records = [record for record in node.records() if record["kind"] == "request"]
    viewers = [(r["outcome"], r["cause"], r["bytes_sent"]) for r in records if r["block"] is None]
    # A viewer's request is a hit only if every block was: the second wanted one that was there and one that was not.
    assert viewers == [("miss", "cold", 2 * BLOCK), ("miss", "cold", 2 * BLOCK), ("hit", None, 100)]
    blocks = [
        (r["block"], r["outcome"], r["bytes_sent"])
        for r in sorted(records, key=lambda r: r["seq"])
        if r["block"] is not None
    ]
    assert blocks == [
        (0, "miss", BLOCK), (1, "miss", BLOCK), (1, "hit", BLOCK), (2, "miss", BLOCK), (0, "hit", 100),
    ]  # fmt: skip


def test_records_tell_of_the_viewer_and_of_each_block(tmp_path: Path) -> None:
    asyncio.run(_records(tmp_path))


RUDE = {  # what the origin says to every GET: what a viewer gets of a sliced object, and by how many questions
    "206 of other bytes": ({"status": 206, "content_range": "bytes 0-1/4"}, (502, b""), 2),
    "206 of each block": ({"status": 206, "content_range": f"bytes 0-{BLOCK - 1}/{BLOCK}"}, (200, None), 1),
    "206 without Content-Range": ({"status": 206}, (502, b""), 2),
    "304": ({"status": 304}, (502, b""), 1),
    "412": ({"status": 412}, (412, None), 1),
    "416": ({"status": 416, "content_range": "bytes */4"}, (416, None), 2),
}


@pytest.mark.parametrize("rude", RUDE)
@pytest.mark.parametrize("tiers", [1, 2])
def test_an_origin_of_bad_manners_is_not_asked_for_ever(rude: str, tiers: int) -> None:
    fields, (status, body), questions = RUDE[rude]

    async def run() -> None:
        async with AsyncExitStack() as stack:
            origin = await stack.enter_async_context(running_origin())
            url = origin.url
            for number in range(tiers):
                node = await stack.enter_async_context(running_node(url, SLICED, name=f"node-{number}"))
                url = node.url
            size = BLOCK if rude == "206 of each block" else 2
            origin.says("/big.mp4", b"x" * size, cache_control="max-age=60", etag='"1"', **fields)  # type: ignore[arg-type]
            reply = await node.get("/big.mp4")
            assert reply.status == status and reply.whole
            if body == b"":
                assert b"origin: " in reply.body and str(fields["status"]).encode() in reply.body
            assert len(origin.asked) <= questions * MAX_UPSTREAM_REQUESTS
            assert (await node.health())["fills_in_flight"] == 0
            await asyncio.sleep(0)
            asked = len(origin.asked)
            await node.health()
            assert len(origin.asked) == asked

    asyncio.run(run())


def test_an_origin_whose_tag_flips_is_asked_once_a_block_and_its_versions_are_not_mixed() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, SLICED) as node:
            large(origin)
            whole = origin.scripts["/big.mp4"]

            async def flips(asked: Asked, writer: asyncio.StreamWriter) -> None:
                large(origin, etag=f'"v{len(origin.asked)}"')
                await origin.scripts["/big.mp4"](asked, writer)
                origin.does("/big.mp4", flips)

            origin.does("/big.mp4", flips)
            for viewers in range(1, 4):
                broken = await node.get("/big.mp4")
                assert (broken.status, broken.whole) == (200, False)
                assert len(broken.body) <= BLOCK
                assert len(origin.asked) <= 2 * viewers
            origin.does("/big.mp4", whole)
            assert (await node.get("/big.mp4")).body == BODY

    asyncio.run(run())
