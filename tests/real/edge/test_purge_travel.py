"""Orders to purge on their way to real nodes: in processes that are killed, over a real Redis, and a wire that is cut."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from cdnkit.policy.machine import purge_log
from cdnkit.policy.machine.purge_log import lateness
from edge.purges.log import open_log
from edge.purges.progress import Standing, carried
from tests.kit.http import ask
from tests.kit.late import GUARD_S, Late, judged
from tests.kit.loops import one_loop
from tests.kit.node import Running, running_node
from tests.kit.node_process import NodeProcess
from tests.kit.origin import Origin, running_origin
from tests.kit.ports import free_port
from tests.kit.redis_server import RedisServer, needs_redis, running_redis
from tests.kit.relay import Relay, running_relay

pytestmark = pytest.mark.long

LOGS = [pytest.param("file"), pytest.param("redis", marks=needs_redis)]


@asynccontextmanager
async def a_log(kind: str, folder: Path) -> AsyncIterator[str]:
    """Where nodes take their orders from."""
    if kind == "file":
        yield str(folder / "purges.sqlite3")
        return
    async with running_redis(folder) as server:
        yield server.url


Standings = dict[str, Standing]


async def ordered(
    where: str,
    *orders: dict[str, Any],
    within: float | None = GUARD_S,
    until: Callable[[Standings], bool] = lambda standing: False,
    expecting: Collection[str] = (),
) -> Standings:
    """How far the nodes were in the end, or as soon as it was as `until` says."""
    log = open_log(where)
    try:
        async for standing in carried(log, orders, within=within, expecting=expecting):
            if until(standing):
                break
        return standing
    finally:
        await log.close()


async def first_reply(url: str, target: str) -> bytes:
    """Of a server that is about to start: asked all the while, so that this is the first it could be asked for."""
    async with asyncio.timeout(GUARD_S):
        while True:
            with contextlib.suppress(OSError, EOFError, ValueError):
                return (await ask(url, target)).body
            await asyncio.sleep(0.001)


async def until_new(node: Running) -> None:
    async with asyncio.timeout(GUARD_S):
        while (await node.get("/a")).body != b"new":  # noqa: ASYNC110  # at a time of its own
            await asyncio.sleep(0.05)


def publish(origin: Origin, body: bytes) -> None:
    origin.says("/a", body, cache_control="max-age=600", surrogate_key="a")


@one_loop
@pytest.mark.parametrize(
    ("kind", "order"),
    [
        ("file", {"url": "/a"}),
        ("file", {"everything": True}),
        pytest.param("redis", {"surrogate_key": "a"}, marks=needs_redis),
    ],
)
def test_a_node_that_was_down_catches_up_before_it_answers_anybody(
    kind: str, order: dict[str, Any], tmp_path: Path
) -> None:
    async def run() -> None:
        async with running_origin() as origin, a_log(kind, tmp_path) as where:
            listen = f"127.0.0.1:{free_port()}"
            settings: dict[str, Any] = {"disk": {"path": str(tmp_path / "fra")}, "listen": listen, "purge_log": where}
            publish(origin, b"old")
            node = await NodeProcess.start(origin.url, **settings)
            await node.get("/a")
            assert await node.purge(url="/other") == 200  # what is stored is on disk now
            await node.kill()

            node = await NodeProcess.start(origin.url, **settings)
            publish(origin, b"new")
            assert (await node.get("/a")).body == b"old"  # it does keep it, if nobody orders otherwise
            await node.kill()

            standing = await ordered(where, order, within=0.1)
            assert standing == {"fra": Standing()}
            asked = asyncio.create_task(first_reply(f"http://{listen}", "/a"))
            node = await NodeProcess.start(origin.url, **settings)
            assert await asked == b"new"
            await node.stop()

            # And once it has caught up, it need not do so again.
            count = origin.count["/a"]
            node = await NodeProcess.start(origin.url, **settings)
            assert (await node.get("/a")).body == b"new" and origin.count["/a"] == count
            await node.stop()

    asyncio.run(run())


@pytest.mark.parametrize("kind", LOGS)
def test_two_who_order_at_the_same_time_are_obeyed_in_one_order_everywhere(kind: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            running_origin() as origin,
            a_log(kind, tmp_path) as where,
            running_node(origin.url, name="fra", records=tmp_path / "fra", purge_log=where) as fra,
            running_node(origin.url, name="nyc", records=tmp_path / "nyc", purge_log=where) as nyc,
        ):
            clients = [
                ordered(where, *({"url": f"/{name}{n}{m}"} for m in range(5))) for n in range(10) for name in "ab"
            ]
            for standing in await asyncio.gather(*clients):
                assert all(one.done for one in standing.values()) and list(standing) == ["fra", "nyc"]
            await fra.stop()
            await nyc.stop()
            done = [[record["value"] for record in node.records() if record["kind"] == "purge"] for node in (fra, nyc)]
            assert len(set(done[0])) == 100 and done[0] == done[1]

    asyncio.run(run())


@needs_redis
def test_who_filled_from_a_shield_that_was_late_purges_again(tmp_path: Path) -> None:
    """The shield serves on, and hears nothing: the edge goes without it, and gets the old copy back."""

    async def run() -> None:
        async with running_origin() as origin, running_redis(tmp_path) as server:
            address = f"http://127.0.0.1:{server.port}"
            async with (
                running_relay(address) as wire,
                running_node(origin.url, name="shield", purge_log=wire.url.replace("http", "redis")) as shield,
                running_node(shield.url, name="fra", purge_log=server.url) as fra,
            ):
                publish(origin, b"old")
                await fra.get("/a")
                publish(origin, b"new")
                wire.cut()
                standing = await ordered(server.url, {"url": "/a"}, until=lambda standing: standing["fra"].done)
                assert (standing["shield"].taken, standing["fra"].done) == (False, True)
                assert (await fra.get("/a")).body == b"old"  # from the shield
                completing = asyncio.create_task(ordered(server.url, {"url": "/elsewhere"}))
                wire.mend()
                assert all(one.done for one in (await completing).values())
                assert (await shield.get("/a")).body == b"new"
                # What the shield orders again stands behind the other order.
                standing = await ordered(server.url, {"url": "/elsewhere"})
                assert (await fra.get("/a")).body == b"new"

    asyncio.run(run())


def test_a_log_whose_file_is_deleted_empties_the_nodes_and_then_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "purges.sqlite3"

    async def run() -> None:
        async with (
            running_origin() as origin,
            running_node(origin.url, name="shield", purge_log=str(log)) as shield,
            running_node(shield.url, name="fra", purge_log=str(log)) as fra,
        ):
            publish(origin, b"old")
            await fra.get("/a")
            publish(origin, b"new")
            for part in ("", "-wal", "-shm"):
                log.with_name(log.name + part).unlink()
            done = await ordered(str(log), {"url": "/elsewhere"}, expecting=("shield", "fra"))
            assert all(one.done for one in done.values()) and done.keys() == {"shield", "fra"}
            # Nobody knows what was ordered and deleted.
            assert (await fra.get("/a")).body == b"new"
            assert (await ordered(str(log), {"url": "/a"}))["fra"] == Standing(True, True, 1)

    asyncio.run(run())


@needs_redis
def test_a_server_that_forgot_everything_empties_the_nodes_and_then_goes_on(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            running_origin() as origin,
            running_redis(tmp_path) as server,
            running_node(origin.url, name="fra", purge_log=server.url) as fra,
        ):
            publish(origin, b"old")
            await fra.get("/a")
            await ordered(server.url, {"url": "/elsewhere"})
            await server.kill()
            assert (await fra.get("/a")).body == b"old"  # it serves on without the log
            publish(origin, b"new")
            async with running_relay(f"http://127.0.0.1:{server.port}") as wire:
                sending = asyncio.create_task(ordered(wire.url.replace("http", "redis"), {"url": "/a"}, within=None))
                async with asyncio.timeout(GUARD_S):
                    while wire.turned_away < 2:  # noqa: ASYNC110  # it has tried, and tried again
                        await asyncio.sleep(0.01)
                assert not sending.done()
                await server.start()
                # Nobody knows what was ordered and forgotten.
                assert (await sending).keys() <= {"fra"}
            await until_new(fra)
            assert (await ordered(server.url, {"url": "/a"}))["fra"] == Standing(True, True, 1)

    asyncio.run(run())


@needs_redis
def test_with_the_log_away_what_is_stored_is_not_served_and_an_empty_node_serves(tmp_path: Path) -> None:
    async def stored(origin: Origin, server: RedisServer, wire: Relay, settings: dict[str, Any]) -> None:
        publish(origin, b"old")
        node = await NodeProcess.start(origin.url, **settings)
        await node.get("/a")
        await node.purge(url="/other")
        await node.stop()
        await server.kill()
        starting = asyncio.create_task(NodeProcess.start(origin.url, **settings))
        asked = asyncio.create_task(first_reply(f"http://{settings['listen']}", "/a"))
        turned_away = wire.turned_away
        async with asyncio.timeout(GUARD_S):
            while wire.turned_away < turned_away + 5:  # noqa: ASYNC110  # in another process
                await asyncio.sleep(0.01)
        assert not starting.done() and not asked.done()
        publish(origin, b"new")
        await server.start()  # and has forgotten all: what was stored is not to be trusted
        node = await starting
        assert await asked == b"new"
        await node.stop()

    async def run() -> None:
        async with running_origin() as origin, running_redis(tmp_path) as server:
            listen = f"127.0.0.1:{free_port()}"
            disk = {"path": str(tmp_path / "fra")}
            async with running_relay(f"http://127.0.0.1:{server.port}") as wire:
                purge_log = wire.url.replace("http", "redis")
                await stored(origin, server, wire, {"disk": disk, "listen": listen, "purge_log": purge_log})
            await server.kill()
            async with running_node(origin.url, name="nyc", purge_log=server.url) as nyc:
                publish(origin, b"old")
                assert (await nyc.get("/a")).body == b"old"
                publish(origin, b"new")
                await server.start()
                assert (await ordered(server.url, {"url": "/elsewhere"}, within=None)).keys() <= {"nyc"}
                await until_new(nyc)  # what it stored before it followed goes when it does

    asyncio.run(run())


def test_losses_make_an_order_late_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the chances of this name the first is lost three times in a row, the fourth five times."""

    async def run(pause: float) -> None:
        where = str(tmp_path / f"{pause}.sqlite3")
        async with (
            running_origin() as origin,
            running_node(origin.url, name="sure", purge_log=where) as sure,
            running_node(origin.url, name="lossy", purge_log=where, purge_loss="70%") as lossy,
        ):
            publish(origin, b"old")
            late = []
            for _ in range(6):
                await lossy.get("/a")
                log, start = open_log(where), asyncio.get_running_loop().time()
                async for standing in carried(log, [{"url": "/a"}]):
                    if standing["sure"].done and not standing["lossy"].done:
                        assert (await sure.get("/b")).status == 404  # nobody waits for it
                await log.close()
                late.append(asyncio.get_running_loop().time() - start)
                assert standing["lossy"].purged == 1
            dice = Random("lossy").random
            wanted = [lateness(0.7, dice) for _ in range(6)]
            assert wanted[0] == pytest.approx(7 * pause) and wanted[3] == pytest.approx(31 * pause)
            assert all(took >= least for took, least in zip(late, wanted, strict=True)), (late, wanted)
            if any(took - least >= 10 * pause for took, least in zip(late, wanted, strict=True)):
                raise Late(f"{late} for {wanted}")

    def attempt(pause: float) -> None:
        monkeypatch.setattr(purge_log, "FIRST_PAUSE_S", pause)
        monkeypatch.setattr(purge_log, "LONGEST_PAUSE_S", 40 * pause)
        asyncio.run(run(pause))

    judged(attempt, purge_log.FIRST_PAUSE_S)


@one_loop
@needs_redis
def test_two_machines_with_nothing_but_redis_between_them(tmp_path: Path) -> None:
    """`cdnlab edge` twice, a shield by its name in the other's settings, and `cdnlab purge` from a third place."""
    (tmp_path / "cdn.toml").write_text('[[node]]\nname = "shield"\n[[node]]\nname = "fra"\nparent = "shield"\n')

    async def cdnlab(*words: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cdnlab", *words, stdout=asyncio.subprocess.PIPE, env=os.environ | {"COLUMNS": "200"}
        )
        said, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, said.decode()

    @asynccontextmanager
    async def edge(name: str, parent: str, log: str) -> AsyncIterator[str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cdnlab", "edge", "--config", str(tmp_path / "cdn.toml"), "--node", name,
            "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--origin", parent, "--purge-log", log, "--json",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            yield json.loads(await process.stdout.readline())["url"]
        finally:
            process.terminate()
            await process.wait()

    async def run() -> None:
        async with running_origin() as origin, running_redis(tmp_path) as server:
            publish(origin, b"old")
            async with edge("shield", origin.url, server.url) as shield, edge("fra", shield, server.url) as fra:
                assert (await ask(fra, "/a")).body == b"old"
                publish(origin, b"new")
                status, said = await cdnlab("purge", f"{fra}/a", "--purge-log", server.url, "--wait", "--json")
                told = json.loads(said)
                assert status == 0 and list(told) == ["shield", "fra"]  # the parent's name is known, wherever it is
                assert [(one["state"], one["purged"]) for one in told.values()] == [("done", 1), ("done", 1)]
                assert told["fra"]["seconds"] >= told["shield"]["seconds"]
                assert (await ask(fra, "/a")).body == b"new"
            status, said = await cdnlab("purge", "--all", "--purge-log", server.url)
            assert status == 3 and said.splitlines() == [
                "shield is away: will catch up before it serves",
                "fra    is away: will catch up before it serves",
            ]

    asyncio.run(run())
