"""Clients who mean harm: each attack ends within its bound, and an honest client is served while it runs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import psutil
import pytest
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes
from hyperframe.frame import ContinuationFrame, DataFrame, HeadersFrame, PingFrame, PriorityFrame, SettingsFrame

from cdnkit.serving.budget import ODDITIES, RESETS, Budget
from tests.kit.http import ask, read_reply
from tests.kit.http2 import Client, http2, narrow
from tests.kit.hurry import hurry
from tests.kit.late import GUARD_S
from tests.kit.listener import hello, listening, served_by  # noqa: F401  (a fixture)

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(url: str) -> Pair:
    host, port = url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


@asynccontextmanager
async def honest(url: str) -> AsyncIterator[None]:
    """Somebody who asks again and again while the attack goes on: every answer right, no waiting for its end."""
    over = asyncio.Event()
    answers = 0

    async def asks() -> None:
        nonlocal answers
        while answers == 0 or not over.is_set():
            async with asyncio.timeout(GUARD_S):
                assert (await ask(url, "/")).body == b"hello"
            answers += 1
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        group.create_task(asks())
        yield
        over.set()


class Held:
    """Holds every request to /held until told; answers others at once."""

    def __init__(self, awaited: int = 0) -> None:
        self.begun = 0
        self.awaited = awaited
        self.release = asyncio.Event()
        self.all_begun = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/held":
            self.begun += 1
            if self.begun == self.awaited:
                self.all_begun.set()
            await self.release.wait()
        await hello(scope, receive, send)


# ---- heads that trickle, connections that rest -------------------------------------------------------------------------


def test_heads_that_trickle_are_answered_408_in_time() -> None:
    async def run() -> None:
        async def loris(url: str) -> int:
            reader, writer = await connect(url)
            told = asyncio.create_task(read_reply(reader))
            try:
                for byte in b"GET / HTTP/1.1\r\nhost: " + b"x" * 1000:
                    writer.write(bytes([byte]))
                    if (await asyncio.wait({told}, timeout=0.02))[0]:
                        break
                return (await told).status
            finally:
                writer.close()

        async with listening(hello, head_within=0.3) as url, honest(url):
            async with asyncio.timeout(GUARD_S):
                assert await asyncio.gather(*(loris(url) for _ in range(50))) == [408] * 50

    asyncio.run(run())


def test_one_who_says_nothing_is_left_without_a_word() -> None:
    async def run() -> None:
        async with listening(hello, head_within=0.2) as url:
            reader, writer = await connect(url)
            assert await asyncio.wait_for(reader.read(), GUARD_S) == b""
            writer.close()

    asyncio.run(run())


def test_a_connection_rests_as_long_as_idle_says_and_a_second_head_is_timed_too() -> None:
    async def run() -> None:
        request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
        async with listening(hello, idle=1000, head_within=300) as url:
            reader, writer = await connect(url)
            for _ in range(2):
                writer.write(request)
                assert (await read_reply(reader)).status == 200
                await asyncio.sleep(500)  # longer than a head may take: no head has begun
            writer.write(request[:10])
            assert (await asyncio.wait_for(read_reply(reader), 2000)).status == 408
            assert await asyncio.wait_for(reader.read(), 2000) == b""
            writer.close()
            resting, writer = await connect(url)
            writer.write(request)
            assert (await read_reply(resting)).status == 200
            assert await asyncio.wait_for(resting.read(), 2000) == b""  # idle passed: nothing is said
            writer.close()

    hurry(run())


def test_an_http2_connection_without_a_request_says_goodbye() -> None:
    async def run() -> None:
        async with listening(hello, idle=1000) as url, http2(url) as client:
            stream = await client.ask("/")
            await client.until(stream)
            for _ in range(3):
                client.h2.ping(b"12345678")  # which keeps nobody waiting longer
                await client.flush()
            await client.until(within=2000)
            assert client.goaway == ErrorCodes.NO_ERROR

    hurry(run())


def test_an_http2_head_that_never_ends_ends_with_its_connection() -> None:
    async def run() -> None:
        async with listening(hello, idle=0.4) as url, http2(url) as client, honest(url):
            half = HeadersFrame(1, data=b"\x82", flags=["END_STREAM"])
            client._writer.write(half.serialize())
            await client.until()
            assert client.closed

    asyncio.run(run())


# ---- too many connections ------------------------------------------------------------------------------------------


def test_one_source_may_open_so_many_connections_and_others_still_come_in() -> None:
    async def run() -> None:
        async with listening(hello, per_source=2) as url, asyncio.timeout(GUARD_S):
            host, _, port = url.removeprefix("http://").partition(":")

            async def came(source: str) -> tuple[bytes, asyncio.StreamWriter]:
                reader, writer = await asyncio.open_connection(host, int(port), local_addr=(source, 0))
                writer.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")
                return await reader.readuntil(b"\r\n\r\n"), writer

            opened = [await came("127.0.0.1") for _ in range(2)]
            assert [head[9:12] for head, _ in opened] == [b"200", b"200"]
            refused = await ask(url, "/")
            assert (refused.status, refused.body) == (429, b"429 limit: 2 connections are open from this address\n")
            other, writer = await came("127.0.0.2")
            assert other[9:12] == b"200"
            for _, one in (*opened, (other, writer)):
                one.close()
            while (await ask(url, "/")).status == 429:
                pass

    asyncio.run(run())


def test_one_connection_too_many_is_told_so_and_no_descriptor_is_lost() -> None:
    async def run() -> None:
        held = Held(awaited=8)
        async with listening(held, connections=8) as url:
            before = psutil.Process().num_fds()
            busy = [asyncio.create_task(ask(url, "/held")) for _ in range(8)]
            await held.all_begun.wait()
            for _ in range(100):
                refused = await ask(url, "/")
                assert (refused.status, refused["retry-after"]) == (503, "1")
                assert refused.body == b"503 limit: 8 connections are open and busy\n"
            held.release.set()
            assert [reply.status for reply in await asyncio.gather(*busy)] == [200] * 8
            assert (await ask(url, "/")).status == 200
            async with asyncio.timeout(GUARD_S):
                while psutil.Process().num_fds() > before:  # noqa: ASYNC110  (the kernel table has no event)
                    await asyncio.sleep(0.01)

    asyncio.run(run())


def test_connections_that_ask_nothing_make_place_for_one_who_asks() -> None:
    async def run() -> None:
        async with listening(hello, connections=8) as url:
            idlers = [await connect(url) for _ in range(30)]
            for _ in range(30):
                assert (await ask(url, "/")).body == b"hello"
            for _, writer in idlers:
                writer.close()

    asyncio.run(run())


# ---- HTTP/2 --------------------------------------------------------------------------------------------------------


def test_streams_at_once_are_bounded() -> None:
    async def run() -> None:
        held = Held(awaited=10)
        async with listening(held, streams=10) as url, http2(url) as client, honest(url):
            for _ in range(10):
                await client.ask("/held")
            await client.until(or_when=lambda: client.h2.remote_settings.max_concurrent_streams == 10)
            await held.all_begun.wait()
            client.h2.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 100
            client.h2.remote_settings.acknowledge()
            await client.ask("/held")
            await client.until()
            assert client.closed and held.begun == 10
            held.release.set()

    asyncio.run(run())


async def open_and_reset(client: Client, path: str) -> None:
    """5000 times, or until the connection is gone."""
    reading = asyncio.create_task(client.until())
    with suppress(ConnectionError, ProtocolError):
        for _ in range(5000):
            await client.ask(path)
            client.h2.reset_stream(max(client.streams), ErrorCodes.CANCEL)
    await reading


def test_rapid_reset_is_cut_short() -> None:
    """CVE-2023-44487: each stream is reset as soon as it is open, so none ever counts as open."""

    async def run() -> None:
        held = Held()
        async with listening(held) as url, http2(url) as client, honest(url):
            await open_and_reset(client, "/held")
            assert client.closed and held.begun <= 201  # twice the streams, then no more

    asyncio.run(run())


def test_resets_of_requests_that_are_quickly_answered_are_counted_too() -> None:
    async def run() -> None:
        begun = 0

        async def counting(scope: Any, receive: Any, send: Any) -> None:
            nonlocal begun
            begun += scope["path"] == "/reset"
            await hello(scope, receive, send)

        async with listening(counting) as url, http2(url) as client, honest(url):
            await open_and_reset(client, "/reset")
            assert client.closed and begun <= RESETS[0] + 10 * RESETS[1]

    asyncio.run(run())


def _pings(_: Client) -> bytes:
    return PingFrame(0, opaque_data=b"12345678").serialize()


def _settings(_: Client) -> bytes:
    return SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 70_000}).serialize()


def _priorities(_: Client) -> bytes:
    return PriorityFrame(5, depends_on=3, stream_weight=7).serialize()


def _nothing(_: Client) -> bytes:
    return DataFrame(1, data=b"").serialize()


@pytest.mark.parametrize("frame", [_pings, _settings, _priorities, _nothing])
def test_floods_of_frames_that_carry_nothing_are_cut_short(frame: Callable[[Client], bytes]) -> None:
    async def run() -> None:
        held = Held()
        async with listening(held) as url, http2(url) as client, honest(url):
            await client.ask("/held", method="POST", end=False)
            flood = frame(client) * 1000
            reading = asyncio.create_task(client.until())
            with suppress(ConnectionError):
                for _ in range(2 * int(ODDITIES[0]) // 1000):
                    client._writer.write(flood)
                    await client._writer.drain()
            await reading
            assert client.goaway == ErrorCodes.ENHANCE_YOUR_CALM
            held.release.set()

    asyncio.run(run())


def test_a_flood_whose_answers_nobody_reads_is_dropped() -> None:
    async def run() -> None:
        async with listening(hello, stalled=0.3) as url, honest(url), narrow(url) as client:
            loop = asyncio.get_running_loop()
            preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SettingsFrame(0).serialize()
            flood = PingFrame(0, opaque_data=b"12345678").serialize() * 900
            with pytest.raises(ConnectionError):
                await loop.sock_sendall(client, preface)
                async with asyncio.timeout(GUARD_S):
                    while True:
                        await loop.sock_sendall(client, flood)
                        await asyncio.sleep(0.05)

    asyncio.run(run())


def test_a_head_in_endless_continuations_is_cut_short() -> None:
    """CVE-2024-27316 and its kind."""

    async def run() -> None:
        async with listening(hello) as url, http2(url) as client, honest(url):
            client._writer.write(HeadersFrame(1, data=b"\x82").serialize())
            with suppress(ConnectionError):
                for _ in range(2000):
                    client._writer.write(ContinuationFrame(1, data=b"\x40\x01a\x01b" * 100).serialize())
                    await client._writer.drain()
            await client.until()
            assert client.closed

    asyncio.run(run())


def test_a_path_that_is_none_ends_its_stream_alone() -> None:
    # hypercorn failed at decoding it, and every stream of the connection with it.
    async def run() -> None:
        async with listening(hello) as url, http2(url) as client:
            bad, good = await client.ask("/caf\u00e9"), await client.ask("/")
            await client.until(bad, good)
            assert bad.reset == ErrorCodes.PROTOCOL_ERROR and bytes(good.body) == b"hello"

    asyncio.run(run())


def test_a_budget_refills() -> None:
    budget = Budget(burst=3, rate=2.0, now=10.0)
    assert [budget.spend(10.0) for _ in range(4)] == [True, True, True, False]
    assert [budget.spend(10.5), budget.spend(10.5)] == [True, False]
    assert [budget.spend(99.0) for _ in range(4)] == [True, True, True, False]  # never more than the burst
