"""Requests beyond the limits, over real sockets and both versions: a status, a reason, a signature and a record."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from h2.errors import ErrorCodes

from cdnkit.policy.rules.profile import RFC9111
from cdnkit.policy.rules.service import Service
from cdnkit.replay import read_trace, replay_node
from cdnkit.vendors.cloudfront import CLOUDFRONT
from tests.kit.http import Reply, read_reply
from tests.kit.http2 import http2
from tests.kit.late import GUARD_S
from tests.kit.node import Running, running_node
from tests.kit.origin import Asked, Origin, running_origin

LIMITS = {"url": 300, "head": 2048, "fields": 12, "content": 1000, "content_pause": "300ms", "head_within": "1h"}
"""Whoever never ends a head that is too long is answered at once: nobody here waits for an hour."""

HEAD = b"host: x\r\n"

REFUSED = [  # what is sent                                                                then
    (b"GET /a?" + b"q" * 300 + b" HTTP/1.1\r\n" + HEAD + b"\r\n", 414),
    (b"GET /a HTTP/1.1\r\n" + HEAD + b"cookie: " + b"c" * 2100 + b"\r\n\r\n", 431),
    (b"GET /a HTTP/1.1\r\n" + HEAD + b"".join(b"f%d: 1\r\n" % i for i in range(12)) + b"\r\n", 431),
    (b"POST /a HTTP/1.1\r\n" + HEAD + b"content-length: 1001\r\n\r\n", 413),
    (b"POST /a HTTP/1.1\r\n" + HEAD + b"transfer-encoding: chunked\r\n\r\n" + b"3e9\r\n" + b"x" * 1001 + b"\r\n", 413),
    (b"POST /a HTTP/1.1\r\n" + HEAD + b"content-length: 10\r\n\r\nhalf", 408),  # and then nothing
]

UNREADABLE = [  # what is sent, and never ended where it is too long                       then
    (b"GET /" + b"a" * 5000, 414),
    (b"GET /a HTTP/1.1\r\n" + HEAD + b"cookie: " + b"c" * 5000, 431),
    (b"GET /a HTTP/1.1\r\n" + HEAD + b"".join(b"field-%d: 1\r\n" % i for i in range(400)), 431),
    (b"GET /a HTTP/1.1\r\nhost x\r\n\r\n", 400),
    (b"GARBAGE\r\n\r\n", 400),
    (b"POST /a HTTP/1.1\r\n" + HEAD + b"transfer-encoding: gzip\r\n\r\n", 501),
]


@asynccontextmanager
async def node_with_limits(**settings: Any) -> AsyncIterator[tuple[Running, Origin]]:
    async def takes_it(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncache-control: max-age=60\r\n\r\nok")

    async with running_origin() as origin:
        origin.does("/a", takes_it)
        async with running_node(origin.url, limits=LIMITS, **settings) as node:
            yield node, origin


async def send(node: Running, data: bytes) -> Reply:
    """The reply, and that the connection ends after it."""
    host, port = node.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(data)
        async with asyncio.timeout(GUARD_S):
            reply = await read_reply(reader)
            if reply["connection"] == "close":
                assert await reader.read() == b""
        return reply
    finally:
        writer.close()


@pytest.mark.parametrize(("data", "status"), REFUSED)
def test_beyond_a_limit(data: bytes, status: int, tmp_path: Path) -> None:
    async def run() -> None:
        records = tmp_path / "fra.jsonl"
        async with node_with_limits(records=records) as (node, _):
            assert (await node.get("/a")).body == b"ok"  # a hit would not save it
            reply = await send(node, data)
            assert reply.status == status
            assert reply.body.startswith(b"%d limit: " % status)
            assert reply["via"] == "1.1 fra" and 'detail="limit: ' in str(reply["cache-status"])
            assert (await node.get("/a")).body == b"ok"
            await node.stop()
            (line,) = [one for one in node.records() if one["kind"] == "request" and one["status"] == status]
            assert line["reason"].startswith("limit: ")
            # Content that is counted while it comes makes the exchange fail; what the head says is refused.
            assert (line["outcome"], line["refusal"]) in (("refused", "limit"), ("failed", None))
            assert replay_node(read_trace(records), Service(name="fra"), RFC9111).differences == []

    asyncio.run(run())


@pytest.mark.parametrize(("data", "status"), UNREADABLE)
def test_what_cannot_be_read_is_answered_too(data: bytes, status: int) -> None:
    async def run() -> None:
        async with node_with_limits() as (node, origin):
            reply = await send(node, data)
            assert reply.status == status
            assert reply["via"] == "1.1 fra" and "fra; detail=" in str(reply["cache-status"])
            assert reply["connection"] == "close" and reply["date"] and not origin.asked
            assert (await node.get("/a")).body == b"ok"

    asyncio.run(run())


def test_the_profiles_page_is_shown_for_what_cannot_be_read() -> None:
    async def run() -> None:
        async with node_with_limits(profile=CLOUDFRONT) as (node, _):
            reply = await send(node, UNREADABLE[1][0])
            assert reply.status == 431 and reply["x-cache"] == "Error from cloudfront"
            assert b"Generated by cloudfront" in reply.body

    asyncio.run(run())


OVER_HTTP2 = [  # path, fields, then
    ("/a?" + "q" * 300, [], 414),
    ("/a", [("cookie", "c" * 2100)], 431),
    ("/a", [(f"f{i}", "1") for i in range(12)], 431),
]


@pytest.mark.parametrize(("path", "fields", "status"), OVER_HTTP2)
def test_beyond_a_limit_on_http2_is_one_streams_answer(path: str, fields: list[tuple[str, str]], status: int) -> None:
    async def run() -> None:
        async with node_with_limits() as (node, _), http2(node.url) as client:
            refused, other = await client.ask(path, *fields), await client.ask("/a")
            await client.until(refused, other)
            assert (refused.status, other.status) == (status, 200)
            assert refused.headers["via"] == "1.1 fra" and "cache-status" in refused.headers

    asyncio.run(run())


def test_too_much_content_on_http2_is_one_streams_answer() -> None:
    async def run() -> None:
        async with node_with_limits() as (node, _), http2(node.url) as client:
            upload = await client.ask("/a", method="POST", end=False)
            client.h2.send_data(1, bytes(1001))
            other = await client.ask("/a")
            await client.until(upload, other)
            assert (upload.status, other.status) == (413, 200)
            late = await client.ask("/a", method="POST", end=False)
            await client.until(late)
            assert late.status == 408 and late.reset in (None, ErrorCodes.NO_ERROR)

    asyncio.run(run())


def test_http2_says_how_large_a_field_section_may_be_and_ends_with_a_reason_far_beyond() -> None:
    async def run() -> None:
        async with node_with_limits() as (node, _), http2(node.url) as client:
            other = await client.ask("/a")
            await client.until(other)
            assert client.h2.remote_settings.max_header_list_size == 2048
            far = await client.ask("/a", ("cookie", "c" * 12_000))
            await client.until(far)
            assert client.goaway == ErrorCodes.ENHANCE_YOUR_CALM

    asyncio.run(run())


def test_a_large_upload_that_is_refused_at_once_reads_its_answer() -> None:
    """Hanging up while the client still sends would be a reset, and the 413 lost with it."""

    async def run() -> None:
        async with node_with_limits() as (node, _):
            host, port = node.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 9000000\r\n\r\n" + bytes(4_000_000))
            with suppress(ConnectionError):
                async with asyncio.timeout(GUARD_S):
                    await writer.drain()
            assert (await read_reply(reader)).status == 413
            writer.close()

    asyncio.run(run())
