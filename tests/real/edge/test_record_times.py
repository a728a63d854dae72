"""Times in the records of a node that runs: seconds and milliseconds of a clock that only the origin moves."""

import asyncio
from pathlib import Path

from tests.kit.http import ask
from tests.kit.node import running_node
from tests.kit.origin import Asked, running_origin

BEGAN = 1_790_000_000.0


def test_when_each_thing_happened_and_how_long_it_took(tmp_path: Path) -> None:
    now = BEGAN

    async def run() -> None:
        nonlocal now
        async with running_origin() as origin:

            async def slowly(asked: Asked, writer: asyncio.StreamWriter) -> None:
                nonlocal now
                now += 1.5
                writer.write(b"HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 10\r\n\r\nhello")
                await first_half.wait()
                now += 2.25
                writer.write(b"hello")

            origin.does("/a", slowly)
            first_half = asyncio.Event()
            async with running_node(origin.url, records=tmp_path / "fra.jsonl", clock=lambda: now) as node:
                host, port = node.url.removeprefix("http://").split(":")
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n")
                await reader.readuntil(b"\r\n\r\nhello")  # the head and half of the body have gone out
                first_half.set()
                await reader.readexactly(5)
                writer.close()
                now += 4.0
                assert (await ask(node.url, "/a")).headers.first("age") == "7"  # from when it was asked for: 7.75 s
            requests, fetches = (
                [line for line in node.records() if line["kind"] == kind] for kind in ("request", "fetch")
            )
        miss, hit = requests
        assert (miss["at"], miss["ttfb_ms"], miss["duration_ms"]) == (BEGAN, 1500.0, 3750.0)
        assert (hit["at"], hit["ttfb_ms"], hit["duration_ms"]) == (BEGAN + 7.75, 0.0, 0.0)
        assert [(one["sent_at"], one["landed_at"], one["ended_at"]) for one in fetches] == [
            (BEGAN, BEGAN + 1.5, BEGAN + 3.75)
        ]

    asyncio.run(run())


def test_a_refusal_and_an_origin_that_gives_no_answer_have_their_times_too(tmp_path: Path) -> None:
    now = BEGAN

    async def run() -> None:
        async with running_origin() as origin:

            async def hangs_up(asked: Asked, writer: asyncio.StreamWriter) -> None:
                nonlocal now
                now += 0.125
                writer.close()

            origin.does("/a", hangs_up)
            async with running_node(
                origin.url, records=tmp_path / "fra.jsonl", clock=lambda: now, limits={"url": 300}
            ) as node:
                assert (await node.get("/a")).status == 502
                assert (await node.get("/" + "b" * 400)).status == 414
            failed, refused = (line for line in node.records() if line["kind"] == "request")
            (fetch,) = (line for line in node.records() if line["kind"] == "fetch")
        ended = BEGAN + 0.125 * origin.count["/a"]
        spent_ms = (ended - BEGAN) * 1000
        assert (failed["at"], failed["ttfb_ms"], failed["duration_ms"]) == (BEGAN, spent_ms, spent_ms)
        assert (refused["at"], refused["ttfb_ms"], refused["duration_ms"]) == (ended, 0.0, 0.0)
        assert (fetch["sent_at"], fetch["landed_at"]) == (BEGAN, ended)

    asyncio.run(run())
