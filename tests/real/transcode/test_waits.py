"""How long an encoder that failed waits, in virtual time: its back-off, unless an origin that was away is back."""

import asyncio
from contextlib import suppress

import pytest

from tests.kit.hurry import hurry
from tests.kit.origin import running_origin
from transcode.process import LOOK_AGAIN, Backoff, _wait

RAN = [  # ran for    then waits, after two failures at once
    (19.9, 2.0),
    (20.0, 0.5),  # on the limit it ran well
    (20.1, 0.5),
]


@pytest.mark.parametrize(("ran", "waits"), RAN)
def test_who_ran_well_begins_anew_on_the_limit(ran: float, waits: float) -> None:
    backoff = Backoff()
    assert [backoff.after(0.0), backoff.after(0.0)] == [0.5, 1.0]
    assert backoff.after(ran) == waits


def test_with_its_origin_there_only_the_time_is_waited_for_and_the_origin_is_looked_at_once() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        looks = 0

        async def looked_at(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal looks
            looks += 1
            writer.close()

        server = await asyncio.start_server(looked_at, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        began = loop.time()
        assert await _wait(15.0, asyncio.Event(), url) is False
        assert loop.time() - began == pytest.approx(15.0, abs=0.5)
        assert looks == 1
        server.close()

    hurry(run())


def test_an_origin_that_is_back_ends_the_wait_and_is_looked_for_four_times_a_second() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with running_origin() as origin:
            host, port = origin.url.removeprefix("http://").split(":")
        url = origin.url  # nobody listens there any more
        began = loop.time()
        waiting = asyncio.create_task(_wait(15.0, asyncio.Event(), url))
        await asyncio.sleep(4.0)
        assert not waiting.done()
        with suppress(OSError):
            server = await asyncio.start_server(lambda reader, writer: writer.close(), host, int(port))
            assert await waiting is True
            assert loop.time() - began == pytest.approx(4.0, abs=2 * LOOK_AGAIN)
            server.close()
        waiting.cancel()

    hurry(run())


def test_an_origin_that_stays_away_is_waited_for_no_longer_and_a_shutdown_ends_it_at_once() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with running_origin() as origin:
            pass
        began = loop.time()
        assert await _wait(2.0, asyncio.Event(), origin.url) is False
        assert loop.time() - began == pytest.approx(2.0, abs=0.5)
        shutdown, began = asyncio.Event(), loop.time()
        loop.call_later(1.0, shutdown.set)
        assert await _wait(15.0, shutdown, origin.url) is False
        assert loop.time() - began == pytest.approx(1.0, abs=LOOK_AGAIN)

    hurry(run())
