"""A request's content reaches the application whole, also when its client is gone before it is read."""

import asyncio
from typing import Any

import pytest

from tests.kit.late import GUARD_S
from tests.kit.listener import listening, served_by  # noqa: F401  (a fixture)


def test_a_client_that_has_said_all_may_hang_up() -> None:
    """An encoder ends its stream and closes: the end is heard, and only then that it is gone."""

    async def run() -> None:
        gone, heard = asyncio.Event(), asyncio.Event()
        messages: list[dict[str, Any]] = []

        async def late(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                return
            await gone.wait()
            while not messages or messages[-1]["type"] != "http.disconnect":
                messages.append(await receive())
            heard.set()

        async with listening(late) as url:
            host, _, port = url.removeprefix("http://").partition(":")
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n")
            writer.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            for _ in range(50):
                await asyncio.sleep(0)  # what has come over loopback is read, the end of it too
            gone.set()
            async with asyncio.timeout(GUARD_S):
                await heard.wait()
        assert b"".join(message.get("body", b"") for message in messages) == b"abcde"
        assert [message.get("more_body") for message in messages][-2:] == [False, None]

    asyncio.run(run())


async def _by_its_head(scope: Any, receive: Any, send: Any) -> None:
    """Refuses what has no credentials before it reads anything; reads the rest, and answers with it."""
    if not any(name == b"authorization" for name, _ in scope["headers"]):
        fields = [(b"content-length", b"2"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 401, "headers": fields})
        await send({"type": "http.response.body", "body": b"no"})
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


ASKED = b"POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 3\r\n"
KNOWN = b"authorization: x\r\n\r\n"


@pytest.mark.parametrize(
    ("sends", "then", "statuses"),
    [
        (ASKED + b"\r\n", b"", [b"401"]),  # curl, and ffmpeg with a name in its URL, take a 100 for good news
        (ASKED + KNOWN, b"abc", [b"100", b"200"]),
        (ASKED + KNOWN + b"abc", b"", [b"200"]),  # it did not wait
        (b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n" + KNOWN, b"abc", [b"200"]),
    ],
)
def test_a_client_that_asks_first_is_answered_by_what_the_head_says(
    sends: bytes, then: bytes, statuses: list[bytes]
) -> None:
    """The 100 comes when the application wants the content, and never before a refusal (RFC 9110 section 10.1.1)."""

    async def run() -> None:
        async with listening(_by_its_head) as url, asyncio.timeout(GUARD_S):
            host, _, port = url.removeprefix("http://").partition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(sends)
            got: list[bytes] = []
            if statuses[0] == b"200":
                writer.write(then)
            while not got or got[-1] == b"100":
                got.append((await reader.readuntil(b"\r\n\r\n")).split()[1])
                if got[-1] == b"100":
                    writer.write(then)
            if statuses == [b"401"]:
                assert await reader.read() == b"no", "and the connection ends"
            assert got == statuses
            writer.close()

    asyncio.run(run())
