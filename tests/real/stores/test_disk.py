"""Stored responses that outlive the node: real nodes on real folders, stopped, copied in mid-life, damaged and filled.

A copy of the folder of a running node is what a kill at that instant would have left; `tests/real/stores/test_crash.py`
kills for real.
"""

import asyncio
import contextlib
import logging
import os
import random
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from cdnkit.policy.rules.service import Behavior
from cdnkit.policy.store import index as index_module
from cdnkit.policy.store.eviction import room_for
from edge.errors import BadStore
from edge.stores import disk_folder
from edge.stores.disk import DiskStore
from edge.stores.disk_folder import open_disk
from edge.stores.ledger import Head, Ledger
from tests.kit.node import Running, running_node
from tests.kit.origin import Asked, Origin, response, running_origin
from tests.kit.upstream import until

LONG = "max-age=600"


def disk(folder: Path, **settings: Any) -> dict[str, Any]:
    return {"disk": {"path": folder, "size": "64MiB"}, "memory": "2MiB", "largest": "1MiB"} | settings


def lives(first: Callable[[Running, Origin], Awaitable[Any]], then: Callable[[Running, Origin], Awaitable[Any]],
          folder: Path, *, between: Callable[[], None] = lambda: None, again: dict[str, Any] | None = None) -> None:  # fmt: skip
    """One origin, and two lives of a node on one folder."""

    async def run() -> None:
        async with running_origin() as origin:
            async with running_node(origin.url, **disk(folder)) as node:
                await first(node, origin)
            between()
            origin.asked.clear()
            async with running_node(origin.url, **disk(folder, **(again or {}))) as node:
                await then(node, origin)

    asyncio.run(run())


def snapshot(folder: Path, to: Path) -> None:
    """What a kill in the meantime would leave: files may be vanishing."""

    def copy(source: str, target: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(source, target)

    shutil.copytree(folder, to, copy_function=copy)


def body_files(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "bodies").rglob("*") if path.is_file())


async def until_written(node: Running, folder: Path, count: int) -> None:
    """A purge of nothing waits for the disk."""
    await node.purge(surrogate_key="nobody-has-this")
    assert len(body_files(folder)) == count


BODY = bytes(range(256)) * 300


async def fill(node: Running, origin: Origin) -> None:
    origin.says("/a", BODY, cache_control=LONG, etag='"1"', surrogate_key="all a", age="7")
    origin.says("/v", b"deutsch", cache_control=LONG, vary="accept-language", surrogate_key="all v")
    origin.says("/gone", b"not here", status=404, cache_control=LONG)
    origin.says("/empty", b"", cache_control=LONG)
    origin.says("/never", b"x", cache_control="no-store")
    for path in ("/a", "/gone", "/empty", "/never"):
        await node.get(path)
    await node.get("/v", accept_language="de")


def test_what_is_stored_outlives_the_node(tmp_path: Path) -> None:
    async def then(node: Running, origin: Origin) -> None:
        assert (await node.health())["stored_responses"] == 4
        whole = await node.get("/a")
        assert whole.body == BODY and "hit" in str(whole["cache-status"]) and int(str(whole["age"])) >= 7
        assert (await node.get("/a", range="bytes=300-309")).body == BODY[300:310]
        assert (await node.get("/a", if_none_match='"1"')).status == 304
        assert (await node.get("/v", accept_language="de")).body == b"deutsch"
        assert (await node.get("/gone")).status == 404 and (await node.get("/empty")).body == b""
        assert origin.asked == []
        await node.get("/v", accept_language="fr")
        await node.get("/never")
        assert origin.count["/v"] == origin.count["/never"] == 1

    lives(fill, then, tmp_path)


def test_a_purge_reaches_what_an_earlier_life_left(tmp_path: Path) -> None:
    async def then(node: Running, origin: Origin) -> None:
        assert (await node.purge(surrogate_key="all"))["purged"] == 2
        await node.get("/a")
        assert origin.count["/a"] == 1

    lives(fill, then, tmp_path)


PURGES = [  # the order, what is asked anew in the next life
    ({"url": "/a"}, {"/a"}),
    ({"surrogate_key": "all"}, {"/a", "/v"}),
    ({"everything": True}, {"/a", "/v", "/gone", "/empty"}),
    ({"surrogate_key": "a", "soft": True}, {"/a"}),
    ({"surrogate_keys": ["a", "none"]}, {"/a"}),
    ({"prefix": "/a"}, {"/a"}),
    ({"prefix": "/a", "soft": True}, {"/a"}),
]


@pytest.mark.parametrize("at_once", [0, 128], ids="{} purged at once".format)
@pytest.mark.parametrize(("order", "asked"), PURGES)
def test_an_acknowledged_purge_stays(
    order: dict[str, Any], asked: set[str], at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node is not closed: its folder is copied the moment the purge is acknowledged, and another lives on there."""
    monkeypatch.setattr(index_module, "PURGED_AT_ONCE", at_once)

    async def run() -> None:
        async with running_origin() as origin:
            async with running_node(origin.url, **disk(tmp_path / "one")) as node:
                await fill(node, origin)
                assert (await node.purge(**order))["status"] == 200
                snapshot(tmp_path / "one", tmp_path / "two")
            origin.asked.clear()
            async with running_node(origin.url, **disk(tmp_path / "two")) as node:
                for path in ("/a", "/gone", "/empty"):
                    await node.get(path)
                await node.get("/v", accept_language="de")
            assert {one.target for one in origin.asked} == asked
            if order.get("soft"):
                assert origin.asked[0].headers.first("if-none-match") == '"1"', "stale, not gone"

    asyncio.run(run())


def test_what_everything_was_purged_of_leaves_the_disk_in_time_also_over_a_restart(tmp_path: Path) -> None:
    async def run() -> None:
        async with running_origin() as origin:
            origin.says("/new", BODY, cache_control=LONG)
            for n in range(600):
                origin.says(f"/{n}", b"old", cache_control=LONG)
            async with running_node(origin.url, **disk(tmp_path / "one")) as node:
                for n in range(600):
                    await node.get(f"/{n}")
                assert (await node.purge(everything=True))["purged"] == 600
                snapshot(tmp_path / "one", tmp_path / "two")
                assert (await node.get("/new")).body == BODY and (await node.get("/7")).body == b"old"
                assert (await node.purge(everything=True))["purged"] == 2
                assert (await node.get("/new")).body == BODY
            origin.asked.clear()
            for name, stored in (("one", 1), ("two", 0)):
                folder = tmp_path / name
                async with running_node(origin.url, **disk(folder)) as node:
                    assert (await node.health())["stored_responses"] == stored
                    await until(lambda: len(body_files(folder)) == stored)  # noqa: B023
                    await node.get("/new")
                    await until(lambda: len(body_files(folder)) == 1)  # noqa: B023
                assert origin.count["/new"] == 1 - stored

    asyncio.run(run())


def test_what_everything_was_purged_of_leaves_the_disk_while_the_node_serves_on(tmp_path: Path) -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, **disk(tmp_path)) as node:
            for n in range(600):
                origin.says(f"/{n}", b"old", cache_control=LONG)
            for _ in range(2):  # also when nothing has been to do for a while
                for n in range(600):
                    await node.get(f"/{n}")
                assert (await node.purge(everything=True))["purged"] >= 600
                await node.get("/1")  # a batch of its own, behind the purge
                await until(lambda: len(body_files(tmp_path)) == 1)

    asyncio.run(run())


def test_heads_of_former_generations_count_no_more_and_are_deleted_in_steps(tmp_path: Path) -> None:
    def heads(*ids: int) -> list[Head]:
        return [Head(entry_id, {"n": entry_id}, 1, b"c") for entry_id in ids]

    def stored() -> list[int]:
        return [head if isinstance(head, int) else head.id for head in ledger.heads()]

    ledger = Ledger(tmp_path / "heads")
    assert ledger.belongs_to("rules") == "" and not ledger.let_go(10)
    ledger.write(heads(*range(25)), [], [])
    ledger.write(heads(100), [], [3], emptied=True)
    assert stored() == [100]
    ledger.write(heads(1), [], [], emptied=True)  # an id may be given again after a restart
    assert stored() == [1]
    ledger.close()
    ledger = Ledger(tmp_path / "heads")
    assert ledger.belongs_to("rules") == "" and stored() == [1]
    assert [ledger.let_go(10) for _ in range(5)] == [True, True, True, True, False] and stored() == [1]
    ledger.write([], [], [], emptied=True)
    ledger.start_over("other")
    assert not ledger.let_go(10) and stored() == []
    ledger.close()


def test_a_304_and_its_lifetime_are_kept(tmp_path: Path) -> None:
    async def first(node: Running, origin: Origin) -> None:
        async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
            known = "if-none-match" in asked.headers
            control = LONG if known else "max-age=0"
            writer.write(response(BODY, 304 if known else 200, cache_control=control, etag='"1"', x_round=str(known)))

        origin.does("/a", answer)
        await node.get("/a")
        assert (await node.get("/a"))["x-round"] == "True"

    async def then(node: Running, origin: Origin) -> None:
        reply = await node.get("/a")
        assert (reply.body, reply["x-round"]) == (BODY, "True") and origin.asked == []

    lives(first, then, tmp_path)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGE: list[tuple[str, Callable[[Path], object]]] = [
    ("a bit is flipped", flip),
    ("cut off", lambda path: os.truncate(path, path.stat().st_size - 1)),
    ("longer", lambda path: path.write_bytes(path.read_bytes() + b"x")),
    ("empty", lambda path: os.truncate(path, 0)),
    ("gone", Path.unlink),
    ("another's bytes", lambda path: path.write_bytes(bytes(path.stat().st_size))),
    ("not readable as a file", lambda path: (path.unlink(), path.mkdir())),
]


@pytest.mark.parametrize(("how", "damage"), DAMAGE, ids=[how for how, _ in DAMAGE])
def test_a_damaged_body_is_a_miss(how: str, damage: Callable[[Path], object], tmp_path: Path) -> None:
    """Damaged while the node runs, after its heads were read: what is found at first use."""

    async def run() -> None:
        async with running_origin() as origin:
            async with running_node(origin.url, **disk(tmp_path)) as node:
                await fill(node, origin)
                origin.says("/tagged", b"t" * 5000, cache_control=LONG, etag='"t"')
                await node.get("/tagged")
            async with running_node(origin.url, **disk(tmp_path)) as node:
                for path in body_files(tmp_path):
                    if path.stat().st_size:
                        damage(path)
                origin.asked.clear()
                replies = await asyncio.gather(*(node.get("/a") for _ in range(5)))
                assert all(reply.body == BODY and reply.whole for reply in replies)
                assert origin.count["/a"] == 1, "five who found it lost share one fill"
                assert any("detail=lost" in str(reply["cache-status"]) for reply in replies)
                assert (await node.get("/tagged", range="bytes=1-2")).body == b"tt"
                assert (await node.get("/a")).body == BODY and origin.count["/a"] == 1, "stored anew"

    asyncio.run(run())


def test_a_damaged_head_is_no_stored_response(tmp_path: Path) -> None:
    def damage() -> None:
        with sqlite3.connect(tmp_path / "heads.sqlite3") as ledger:
            (head,) = ledger.execute("SELECT head FROM heads WHERE instr(head, ?)", (b'"/a"',)).fetchone()
            ledger.execute("UPDATE heads SET head = ? WHERE head = ?", (head.replace(b"600", b"900"), head))
        ledger.close()

    async def then(node: Running, origin: Origin) -> None:
        assert (await node.health())["stored_responses"] == 3
        await node.get("/a")
        assert origin.count["/a"] == 1
        await until_written(node, tmp_path, 4)

    lives(fill, then, tmp_path, between=damage)


def spoil_version(folder: Path) -> None:
    with sqlite3.connect(folder / "heads.sqlite3") as ledger:
        ledger.execute("PRAGMA user_version = 77")
    ledger.close()


SPOILT: list[tuple[str, Callable[[Path], object]]] = [
    ("format 77", spoil_version),
    ("not a database", lambda folder: (folder / "heads.sqlite3").write_bytes(b"no database" * 1000)),
    ("malformed", lambda folder: os.truncate(folder / "heads.sqlite3", 4096)),
    ("", lambda folder: (folder / "heads.sqlite3").unlink()),
]


@pytest.mark.parametrize(("words", "spoil"), SPOILT, ids=["version", "garbage", "truncated", "gone"])
def test_heads_that_cannot_be_read_are_discarded(
    words: str, spoil: Callable[[Path], object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def then(node: Running, origin: Origin) -> None:
        await node.get("/a")
        assert origin.count["/a"] == 1
        await until_written(node, tmp_path, 1)  # whose heads are gone were swept

    with caplog.at_level(logging.WARNING, "cdnlab.edge"):
        lives(fill, then, tmp_path, between=lambda: spoil(tmp_path))
    assert words in caplog.text


def test_what_was_stored_under_other_rules_or_from_another_parent_is_discarded(tmp_path: Path) -> None:
    async def run() -> None:
        async with running_origin() as one, running_origin() as other:
            async with running_node(one.url, **disk(tmp_path)) as node:
                await fill(node, one)
            for parent, behaviors in ((other, []), (other, [Behavior(path="/a", cache=True)]), (other, [])):
                parent.says("/a", b"another", cache_control=LONG)
                parent.asked.clear()
                async with running_node(parent.url, *behaviors, **disk(tmp_path)) as node:
                    assert (await node.get("/a")).body == b"another" and len(parent.asked) == 1
            async with running_node(other.url, **disk(tmp_path)) as node:
                assert (await node.get("/a")).body == b"another" and len(other.asked) == 1, "the same again: kept"

    asyncio.run(run())


def test_more_than_memory_holds_is_served_from_disk(tmp_path: Path) -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, **disk(tmp_path)) as node:
            bodies = {f"/{n}": random.Random(n).randbytes(300_000) for n in range(30)}
            for path, body in bodies.items():
                origin.says(path, body, cache_control=LONG)
                await node.get(path)
            for path, body in bodies.items():
                assert all(reply.body == body for reply in await asyncio.gather(*(node.get(path) for _ in range(3))))
            await until_written(node, tmp_path, 30)
            health = await node.health()
            assert health["memory_bytes"] <= 2 * 2**20 < 30 * 300_000 <= health["stored_bytes"]
            assert len(origin.asked) == 30

    asyncio.run(run())


def test_bytes_on_disk_stay_within_the_size(tmp_path: Path) -> None:
    async def run() -> None:
        size = {"disk": {"path": tmp_path, "size": "4MiB"}, "memory": "1MiB"}
        async with running_origin() as origin, running_node(origin.url, **disk(tmp_path, **size)) as node:
            for n in range(400):
                origin.says(f"/{n}", bytes(100 if n % 3 else 150_000), cache_control=LONG)
                await node.get(f"/{n}")
                if n % 25 == 24:
                    await node.purge(surrogate_key="nobody-has-this")
                    taken = sum(path.stat().st_blocks * 512 for path in body_files(tmp_path))
                    assert taken <= 4 * 2**20
            assert (await node.health())["stored_responses"] == len(body_files(tmp_path)) > 20
            assert "detail=evicted" in str((await node.get("/0"))["cache-status"])

    asyncio.run(run())
    assert sum(path.stat().st_blocks * 512 for path in tmp_path.rglob("*") if path.is_file()) <= 4 * 2**20


def test_a_full_disk_costs_misses_never_errors(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Bodies go to /dev/full, which says ENOSPC: what cannot be written lives in memory as long as it is in use."""

    async def run() -> None:
        async with running_origin() as origin:
            async with running_node(origin.url, **disk(tmp_path)) as node:
                for entry_id in range(1, 60):
                    (tmp_path / "bodies" / f"{entry_id:02x}" / f"{entry_id:x}").symlink_to("/dev/full")
                bodies = {f"/{n}": random.Random(n).randbytes(400_000) for n in range(10)}
                for path, body in bodies.items():
                    origin.says(path, body, cache_control=LONG)
                    assert (await node.get(path)).body == body
                    assert (await node.get(path)).body == body
                assert len(origin.asked) == 10, "in memory they are stored"
                reply = await node.get("/0")
                assert reply.body == bodies["/0"] and "detail=lost" in str(reply["cache-status"])
                assert (await node.purge(everything=True))["status"] == 200
            assert body_files(tmp_path) == []

    asyncio.run(run())
    assert caplog.text.count("No space left on device") == 1


def test_with_a_full_ledger_nothing_is_kept_and_what_was_purged_stays_purged(tmp_path: Path) -> None:
    """SQLite's own "database or disk is full", by its page limit; removing files needs no room."""

    async def run() -> None:
        async with running_origin() as origin:
            async with running_node(origin.url, **disk(tmp_path)) as node:
                await fill(node, origin)
            plain = disk_folder.Ledger

            class Full(plain):
                def write(self, *args: Any, **options: Any) -> None:
                    self._db.execute("PRAGMA max_page_count = 1")
                    # Every change then asks for a page more than there may be.
                    self._db.execute("CREATE TABLE one_more (page BLOB)")

            disk_folder.Ledger = Full  # type: ignore[misc]
            try:
                async with running_node(origin.url, **disk(tmp_path)) as node:
                    origin.says("/new", b"new", cache_control=LONG)
                    for _ in range(2):
                        assert (await node.get("/new")).body == b"new"
                    assert (await node.purge(surrogate_key="v"))["status"] == 200
                    assert (await node.purge(surrogate_key="a", soft=True))["status"] == 200
            finally:
                disk_folder.Ledger = plain  # type: ignore[misc]
            origin.asked.clear()
            async with running_node(origin.url, **disk(tmp_path)) as node:
                for path in ("/a", "/gone", "/empty", "/new"):
                    await node.get(path)
                await node.get("/v", accept_language="de")
            assert {one.target for one in origin.asked} == {"/a", "/v", "/new"}

    asyncio.run(run())


def test_a_mark_is_kept_with_what_was_dropped_before_it(tmp_path: Path) -> None:
    """How far a node has come with orders to purge: never further than what it took away."""

    def opened() -> DiskStore:
        return open_disk(tmp_path, memory=room_for("lru", 2**20), rules="r", name="fra")

    async def run() -> None:
        store = opened()
        assert store.mark() is None
        assert await store.settled("1") and await store.settled() and await store.settled("2") and await store.settled()
        await store.close()
        again = opened()
        assert again.mark() == "2"
        await again.close()
        other = open_disk(tmp_path, memory=room_for("lru", 2**20), rules="other", name="fra")
        assert other.mark() is None  # what was stored is gone, and what was known of it
        await other.close()

    asyncio.run(run())


def test_a_folder_has_one_node(tmp_path: Path) -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, **disk(tmp_path)):
            with pytest.raises(BadStore, match="another process uses it"):
                async with running_node(origin.url, **disk(tmp_path)):
                    pass

    asyncio.run(run())


def test_a_folder_that_cannot_be_one_is_said_clearly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def run() -> None:
        async with running_origin() as origin:
            with pytest.raises(BadStore, match=r"node fra: disk.path: found '.*file/x' .*, wanted a folder"):
                async with running_node(origin.url, **disk(tmp_path / "file" / "x")):
                    pass

    asyncio.run(run())


def test_a_part_is_completed_from_disk(tmp_path: Path) -> None:
    async def first(node: Running, origin: Origin) -> None:
        async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
            wanted = asked.headers.first("range")
            start, _, stop = (wanted or "bytes=0-").removeprefix("bytes=").partition("-")
            end = int(stop) + 1 if stop else len(BODY)
            piece = BODY[int(start) : end]
            fields = {"cache_control": LONG, "etag": '"1"'}
            if wanted is not None:
                fields["content_range"] = f"bytes {start}-{end - 1}/{len(BODY)}"
            writer.write(response(piece, 206 if wanted else 200, **fields))

        origin.does("/a", answer)
        await node.get("/a", range="bytes=0-999")

    async def then(node: Running, origin: Origin) -> None:
        assert (await node.get("/a", range="bytes=10-19")).body == BODY[10:20]
        assert (await node.get("/a")).body == BODY
        assert [one.headers.first("range") for one in origin.asked] == ["bytes=1000-"]

    lives(first, then, tmp_path)
