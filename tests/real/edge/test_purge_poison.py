"""A log of purges that somebody else has written into: it goes on, and nobody is said to have obeyed what it cannot read.

Each poison is put into a real log, in a file and in Redis, beneath a node that serves.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cdnkit.policy.machine.purge_log import Follower, LoggedOrder
from cdnkit.policy.plan import Purged, PurgeOrder
from edge.purges.file_log import FileLog
from edge.purges.log import open_log
from edge.purges.order import BadOrder
from edge.purges.progress import Standing, carried, put
from edge.services import Services
from tests.kit.http import ask
from tests.kit.late import GUARD_S
from tests.kit.node import Running, running_node
from tests.kit.origin import Origin, running_origin
from tests.kit.poison import BAD_BODIES, Poisoned
from tests.kit.redis_server import needs_redis, running_redis


@asynccontextmanager
async def a_log(kind: str, folder: Path) -> AsyncIterator[Poisoned]:
    if kind == "file":
        yield Poisoned(str(folder / "purges.sqlite3"))
        return
    async with running_redis(folder) as server:
        yield Poisoned(server.url)


LOGS = [pytest.param("file"), pytest.param("redis", marks=needs_redis)]


async def ordered(where: str, order: dict[str, Any]) -> dict[str, Standing]:
    log = open_log(where)
    try:
        return [standing async for standing in carried(log, [order], within=GUARD_S)][-1]
    finally:
        await log.close()


async def healthy(node: Running, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What a node says of its purges, as soon as it is as wanted."""
    async with asyncio.timeout(GUARD_S):
        while not wanted(told := (await node.health())["purges"]):  # noqa: ASYNC110  # at a time of its own
            await asyncio.sleep(0.01)
    return dict(told)


def publish(origin: Origin, body: bytes) -> None:
    for path in ("/a", "/b"):
        origin.says(path, body, cache_control="max-age=600")


@pytest.mark.parametrize("kind", LOGS)
def test_an_entry_that_cannot_be_read_takes_all_and_those_behind_it_are_obeyed(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        async with (
            running_origin() as origin,
            a_log(kind, tmp_path) as log,
            running_node(origin.url, name="shield", purge_log=log.where, service={"gate": False}) as shield,
            running_node(shield.url, name="fra", purge_log=log.where) as fra,
        ):
            for count, body in enumerate(BAD_BODIES, 1):
                publish(origin, b"old %d" % count)
                await fra.get("/b")
                publish(origin, b"new %d" % count)
                await log.add(body)
                async with asyncio.timeout(GUARD_S):
                    while (await fra.get("/b")).body != b"new %d" % count:  # noqa: ASYNC110  # at a time of its own
                        await asyncio.sleep(0.01)
                standing = await ordered(log.where, {"url": "/a"})
                assert all(one.obeyed for one in standing.values()) and list(standing) == ["shield", "fra"]
                for node in (shield, fra):
                    told = (await node.health())["purges"]
                    assert (told["unread"], told["following"], told["trouble"]) == (count, True, "")
            said = [one.getMessage() for one in caplog.records if "cannot be read" in one.getMessage()]
            assert len(said) == 2 * len(BAD_BODIES)  # once at each node

    with caplog.at_level(logging.ERROR, "cdnlab.edge"):
        asyncio.run(run())


@pytest.mark.parametrize("kind", LOGS)
def test_a_log_full_of_them_is_read_in_batches_and_told_in_a_line_for_each(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        async with running_origin() as origin, a_log(kind, tmp_path) as log:
            opened = open_log(log.where)
            for _ in range(3):
                await opened.append([LoggedOrder(0, {"later\x1b\n": n}) for n in range(1000)])
            async with running_node(origin.url, name="fra", purge_log=log.where) as fra:
                assert (await ordered(log.where, {"url": "/a"}))["fra"].obeyed  # it was empty, and missed nothing
                await opened.append([LoggedOrder(0, {"later\x1b\n": n}) for n in range(3000)])
                assert (await ordered(log.where, {"url": "/a"}))["fra"].obeyed
                assert (await fra.health())["purges"]["unread"] == 3000
            await opened.close()
            said = [one.getMessage() for one in caplog.records if "cannot be read" in one.getMessage()]
            assert 1 <= len(said) <= 5 and said[0].isprintable() and len(said[0]) < 500

    with caplog.at_level(logging.ERROR, "cdnlab.edge"):
        asyncio.run(run())


@pytest.mark.parametrize("kind", LOGS)
def test_who_ordered_what_a_node_cannot_read_is_told_so(kind: str, tmp_path: Path) -> None:
    """A node of an earlier version, say, which has no such order; here the log is spoilt between writing and reading."""

    async def run() -> None:
        async with (
            running_origin() as origin,
            a_log(kind, tmp_path) as log,
            running_node(origin.url, name="fra", purge_log=log.where, purge_delay=0.5) as fra,
        ):
            opened = open_log(log.where)
            await opened.append([LoggedOrder(0, {"later": "than this version"})])
            await healthy(fra, lambda told: bool(told["unread"] == 1))
            sent = await put(opened, [{"url": "/a"}])
            sent.numbers.insert(0, sent.numbers[0] - 1)  # as if both had been of one order
            async with asyncio.timeout(GUARD_S):
                while not (standing := await sent.look())["fra"].done:  # noqa: ASYNC110  # another task
                    await asyncio.sleep(0.01)
            assert standing == {"fra": Standing(taken=True, done=True, purged=0, unread=True)}
            assert not standing["fra"].obeyed
            await opened.close()

    asyncio.run(run())


def test_what_no_node_could_read_is_not_put_into_the_log(tmp_path: Path) -> None:
    async def run() -> None:
        log = open_log(str(tmp_path / "purges.sqlite3"))
        for order in ({"url": "a"}, {"url": "/\ud800"}, {"later": 1}, {}):
            with pytest.raises(BadOrder):
                await put(log, [{"url": "/a"}, order])
        assert (await log.read(0)).extent.last == 0
        await log.close()

    asyncio.run(run())


ROWS = [  # of a follower, spoilt: in Redis, and in the file
    (("HSET", "{cdnlab:purges}:followers", "fra", '{"url": "http://x"}'), ("UPDATE followers SET parents = '{}'",)),
    (("HSET", "{cdnlab:purges}:followers", "fra", "no JSON"), ("UPDATE followers SET parents = 'no JSON'",)),
    (("HSET", "{cdnlab:purges}:followers", "fra", "[1]"), ("UPDATE followers SET parents = ?", b"\xff")),
    (("HSET", "{cdnlab:purges}:done", "fra", "much"), ("UPDATE followers SET done = 'much'",)),
    (("HSET", "{cdnlab:purges}:done", "fra", 10**9), ("UPDATE followers SET done = ?", 10**9)),
    (("HDEL", "{cdnlab:purges}:followers", "fra"), ("DELETE FROM followers",)),
    (("DEL", "{cdnlab:purges}:followers"), ("UPDATE followers SET url = ?", b"\xff\xfe")),
]


@pytest.mark.long
@pytest.mark.parametrize("kind", LOGS)
def test_a_node_whose_row_is_spoilt_writes_it_anew_and_is_waited_for(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.purges.follower.IDLE_S", 0.1)

    async def run() -> None:
        async with (
            running_origin() as origin,
            a_log(kind, tmp_path) as log,
            running_node(origin.url, name="fra", purge_log=log.where) as fra,
        ):
            opened = open_log(log.where)
            good = (await opened.followers())["fra"]
            for in_redis, in_file in ROWS:
                await log.spoil(*(in_redis if kind == "redis" else in_file))
                await opened.followers()  # whoever orders can read it, spoilt or not
                async with asyncio.timeout(GUARD_S):
                    while (await opened.followers()).get("fra") != good:  # noqa: ASYNC110  # another task
                        await asyncio.sleep(0.02)
            await opened.close()
            publish(origin, b"old")
            await fra.get("/a")
            assert await ordered(log.where, {"url": "/a"}) == {"fra": Standing(True, True, 1)}

    asyncio.run(run())


def test_two_nodes_of_one_name_say_so_once_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = []
    join = FileLog.join

    async def counted(self: FileLog, one: Follower) -> None:
        joined.append(one.name)
        await join(self, one)

    async def run() -> None:
        where = str(tmp_path / "purges.sqlite3")
        async with (
            running_origin() as origin,
            running_node(origin.url, name="fra", purge_log=where),
            running_node(origin.url, name="fra", purge_log=where),
        ):
            async with asyncio.timeout(GUARD_S):
                while len(joined) < 10:  # noqa: ASYNC110  # two tasks
                    await asyncio.sleep(0.01)

    monkeypatch.setattr(FileLog, "join", counted)
    monkeypatch.setattr("edge.purges.follower.IDLE_S", 0.02)
    with caplog.at_level(logging.WARNING, "cdnlab.edge"):
        asyncio.run(run())
    said = [one.getMessage() for one in caplog.records if "was not its own" in one.getMessage()]
    assert 1 <= len(said) <= 2


@needs_redis
def test_what_others_add_to_the_stream_under_a_time_is_counted_on_from(tmp_path: Path) -> None:
    """`XADD ... *` makes an id of the time: higher than all of ours, which are to stay the highest."""

    async def run() -> None:
        async with (
            running_origin() as origin,
            a_log("redis", tmp_path) as log,
            running_node(origin.url, name="fra", purge_log=log.where) as fra,
        ):
            await ordered(log.where, {"url": "/a"})
            for _ in range(3):  # within a millisecond, maybe
                await log.spoil("XADD", "{cdnlab:purges}:log", "*", "body", "no JSON")
            assert (await ordered(log.where, {"url": "/a"}))["fra"].obeyed
            publish(origin, b"old")
            await fra.get("/a")
            assert await ordered(log.where, {"url": "/a"}) == {"fra": Standing(True, True, 1)}
            told = await healthy(fra, lambda told: bool(told["following"]))
            assert 1 <= told["unread"] <= 3 and told["done"] > 10**12
            await log.spoil("DEL", "{cdnlab:purges}:last")
            assert (await ordered(log.where, {"url": "/a"}))["fra"].obeyed
            # One that was taken away again: the server still wants a higher id than that was.
            await log.spoil("XADD", "{cdnlab:purges}:log", "1899999999999-7", "body", "no JSON")
            await log.spoil("XDEL", "{cdnlab:purges}:log", "1899999999999-7")
            assert (await ordered(log.where, {"url": "/a"}))["fra"].obeyed
            await log.spoil("SET", "{cdnlab:purges}:last", "many")
            assert (await ordered(log.where, {"url": "/a"}))["fra"].obeyed

    asyncio.run(run())


Spoiling = Callable[[Poisoned], Awaitable[None]]


@pytest.mark.parametrize("kind", LOGS)
def test_a_log_that_is_none_any_more_is_said_once_and_followed_again_when_it_is_one(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        async with (
            running_origin() as origin,
            a_log(kind, tmp_path) as log,
            running_node(origin.url, name="fra", purge_log=log.where) as fra,
        ):
            if kind == "redis":
                await log.spoil("RENAME", "{cdnlab:purges}:followers", "kept")
                await log.spoil("SET", "{cdnlab:purges}:followers", "no hash")
            else:
                await log.spoil("ALTER TABLE followers RENAME TO kept")
            told = await healthy(fra, lambda told: not told["following"])
            assert "does not answer" in told["trouble"]
            health = await fra.health()
            assert health["troubles"] == {"purges": told["trouble"]}
            publish(origin, b"v1")
            assert (await fra.get("/a")).body == b"v1"  # it serves on
            await asyncio.sleep(0.3)
            if kind == "redis":
                await log.spoil("DEL", "{cdnlab:purges}:followers")
            else:
                await log.spoil("ALTER TABLE kept RENAME TO followers")
            told = await healthy(fra, lambda told: bool(told["following"]))
            assert (await ordered(log.where, {"url": "/a"})) == {"fra": Standing(True, True, 1)}
            said = [one.getMessage() for one in caplog.records if one.getMessage().startswith("fra: purges: ")]
            assert len(said) == 2 and said[1] == "fra: purges: works again", said

    with caplog.at_level(logging.WARNING, "cdnlab.edge"):
        asyncio.run(run())


def test_a_fault_in_carrying_an_order_out_stops_none_behind_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    purge_all = Services.purge_all

    async def faulty(self: Services, orders: list[PurgeOrder], mark: str | None = None) -> list[Purged]:
        if any(one.value == "/trips" for one in orders):
            raise RuntimeError("a fault of ours")
        return await purge_all(self, orders, mark)

    async def run() -> None:
        where = str(tmp_path / "purges.sqlite3")
        async with running_origin() as origin, running_node(origin.url, purge_log=where) as fra:
            publish(origin, b"old")
            await fra.get("/a")
            assert await ordered(where, {"url": "/trips"}) == {"fra": Standing(True, True, 0, unread=True)}
            assert (await fra.health())["stored_responses"] == 0
            assert (await ordered(where, {"url": "/a"}))["fra"].obeyed

    monkeypatch.setattr(Services, "purge_all", faulty)
    asyncio.run(run())


def test_a_node_without_a_log_says_so() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:
            assert json.loads((await ask(node.admin, "/healthz")).body)["purges"] is None

    asyncio.run(run())
