"""Content on its way to an HTTP/1.1 parent: who keeps whom waiting, and which failure is told when one breaks down."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from cdnkit.policy.http.messages import ResponseHead
from cdnkit.policy.outcomes import Failure
from cdnkit.policy.rules.profile import Waits
from edge.errors import UpstreamFailed
from edge.upstream import Upstream
from tests.kit.h2_parent import running_hypercorn
from tests.kit.hurry import hurry
from tests.kit.origin import Asked, response, running_origin
from tests.kit.upstream import QUICK, ask, asking

WAITS = Waits(connect=60.0, first_byte=20.0, between_bytes=5.0)
CHUNK = bytes(256 * 1024)
"""Sockets on loopback hold a few MiB: what is sent behind that waits for the parent to read."""


async def without_end() -> AsyncIterator[bytes]:
    while True:
        yield CHUNK


def test_a_parent_that_stops_reading_an_upload_is_given_up_after_the_time_between_bytes() -> None:
    async def run() -> None:
        connected = asyncio.Event()

        async def reads_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            connected.set()
            await over.wait()
            writer.close()

        over = asyncio.Event()
        server = await asyncio.start_server(reads_nothing, "127.0.0.1", 0)
        upstream = Upstream(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", WAITS, 1)
        loop = asyncio.get_running_loop()
        began = loop.time()
        seen = await ask(upstream, asking(method="POST"), without_end())
        assert connected.is_set()
        assert seen.failure is Failure.BETWEEN_BYTES_TIMEOUT
        assert loop.time() - began == pytest.approx(WAITS.between_bytes, abs=1.0)
        over.set()
        await upstream.close()
        server.close()

    hurry(run())


def test_a_viewer_who_pauses_is_no_fault_of_the_parents_which_has_its_time_after_the_content() -> None:
    """Neither deadline runs while the next chunk is the viewer's affair; the first byte's begins behind the last chunk."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with running_origin() as origin:

            async def thinks(asked: Asked, writer: asyncio.StreamWriter) -> None:
                await asyncio.sleep(float(asked.target.removeprefix("/")))
                writer.write(response(asked.body))

            async def pausing() -> AsyncIterator[bytes]:
                for _ in range(3):
                    await asyncio.sleep(10 * WAITS.first_byte)
                    yield b"x"

            origin.does("/19", thinks)
            origin.does("/21", thinks)
            upstream = Upstream(origin.url, WAITS, 1)
            assert (await ask(upstream, asking("/19", "POST"), pausing())).body == b"xxx"
            began = loop.time()
            assert (await ask(upstream, asking("/21", "POST"), pausing())).failure is Failure.FIRST_BYTE_TIMEOUT
            assert loop.time() - began == pytest.approx(31 * WAITS.first_byte, abs=1.0)
            await upstream.close()

    hurry(run())


BREAKS = [  # what breaks in                                        the failure             its words
    (RuntimeError("a bug of ours"), Failure.INTERNAL, "the request body: RuntimeError('a bug of ours')"),
    (UpstreamFailed(Failure.ABANDONED, "the viewer left"), Failure.ABANDONED, "the viewer left"),
    (UpstreamFailed(Failure.TRUNCATED, "cut"), Failure.TRUNCATED, "cut"),
]


@pytest.mark.parametrize(("error", "failure", "words"), BREAKS)
@pytest.mark.parametrize("sent", [b"", b"half"])
def test_whose_fault_it_is_when_content_breaks_off(error: Exception, failure: Failure, words: str, sent: bytes) -> None:
    async def run() -> None:
        async def breaking() -> AsyncIterator[bytes]:
            yield sent
            raise error

        async with running_origin() as origin:
            upstream = Upstream(origin.url, QUICK, 1)
            seen = await ask(upstream, asking(method="POST"), breaking())
            assert (seen.failure, seen.detail) == (failure, words)
            assert origin.count["/a"] == 0, "half a request is none"
            origin.says("/b", b"well")
            assert (await ask(upstream, asking("/b"))).body == b"well"  # the one connection allowed is free again
            await upstream.close()

    asyncio.run(run())


@pytest.mark.parametrize(("error", "failure", "words"), BREAKS)
@pytest.mark.parametrize("sent", [b"", b"half"])
def test_over_http2_the_fault_is_the_same_and_the_connection_lives(
    error: Exception, failure: Failure, words: str, sent: bytes
) -> None:
    async def run() -> None:
        async def breaking() -> AsyncIterator[bytes]:
            yield sent
            raise error

        async with running_hypercorn() as url:
            upstream = Upstream(url, QUICK, 1, http="2")
            seen = await ask(upstream, asking("/echo", "POST"), breaking())
            assert (seen.failure, seen.detail) == (failure, words)
            assert (await ask(upstream, asking("/b"))).status == 200
            assert upstream.open_connections == 1
            await upstream.close()

    asyncio.run(run())


LENGTHS = [  # chunks                  promised  then
    ([b"12", b"345"], 5, b"12345"),
    ([b"", b"12345", b""], 5, b"12345"),
    ([b""], 0, b""),
    ([b"1234"], 5, Failure.ABANDONED),
    ([b"123456"], 5, Failure.ABANDONED),
]


@pytest.mark.parametrize(("chunks", "promised", "then"), LENGTHS)
def test_a_promised_length_is_kept(chunks: list[bytes], promised: int, then: bytes | Failure) -> None:
    async def run() -> None:
        async def body() -> AsyncIterator[bytes]:
            for chunk in chunks:
                yield chunk

        async with running_origin() as origin:

            async def echo(asked: Asked, writer: asyncio.StreamWriter) -> None:
                writer.write(response(asked.body))

            origin.does("/a", echo)
            upstream = Upstream(origin.url, QUICK, 1)
            seen = await ask(
                upstream, asking("/a", "POST", ("content-length", str(promised))), body(), body_length=promised
            )
            assert (seen.failure or seen.body) == then
            await upstream.close()

    asyncio.run(run())


def test_a_bug_in_what_an_interim_response_is_for_is_ours_and_not_the_parents() -> None:
    async def run() -> None:
        def bug(head: ResponseHead) -> None:
            raise KeyError("hints")

        async with running_origin() as origin:

            async def hints(asked: Asked, writer: asyncio.StreamWriter) -> None:
                writer.write(b"HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n" + response(b"final"))

            origin.does("/a", hints)
            upstream = Upstream(origin.url, replace(QUICK, first_byte=60.0), 1)
            with pytest.raises(UpstreamFailed) as failed:
                await upstream.exchange(asking(), on_interim=bug)
            assert failed.value.why is Failure.INTERNAL and "KeyError('hints')" in failed.value.detail
            await upstream.close()

    asyncio.run(run())
