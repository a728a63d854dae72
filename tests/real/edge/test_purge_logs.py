"""The two logs of orders by one table of promises: in a file, and in a real Redis."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from cdnkit.policy.machine.purge_log import Follower, LoggedOrder
from edge.purges import file_log
from edge.purges.file_log import FileLog
from edge.purges.log import BadLog, LogLost, PurgeLog, body_of, logged
from edge.purges.progress import Standing, put
from edge.purges.redis_log import RedisLog
from tests.kit.late import GUARD_S
from tests.kit.redis_server import RedisServer, needs_redis, running_redis

Opened = Callable[..., PurgeLog]
Promise = Callable[[Opened], Awaitable[None]]


async def numbers_are_in_order_and_without_a_gap(opened: Opened) -> None:
    log = opened()
    assert await log.append([LoggedOrder(0, {"url": "/a"}), LoggedOrder(0, {"url": "/b"})]) == [1, 2]
    assert await log.append([LoggedOrder(0, {"everything": True}, only=("fra",), again=2)]) == [3]
    batch = await log.read(1)
    assert batch.orders == (LoggedOrder(2, {"url": "/b"}), LoggedOrder(3, {"everything": True}, only=("fra",), again=2))
    assert (batch.extent.first, batch.extent.last) == (1, 3)
    assert [one.number for one in (await log.read(0, 2)).orders] == [1, 2]


async def two_who_order_at_the_same_time_make_one_order(opened: Opened) -> None:
    one, other = opened(), opened()
    given = await asyncio.gather(
        *(
            log.append([LoggedOrder(0, {"url": f"/{name}{n}"})])
            for n in range(50)
            for name, log in (("a", one), ("b", other))
        )
    )
    assert sorted(number for (number,) in given) == list(range(1, 101))
    for log in (one, other):
        assert [order.number for order in (await log.read(0)).orders] == list(range(1, 101))
    assert (await one.read(0)).orders == (await other.read(0)).orders


async def what_is_trimmed_shows(opened: Opened) -> None:
    log = opened(kept=3)
    assert (await log.read(0)).extent.first == 1
    for n in range(5):
        await log.append([LoggedOrder(0, {"url": f"/{n}"})])
    batch = await log.read(1)
    assert (batch.extent.first, batch.extent.last) == (3, 5)
    assert [one.number for one in batch.orders] == [3, 4, 5]


async def what_is_trimmed_altogether_is_counted_on_from(opened: Opened) -> None:
    """Or a node would take the next orders for those that it has carried out."""
    log = opened(kept=0)
    assert await log.append([LoggedOrder(0, {"url": "/a"})]) == [1]
    assert await log.append([LoggedOrder(0, {"url": "/b"}), LoggedOrder(0, {"url": "/c"})]) == [2, 3]
    batch = await log.read(0)
    assert (batch.orders, batch.extent.first, batch.extent.last) == ((), 4, 3)


async def somebody_waits(log: PurgeLog) -> None:
    """Until a reader of the same log has found nothing and waits for news."""
    await asyncio.sleep(0)  # at a file it has looked then
    if isinstance(log, RedisLog):
        async with asyncio.timeout(GUARD_S):
            while not (await log._redis.info("clients"))["blocked_clients"]:
                """Its call is on its way to the server."""


async def news_comes_at_once(opened: Opened) -> None:
    reader, orderer = opened(), opened()
    assert (await reader.read(0)).orders == ()
    for _ in range(2):
        await reader.news(0)  # what the openings themselves changed
    took = []
    for number in range(3):
        waiting = asyncio.create_task(reader.news(number, within=GUARD_S))
        await somebody_waits(orderer)
        assert not waiting.done()
        began = time.monotonic()
        await orderer.append([LoggedOrder(0, {"url": "/a"})])
        await waiting
        took.append(time.monotonic() - began)
        assert len((await reader.read(number)).orders) == 1
    assert min(took) < 0.5  # a busy machine may be late; what waits for a time to be over is late each time


async def followers_tell_how_far_they_are(opened: Opened) -> None:
    node, operator = opened(), opened()
    await node.join(Follower("fra", "http://fra", ("http://shield", "http://b"), 4, 4))
    await operator.join(Follower("old", "http://old", (), 0, 0))
    await node.report("fra", taken=6, done=5, purged={5: 3})
    assert (await operator.followers())["fra"] == Follower("fra", "http://fra", ("http://shield", "http://b"), 6, 5)
    await node.report("fra", taken=6, done=6, purged={6: 4})
    assert await operator.purged([5, 6]) == {"fra": 7}
    assert await operator.purged([6]) == {"fra": 4}
    await operator.keep_only(["fra"])
    assert list(await node.followers()) == ["fra"]


async def a_cancellation_ends_a_call_whenever_it_comes(opened: Opened) -> None:
    """Redis' client loses one that comes while it sends, on Python 3.11: a node that was told to end went on for ever."""
    for steps in range(120):
        reading = asyncio.create_task(opened().read(0))
        for _ in range(steps % 40):
            await asyncio.sleep(0)
        if reading.cancel():
            await asyncio.wait({reading}, timeout=GUARD_S)
            assert reading.cancelled(), f"after {steps % 40} steps"


PROMISES = [
    numbers_are_in_order_and_without_a_gap,
    two_who_order_at_the_same_time_make_one_order,
    what_is_trimmed_shows,
    what_is_trimmed_altogether_is_counted_on_from,
    news_comes_at_once,
    followers_tell_how_far_they_are,
    a_cancellation_ends_a_call_whenever_it_comes,
]


async def kept(promise: Promise, make: Opened) -> None:
    logs: list[PurgeLog] = []

    def opened(**more: int) -> PurgeLog:
        logs.append(make(**more))
        return logs[-1]

    try:
        await promise(opened)
    finally:
        for log in logs:
            await log.close()


@pytest.mark.parametrize("promise", PROMISES, ids=lambda one: one.__name__)
def test_in_a_file(promise: Promise, tmp_path: Path) -> None:
    asyncio.run(kept(promise, lambda **more: FileLog(tmp_path / "purges.sqlite3", **more)))


@needs_redis
@pytest.mark.parametrize("promise", PROMISES, ids=lambda one: one.__name__)
def test_in_redis(promise: Promise, tmp_path: Path) -> None:
    async def run() -> None:
        async with running_redis(tmp_path) as server:
            await kept(promise, lambda **more: RedisLog(server.url, **more))

    asyncio.run(run())


def test_a_file_outlives_those_who_opened_it(tmp_path: Path) -> None:
    async def run() -> None:
        first = FileLog(tmp_path / "purges.sqlite3")
        await first.append([LoggedOrder(0, {"url": "/a"})])
        before = await first.read(0)
        await first.close()
        second = FileLog(tmp_path / "purges.sqlite3")
        assert await second.read(0) == before
        await second.close()

    asyncio.run(run())


@pytest.mark.parametrize("left", ["", "-wal", "-shm"])
def test_a_file_that_is_deleted_is_made_anew_once_for_all(left: str, tmp_path: Path) -> None:
    """`left`: what of it was not deleted, which is no part of the new one."""
    path = tmp_path / "purges.sqlite3"

    async def run() -> None:
        logs = [FileLog(path) for _ in range(4)]
        before = await logs[0].append([LoggedOrder(0, {"url": f"/{n}"}) for n in range(3)])
        for log in logs:
            assert (await log.read(0)).extent.last == before[-1]
        waiting = asyncio.create_task(logs[0].news(3, 30.0))
        for part in {"", "-wal", "-shm"} - ({left} - {""}):
            path.with_name(path.name + part).unlink()
        await asyncio.wait_for(waiting, 10.0)
        given = await asyncio.gather(*(log.append([LoggedOrder(0, {"everything": True})]) for log in logs))
        assert sorted(given) == [[1], [2], [3], [4]]
        new = FileLog(path)  # opened as `cdnlab purge` would
        assert [(await log.read(0)) for log in logs] == [await new.read(0)] * 4
        for log in (*logs, new):
            await log.close()
        with sqlite3.connect(path) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)

    asyncio.run(run())


def test_who_orders_is_told_that_nothing_can_be_written_and_may_again_later(tmp_path: Path) -> None:
    """A full disk looks so; here another process holds the file's lock for longer than anybody waits."""
    path = tmp_path / "purges.sqlite3"

    async def run() -> None:
        first = FileLog(path)
        await first.append([LoggedOrder(0, {"url": "/a"})])
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            second = FileLog(path)  # opening writes nothing
            with pytest.raises(LogLost, match="locked"):
                await second.append([LoggedOrder(0, {"url": "/b"})])
            assert (await second.read(0)).extent.last == 1
            other.execute("ROLLBACK")
        assert await second.append([LoggedOrder(0, {"url": "/b"})]) == [2]
        for log in (first, second):
            await log.close()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(file_log, "LOCK_WAIT_S", 0.05)
        asyncio.run(run())


def test_what_is_no_log_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    text, other = tmp_path / "notes.txt", tmp_path / "other.sqlite3"
    text.write_text("no database, and long enough to be taken for one by its length " * 20)
    with sqlite3.connect(other) as db:
        db.execute("PRAGMA application_id = 7")
    for path in (text, other):
        with pytest.raises(BadLog, match=path.name):
            FileLog(path)
    assert text.read_text().startswith("no database")


@needs_redis
def test_a_server_that_is_gone_is_said_to_be_and_one_that_forgot_is_another_log(tmp_path: Path) -> None:
    async def lost(log: RedisLog, server: RedisServer) -> None:
        await log.append([LoggedOrder(0, {"url": "/a"})])
        before = (await log.read(0)).extent
        await server.kill()
        with pytest.raises(LogLost, match=f"127.0.0.1:{server.port}"):
            await log.read(0)
        with pytest.raises(LogLost):
            await log.append([LoggedOrder(0, {"url": "/b"})])
        await server.start()
        after = (await log.read(0)).extent
        assert after.log != before.log and after.last == 0

    async def run() -> None:
        async with running_redis(tmp_path) as server:
            log = RedisLog(server.url)
            try:
                await lost(log, server)
            finally:
                await log.close()

    asyncio.run(run())


def test_a_password_is_in_no_message() -> None:
    assert RedisLog("redis://me:s3cr3t@127.0.0.1:1/0").where == "redis://127.0.0.1:1/0"


def test_an_order_is_complete_when_what_repeats_it_is_and_what_repeats_that(tmp_path: Path) -> None:
    async def run() -> None:
        log = FileLog(tmp_path / "purges.sqlite3")
        await log.join(Follower("fra", "http://fra", (), 0, 0))
        sent = await put(log, [{"url": "/a"}])
        await log.report("fra", taken=1, done=1, purged={1: 3})
        assert await sent.look() == {"fra": Standing(True, True, 3)}
        again = LoggedOrder(0, {"url": "/a"}, only=("fra",), again=1)
        await log.append([again, LoggedOrder(0, {"url": "/b"}), replace(again, again=2)])
        assert await sent.look() == {"fra": Standing(False, False, 3)}
        await log.report("fra", taken=3, done=3, purged={2: 1, 3: 9})
        assert not (await sent.look())["fra"].done
        await log.report("fra", taken=4, done=4, purged={4: 1})
        assert await sent.look() == {"fra": Standing(True, True, 5)}  # the other order is not this one's
        await log.close()

    asyncio.run(run())


@pytest.mark.parametrize("tiers", ["shields-first", "edges-first", "together"])
def test_an_order_as_an_earlier_version_logged_it_is_carried_out(tiers: str) -> None:
    body = f'{{"order": {{"url": "/a"}}, "tiers": "{tiers}", "only": ["fra"], "again": 3}}'
    assert logged(7, body) == LoggedOrder(7, {"url": "/a"}, only=("fra",), again=3)
    assert logged(7, body_of(logged(7, body))) == logged(7, body)
