"""Interim responses (102, 103 ...): passed on at once with all their fields, to whom can be sent them, and never kept."""

import asyncio
from typing import Any

from cdnkit.serving import INTERIM
from tests.kit.http import ask, read_reply
from tests.kit.http2 import http2
from tests.kit.listener import listening
from tests.kit.node import running_node
from tests.kit.origin import Asked, response, running_origin


def test_interim_responses_are_passed_on_as_they_come_and_never_kept() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:
            hinted = asyncio.Event()

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
                hint = b"link: </a.css>; rel=preload\r\ncontent-length: 5\r\nx-my: own\r\n"
                writer.write(b"HTTP/1.1 103 Early Hints\r\n" + hint + b"\r\n")
                await writer.drain()
                await hinted.wait()  # the final response comes only after the viewer has read the hint
                writer.write(response(b"body", cache_control="max-age=60"))

            origin.does("/a", script)
            host, port = node.url.removeprefix("http://").split(":")
            for final_only in (False, True):
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n")
                if not final_only:
                    assert (await read_reply(reader)).status == 102
                    hint = await read_reply(reader)
                    assert (hint.status, hint["link"], hint["x-my"]) == (103, "</a.css>; rel=preload", "own")
                    assert hint["content-length"] is None
                    hinted.set()
                final = await read_reply(reader)
                assert (final.status, final.body, final["link"]) == (200, b"body", None)
                writer.close()

    asyncio.run(run())


def test_interim_responses_over_http2_go_to_all_who_wait_with_all_their_fields() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, name="shield") as shield:
            hinted = asyncio.Event()

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
                writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nx-my: own\r\nlink: </b.css>\r\n\r\n")
                await writer.drain()
                await hinted.wait()  # the final response comes only after all viewers have read the hints
                writer.write(response(b"body", cache_control="max-age=60"))

            origin.does("/a", script)
            hints = [
                [(":status", "102")],
                [(":status", "103"), ("link", "</a.css>"), ("x-my", "own"), ("link", "</b.css>")],
            ]
            for parent_http in ("1.1", "2"):
                hinted.clear()
                async with running_node(shield.url, parent_http=parent_http) as node, http2(node.url) as client:
                    one, two = [await client.ask("/a") for _ in range(2)]
                    async with http2(node.url) as another:
                        _, three = [await another.ask("/a") for _ in range(2)]
                        another.h2.reset_stream(1)
                        await another.flush()
                        await client.until(one, two, interims=2)
                        await another.until(three, interims=2)
                        assert one.interim == two.interim == three.interim == hints and not one.status
                        hinted.set()
                        await client.until(one, two)
                        await another.until(three)
                    late = await client.ask("/a")
                    await client.until(late)
                    assert all(stream.whole and bytes(stream.body) == b"body" for stream in (one, two, three, late))
                    assert late.interim == [] and "link" not in one.headers
                await shield.purge(everything=True)

    asyncio.run(run())


def test_an_interim_response_is_not_sent_once_the_final_head_is_out() -> None:
    """RFC 9110 §15.2: it comes before the final response."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        hint = scope["extensions"][INTERIM]
        hint(103, [("link", "</a>")])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        hint(103, [("link", "</late>")])
        await send({"type": "http.response.body", "body": b"ok"})
        hint(103, [("link", "</later>")])

    async def run() -> None:
        async with listening(app) as url:
            async with http2(url) as client:
                stream = await client.ask("/")
                again = await client.ask("/")
                await client.until(stream, again)
                assert stream.interim == again.interim == [[(":status", "103"), ("link", "</a>")]]
                assert stream.whole and again.whole
            reader, writer = await asyncio.open_connection(*url.removeprefix("http://").split(":"))
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            told = await reader.read()
            assert told.startswith(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 ") and told.endswith(
                b"ok"
            )
            assert told.count(b"HTTP/1.1") == 2
            writer.close()

    asyncio.run(run())


def test_one_who_speaks_http_1_0_is_sent_no_interim_response() -> None:
    """RFC 9110 §15.2: HTTP/1.0 has none."""

    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                writer.write(b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n")
                writer.write(response(b"body", cache_control="max-age=60"))

            origin.does("/a", script)
            assert (await ask(node.url, "/a", version="1.0")).status == 200
            origin.does("/b", script)
            assert (await ask(node.url, "/b", version="1.1")).status == 103

    asyncio.run(run())
