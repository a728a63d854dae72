"""The tier that nodes share, on a real redis-server that is killed in the middle, emptied, stopped and garbled."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from cdnkit.policy.rules.profile import RFC9111
from cdnkit.policy.rules.service import Behavior, Service
from cdnkit.replay import read_trace, replay_node
from edge.stores.breaker import Breaker
from tests.kit.http import ask
from tests.kit.late import GUARD_S, Late, judged
from tests.kit.node import Running, running_node
from tests.kit.origin import Asked, Origin, response, running_origin
from tests.kit.redis_server import RedisServer, needs_redis, running_redis

pytestmark = needs_redis
LONG = "max-age=600"
BODY = bytes(range(256)) * 100

Story = Callable[[Running, Running, Origin, RedisServer], Awaitable[None]]


def told(story: Story, folder: Path, *behaviors: Behavior, **settings: Any) -> None:
    """Two nodes with one parent and one tier."""

    async def run() -> None:
        async with (
            running_redis(folder) as redis,
            running_origin() as origin,
            running_node(
                origin.url, *behaviors, name="fra", records=folder / "fra.jsonl", shared=redis.url, **settings
            ) as fra,
            running_node(
                origin.url, *behaviors, name="nyc", records=folder / "nyc.jsonl", shared=redis.url, **settings
            ) as nyc,
        ):
            await story(fra, nyc, origin, redis)

    with pytest.MonkeyPatch.context() as patience:
        patience.setattr("edge.stores.shared.ASK_S", GUARD_S)
        patience.setattr("edge.stores.shared.PUT_S", GUARD_S)
        asyncio.run(run())


async def left_there(redis: RedisServer, count: int) -> None:
    """Until the tier has so many keys, the counter among them: what is written behind takes a moment."""
    async with asyncio.timeout(GUARD_S):
        while int((await redis.says("DBSIZE")).removeprefix(":")) < count:  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.01)


def test_what_one_node_filled_another_need_not_ask_for(tmp_path: Path) -> None:
    async def story(fra: Running, nyc: Running, origin: Origin, redis: RedisServer) -> None:
        origin.says("/a", BODY, cache_control=LONG, etag='"1"', age="100")
        origin.says("/empty", b"", cache_control=LONG)
        for path in ("/a", "/empty"):
            await fra.get(path)
        await left_there(redis, 3)
        found = await nyc.get("/a")
        assert found.body == BODY and "detail=shared-tier" in str(found["cache-status"])
        assert int(str(found["age"])) >= 100, "freshness is not granted twice"
        assert (await nyc.get("/empty")).body == b""
        assert "hit" in str((await nyc.get("/a"))["cache-status"]), "stored here, too"
        assert (await nyc.get("/a", range="bytes=5-9")).body == BODY[5:10]
        assert len(origin.asked) == 2

    told(story, tmp_path)


def test_many_who_miss_at_once_ask_it_once_and_read_one_body(tmp_path: Path) -> None:
    async def story(fra: Running, nyc: Running, origin: Origin, redis: RedisServer) -> None:
        origin.says("/a", BODY, cache_control=LONG)
        await fra.get("/a")
        await left_there(redis, 2)
        await redis.says("CONFIG", "RESETSTAT")
        replies = await asyncio.gather(*(nyc.get("/a") for _ in range(30)))
        assert all(reply.body == BODY for reply in replies) and len(origin.asked) == 1
        async with Redis.from_url(redis.url) as client:
            counted = await client.info("commandstats")
        assert counted["cmdstat_mget"]["calls"] == 2, "the response with the counter, and its marks"

    told(story, tmp_path)


def test_variants_are_told_apart(tmp_path: Path) -> None:
    async def story(fra: Running, nyc: Running, origin: Origin, redis: RedisServer) -> None:
        async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
            language = asked.headers.first("accept-language") or "-"
            writer.write(response(language.encode(), cache_control=LONG, vary="accept-language"))

        origin.does("/v", answer)
        for language in ("de", "fr"):
            await fra.get("/v", accept_language=language)
        await left_there(redis, 4)
        for language in ("de", "fr"):
            assert (await nyc.get("/v", accept_language=language)).body == language.encode()
        assert len(origin.asked) == 2
        assert (await nyc.get("/v", accept_language="nl")).body == b"nl" and len(origin.asked) == 3

    told(story, tmp_path)


@pytest.mark.parametrize(
    "order",
    [
        {"url": "/a"},
        {"prefix": "/"},
        {"prefix": "/a"},
        {"surrogate_key": "k"},
        {"surrogate_keys": ["none", "k"]},
        {"everything": True},
        {"surrogate_key": "k", "soft": True},
    ],
)
def test_a_purge_at_any_node_reaches_it(order: dict[str, Any], tmp_path: Path) -> None:
    async def story(fra: Running, nyc: Running, origin: Origin, redis: RedisServer) -> None:
        origin.says("/a", b"old", cache_control=LONG, surrogate_key="j k")
        await fra.get("/a")
        await left_there(redis, 2)
        origin.says("/a", b"new", cache_control=LONG, surrogate_key="j k")
        await nyc.purge(**order)
        assert (await nyc.get("/a")).body == b"new", "nyc has never had it: only the tier did"
        await asyncio.sleep(0.1)
        await fra.purge(**order)
        reply = await fra.get("/a")
        assert reply.body == b"new"

    told(story, tmp_path)


def test_what_was_being_filled_when_it_was_purged_is_not_used_by_others(tmp_path: Path) -> None:
    async def story(fra: Running, nyc: Running, origin: Origin, redis: RedisServer) -> None:
        arrived, go_on = asyncio.Event(), asyncio.Event()

        async def slow(asked: Asked, writer: asyncio.StreamWriter) -> None:
            arrived.set()
            await go_on.wait()
            writer.write(response(b"old", cache_control=LONG))

        origin.does("/a", slow)
        filling = asyncio.create_task(fra.get("/a"))
        await arrived.wait()
        await nyc.purge(url="/a")  # fra has not been told, and stores what it fills; the tier has
        go_on.set()
        assert (await filling).body == b"old"
        await left_there(redis, 3)
        origin.says("/a", b"new", cache_control=LONG)
        assert (await nyc.get("/a")).body == b"new"

    told(story, tmp_path)


def test_an_unsafe_request_that_succeeds_takes_it_from_the_tier_too(tmp_path: Path) -> None:
    async def story(fra: Running, nyc: Running, origin: Origin, redis: RedisServer) -> None:
        origin.says("/a", b"old", cache_control=LONG)
        await fra.get("/a")
        await left_there(redis, 2)
        origin.says("/a", b"new", cache_control=LONG)
        await ask(nyc.url, "/a", method="POST", body=b"x")
        assert (await nyc.get("/a")).body == b"new"

    told(story, tmp_path)


NEVER = [  # what is stored at a node, or not even that, and never in the tier
    {"cache_control": "private, max-age=600"},
    {"cache_control": "no-store"},
    {"cache_control": "no-cache, max-age=600", "etag": '"1"'},
    {"cache_control": "max-age=0", "etag": '"1"'},
]


def test_only_what_a_shared_cache_may_reuse_is_put_there(tmp_path: Path) -> None:
    async def story(fra: Running, nyc: Running, origin: Origin, redis: RedisServer) -> None:
        for n, fields in enumerate(NEVER):
            origin.says(f"/{n}", b"mine", **fields)
            await fra.get(f"/{n}")
        origin.says("/auth", b"mine", cache_control=LONG)
        await fra.get("/auth", authorization="Basic eDp4")
        origin.says("/fields", b"all", cache_control='max-age=600, private="x-user"', x_user="me")
        assert (await fra.get("/fields"))["x-user"] == "me"
        origin.says("/last", b"all", cache_control=LONG)
        await fra.get("/last")
        await left_there(redis, 3)
        assert await redis.says("DBSIZE") == ":3", (
            "the counter, /fields, and what came after all that must not be there"
        )
        found = await nyc.get("/fields")
        assert found.body == b"all" and found["x-user"] is None

    told(story, tmp_path)


def test_its_death_costs_misses_never_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed under load, and come back empty; the nodes answer all along, and use it again."""

    async def story(fra: Running, nyc: Running, origin: Origin, redis: RedisServer) -> None:
        for n in range(400):
            origin.says(f"/{n}", b"%d" % n * 100, cache_control=LONG)

        async def viewer(node: Running, numbers: range) -> None:
            for n in numbers:
                reply = await asyncio.wait_for(node.get(f"/{n}"), GUARD_S)
                assert reply.status == 200 and reply.body == b"%d" % n * 100

        async def killer() -> None:
            await asyncio.sleep(0.1)
            await redis.kill()

        await asyncio.gather(viewer(fra, range(200)), viewer(nyc, range(100, 300)), killer())
        assert (await fra.purge(url="/1"))["status"] == 200
        await redis.start()
        origin.says("/1", b"after", cache_control=LONG)
        assert (await fra.get("/1")).body == b"after"
        for n in range(301, 400):
            await fra.get(f"/{n}")
            await asyncio.sleep(0.05)
            if "detail=shared-tier" in str((await nyc.get(f"/{n}"))["cache-status"]):
                return
        pytest.fail("it came back, and is not used again")

    monkeypatch.setattr("edge.stores.shared.Breaker", partial(Breaker, pause=0.2))
    told(story, tmp_path)


def test_a_purge_that_could_not_be_told_holds_at_this_node_and_is_told_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server stands still, and wakes with all that it had."""

    async def story(fra: Running, nyc: Running, origin: Origin, redis: RedisServer) -> None:
        assert redis.process is not None
        origin.says("/a", b"old", cache_control=LONG)
        await fra.get("/a")
        await left_there(redis, 2)
        redis.process.send_signal(signal.SIGSTOP)
        monkeypatch.setattr("edge.stores.shared.PUT_S", 0.3)
        origin.says("/a", b"new", cache_control=LONG)
        assert (await fra.purge(url="/a"))["status"] == 200
        redis.process.send_signal(signal.SIGCONT)
        assert (await fra.get("/a")).body == b"new"
        await left_there(redis, 3)
        assert (await nyc.get("/a")).body == b"new", "told by now"

    told(story, tmp_path)


PULSE = [  # at, what is asked or said, what comes of it
    (0.0, "failed", False), (0.0, "failed", False), (0.0, "lets_through", True),
    (1.0, "failed", True),  # the third in a row opens it
    (1.1, "lets_through", False), (5.9, "lets_through", False),
    (6.0, "lets_through", True), (6.0, "lets_through", False),  # one may try
    (6.1, "failed", False), (11.0, "lets_through", False),
    (11.1, "lets_through", True), (11.2, "succeeded", True),
    (11.2, "lets_through", True), (11.2, "lets_through", True),
    (11.3, "failed", False), (11.3, "succeeded", False), (11.3, "failed", False), (11.3, "lets_through", True),
]  # fmt: skip


def test_the_breaker() -> None:
    breaker = Breaker()
    for at, what, comes in PULSE:
        assert (breaker.succeeded() if what == "succeeded" else getattr(breaker, what)(at)) is comes, (at, what)


def test_one_that_does_not_answer_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(patience: float) -> None:
        silent: list[asyncio.StreamWriter] = []

        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            silent.append(writer)
            await reader.read()

        server = await asyncio.start_server(hang, "127.0.0.1", 0)
        url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        async with running_origin() as origin, running_node(origin.url, shared=url) as node:
            began = time.monotonic()
            for n in range(30):
                origin.says(f"/{n}", b"x", cache_control=LONG)
                assert (await node.get(f"/{n}")).body == b"x"
            if time.monotonic() - began > 10 * patience:
                raise Late("three waits, then none")
        for writer in silent:
            writer.close()
        server.close()

    def attempt(patience: float) -> None:
        monkeypatch.setattr("edge.stores.shared.ASK_S", patience)
        asyncio.run(run(patience))

    judged(attempt, 0.25)


def spoilt(parcel: bytes) -> list[bytes]:
    return [
        parcel[:-1],
        parcel + b"x",
        parcel.replace(b"cdnlab 1", b"cdnlab 2", 1),
        b"",
        parcel[:100] + b"?" + parcel[101:],
    ]


def test_garbage_in_it_is_nothing(tmp_path: Path) -> None:
    async def story(fra: Running, nyc: Running, origin: Origin, redis: RedisServer) -> None:
        for n in range(5):
            origin.says(f"/{n}", BODY, cache_control=LONG)
            await fra.get(f"/{n}")
        await left_there(redis, 6)
        async with Redis.from_url(redis.url) as client:
            names = [name async for name in client.scan_iter("cdnlab:*:o:*")]
            for n, name in enumerate(names):
                await client.set(name, spoilt(await client.get(name))[n])
        for n in range(5):
            reply = await nyc.get(f"/{n}")
            assert reply.body == BODY and "shared-tier" not in str(reply["cache-status"])

    told(story, tmp_path)


def test_a_run_with_it_replays_the_same(tmp_path: Path) -> None:
    async def story(fra: Running, nyc: Running, origin: Origin, redis: RedisServer) -> None:
        for n in range(10):
            origin.says(f"/{n}", BODY, cache_control=LONG, surrogate_key="k", age=str(n))
            await fra.get(f"/{n}")
        await left_there(redis, 11)
        for n in range(10):
            await nyc.get(f"/{n}")
            await nyc.get(f"/{n}", range="bytes=1-3")
        await nyc.purge(surrogate_key="k")
        await nyc.get("/1")

    told(story, tmp_path)
    for name in ("fra", "nyc"):
        replayed = replay_node(read_trace(tmp_path / f"{name}.jsonl"), Service(name=name), RFC9111)
        assert replayed.requests and replayed.differences == []
    assert '"purpose":"shared"' in (tmp_path / "nyc.jsonl").read_text()
