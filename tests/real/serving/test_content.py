"""A request's content reaches the application whole, also when its client is gone before it is read."""

import asyncio
from typing import Any

from tests.kit.late import GUARD_S
from tests.kit.listener import listening


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
