"""What stands around an HTTP/1.1 request and is none: empty lines before it, and anything behind the last one."""

import asyncio
import re
from typing import Any

import pytest

from tests.kit.late import GUARD_S
from tests.kit.listener import listening

GET = b"GET /1 HTTP/1.1\r\nhost: h\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"
OLD = b"GET /last HTTP/1.0\r\n\r\n"
POST = b"POST /last HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi"
CHUNKS = (
    b"POST /last HTTP/1.1\r\nhost: h\r\nconnection: TE, Close\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
)
REST = b"GET / HTTP/1.1\r\nhost: h\r\nx: " + b"x" * 200_000

SENT = [  # bytes                                       paths asked for, statuses
    # RFC 9112 §9.6: what is received behind a request that closes the connection is not processed
    (LAST + b"\r\n", ["/last"], [200]),
    (LAST + b"\n", ["/last"], [200]),
    (LAST + b"\r\n\r\nrubbish", ["/last"], [200]),
    (LAST + b"\x16\x03\x01", ["/last"], [200]),
    (LAST + GET, ["/last"], [200]),
    (LAST + REST, ["/last"], [200]),
    (OLD + b"\r\n", ["/last"], [200]),
    (OLD + GET, ["/last"], [200]),
    (OLD + b"a body without a length", ["/last"], [200]),
    (POST + b"\r\n", ["/last"], [200]),  # what old browsers sent behind a form
    (POST + GET, ["/last"], [200]),
    (CHUNKS + b"\r\n", ["/last"], [200]),
    (GET + LAST + GET, ["/1", "/last"], [200, 200]),
    # §2.2: empty lines before a request
    (b"\r\n" + LAST, ["/last"], [200]),
    (b"\r\n\r\n" + LAST, ["/last"], [200]),
    (GET + b"\r\n" + LAST, ["/1", "/last"], [200, 200]),
    (POST.replace(b"connection: close\r\n", b"") + b"\r\n" + LAST, ["/last", "/last"], [200, 200]),
    # and what is no empty line, or no request behind one
    (b"\n" + LAST, [], [400]),
    (b" \r\n" + LAST, [], [400]),
    (b"\r" + LAST, [], [400]),
    (b"\r\r\n" + LAST, [], [400]),
    (b"\r\n GET / HTTP/1.1\r\n\r\n", [], [400]),
    (GET + b"rubbish\r\n\r\n", ["/1"], [200, 400]),
]  # fmt: skip


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "byte by byte"])
@pytest.mark.parametrize(("sent", "asked", "statuses"), SENT, ids=range(len(SENT)))
def test_what_is_no_request_spoils_none(sent: bytes, asked: list[str], statuses: list[int], at_once: bool) -> None:
    async def run() -> None:
        paths: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            paths.append(scope["path"])
            while (await receive()).get("more_body"):
                pass
            for _ in range(20):
                await asyncio.sleep(0)  # what stands behind the request comes before its answer goes
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"ok"})

        async with listening(app) as url:
            host, _, port = url.removeprefix("http://").partition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            told = asyncio.create_task(reader.read())
            if at_once:
                writer.write(sent)
            else:
                for byte in sent[:1000]:
                    writer.write(bytes([byte]))
                    await asyncio.sleep(0)
                    if told.done():
                        break
                writer.write(sent[1000:])
            answers = await asyncio.wait_for(told, GUARD_S)
            writer.close()
        assert paths == asked
        assert [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answers)] == statuses

    asyncio.run(run())


def test_empty_lines_alone_are_no_request_and_wait_no_longer_than_a_head_may() -> None:
    async def run() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise AssertionError

        async with listening(app, head_within=0.2) as url:
            host, _, port = url.removeprefix("http://").partition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            told = asyncio.create_task(reader.read())
            while not told.done():
                writer.write(b"\r\n")
                await asyncio.wait({told}, timeout=0.02)
            assert await told == b""
            writer.close()

    asyncio.run(run())
