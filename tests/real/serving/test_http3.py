"""HTTP/3 around an application that a test writes: content that waits for it, and what it may send when."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aioquic.h3.connection import ErrorCode

from cdnkit.serving import Listener
from cdnkit.serving import http3 as server
from cdnkit.serving.authority import Authority, make
from cdnkit.serving.http3 import Http3Listener
from cdnkit.serving.inbox import INTERIM
from tests.kit.http3 import Client, http3
from tests.kit.late import GUARD_S
from tests.kit.listener import LOG


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return make(tmp_path, time.time())


@asynccontextmanager
async def asking(app: Any, authority: Authority) -> AsyncIterator[Client]:
    certificate, key = authority.issue(("localhost",), time.time())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.setblocking(False)
        listener = Http3Listener(Listener(app, LOG), certificate, key)
        await listener.start(bound)
        try:
            async with http3(bound.getsockname()[1], authority.certificate_file) as client:
                yield client
        finally:
            listener.close()


async def answers(send: Any, body: bytes = b"hello") -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


UNREAD = [(19_999, False), (20_000, False), (20_001, True)]  # bytes that wait, whether the stream is reset


@pytest.mark.parametrize(("size", "reset"), UNREAD)
def test_so_much_content_waits_for_the_application_and_no_more(
    size: int, reset: bool, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "UNREAD_BYTES", 20_000)

    async def run() -> None:
        reads, read = asyncio.Event(), 0

        async def app(scope: Any, receive: Any, send: Any) -> None:
            nonlocal read
            if scope["method"] == "POST":
                await reads.wait()
                more = True
                while more:
                    message = await receive()
                    read, more = read + len(message.get("body", b"")), message.get("more_body", False)
            await answers(send, b"%d" % read)

        async with asking(app, authority) as client:
            posted = client.ask("/", method="POST", end=False)
            for start in range(0, size, 1000):
                client.sends(posted, bytes(min(1000, size - start)), last=False)
            await client.until_acknowledged(posted)
            behind = client.ask("/behind")
            await behind.until()
            assert (behind.status, posted.reset) == (200, ErrorCode.H3_EXCESSIVE_LOAD if reset else None)
            reads.set()
            if not reset:
                for more in range(3):  # what has been read makes room
                    async with asyncio.timeout(GUARD_S):
                        while read < size + more * 10_000:  # noqa: ASYNC110  # no event
                            await asyncio.sleep(0.005)
                    client.sends(posted, bytes(10_000), last=False)
                client.sends(posted, b"", last=True)
                await posted.until()
                assert (posted.reset, bytes(posted.body)) == (None, b"%d" % (size + 30_000))

    asyncio.run(run())


def test_an_interim_response_comes_before_the_head_or_not_at_all(authority: Authority) -> None:
    async def run() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            hint = scope["extensions"][INTERIM]
            hint(103, [("link", "</before>")])
            await send({"type": "http.response.start", "status": 200, "headers": []})
            hint(103, [("link", "</behind>")])
            await send({"type": "http.response.body", "body": b"hello", "more_body": True})
            hint(103, [("link", "</in-the-middle>")])
            await send({"type": "http.response.body", "body": b""})

        async with asking(app, authority) as client:
            stream = client.ask("/")
            await stream.until()
            assert (stream.status, bytes(stream.body), stream.reset) == (200, b"hello", None)
            assert stream.interim == [{":status": "103", "link": "</before>"}]
            assert "link" not in stream.headers

    asyncio.run(run())
