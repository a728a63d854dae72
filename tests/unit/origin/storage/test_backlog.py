"""What waits to be stored: in which order it is, what is said of it, and how much may wait."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest

from origin.errors import StorageFailed
from origin.storage import backlog
from origin.storage.backlog import LONGEST_PAUSE_S, PATIENCE_S, Backlog
from tests.kit.memory_store import MemoryStore
from tests.kit.virtual_time import run_virtually

MOST = 1000


class Lab:
    def __init__(self) -> None:
        self.store = MemoryStore()
        self.backlog = Backlog(self.store, MOST, lambda: asyncio.get_running_loop().time(), chance=lambda: 1.0)

    async def all_stored(self) -> None:
        while self.backlog.size:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def in_lab(test: Callable[[Lab], Awaitable[None]]) -> None:
    async def run() -> None:
        await test(Lab())

    run_virtually(run())


def test_what_is_published_is_stored_and_costs_no_memory() -> None:
    async def test(lab: Lab) -> None:
        await lab.backlog.publish("live/v/seg-1-0.m4s", b"abcdef")
        assert lab.store.files == {"live/v/seg-1-0.m4s": b"abcdef"} and lab.backlog.size == 0
        assert await lab.backlog.read("live/v/seg-1-0.m4s", 2, 4) == b"cd"
        await lab.backlog.settle("live/")
        assert not lab.store.unsettled and not lab.store.faltered

    in_lab(test)


def test_what_cannot_be_stored_is_read_from_memory_and_caught_up_in_order(caplog: pytest.LogCaptureFixture) -> None:
    async def test(lab: Lab) -> None:
        lab.store.failing = "disk full"
        for number in range(3):
            await lab.backlog.publish(f"live/v/seg-1-{number}.m4s", b"segment")
            await lab.backlog.publish("live/v/state.json", b"lists %d" % number)
        assert await lab.backlog.read("live/v/seg-1-2.m4s") == b"segment"
        assert await lab.backlog.list("live/") == {f"live/v/seg-1-{n}.m4s": 7 for n in range(3)} | {
            "live/v/state.json": 7
        }
        assert "disk full" in lab.backlog.trouble and lab.store.faltered
        with pytest.raises(StorageFailed, match="not stored yet"):
            await lab.backlog.settle("live/")
        await lab.backlog.settle("other/")
        lab.store.failing = ""
        await lab.all_stored()
        assert lab.store.written == [*(f"live/v/seg-1-{n}.m4s" for n in range(3)), "live/v/state.json"]
        assert lab.store.files["live/v/state.json"] == b"lists 2"
        assert not lab.backlog.trouble and not lab.store.faltered

    in_lab(test)
    said = [one.removeprefix("memory:") for one in caplog.messages]
    assert len(said) == 2, "once when it begins, once when it is over"
    assert said[0].startswith("live/v/seg-1-0.m4s: disk full, wanted room.")
    assert said[1].startswith("storage: all is stored again, 6 files late, after ")


def test_slow_storage_holds_nobody_for_long() -> None:
    async def test(lab: Lab) -> None:
        lab.store.open = asyncio.Event()
        began = asyncio.get_running_loop().time()
        for number in range(5):
            await lab.backlog.publish(f"live/v/seg-1-{number}.m4s", b"x")
        assert asyncio.get_running_loop().time() - began == pytest.approx(PATIENCE_S)
        assert "not stored within 2 s" in lab.backlog.trouble
        lab.store.open.set()
        await lab.all_stored()
        assert len(lab.store.files) == 5 and not lab.backlog.trouble

    in_lab(test)


def test_what_left_the_window_meanwhile_is_never_stored() -> None:
    async def test(lab: Lab) -> None:
        lab.store.files["live/v/seg-1-0.m4s"] = b"old"
        lab.store.failing = "refused"
        await lab.backlog.publish("live/v/seg-1-1.m4s", b"x" * 400)
        await lab.backlog.publish("live/v/seg-1-2.m4s", b"x" * 400)
        await lab.backlog.delete(["live/v/seg-1-0.m4s", "live/v/seg-1-1.m4s"])
        assert lab.backlog.size == 400
        lab.store.failing = ""
        await lab.all_stored()
        await lab.backlog.delete(["live/v/nothing"])  # and with it what could not be deleted before
        assert set(lab.store.files) == {"live/v/seg-1-2.m4s"}

    in_lab(test)


def test_a_file_that_is_deleted_while_it_is_being_stored_is_gone() -> None:
    async def test(lab: Lab) -> None:
        lab.store.open = asyncio.Event()
        publishing = asyncio.create_task(lab.backlog.publish("live/v/seg-1-0.m4s", b"x"))
        await asyncio.sleep(0.1)
        await lab.backlog.delete(["live/v/seg-1-0.m4s"])
        lab.store.open.set()
        await publishing
        await asyncio.sleep(0.1)
        assert lab.store.files == {} and lab.backlog.size == 0

    in_lab(test)


def test_memory_is_bounded() -> None:
    async def test(lab: Lab) -> None:
        lab.store.failing = "disk full"
        await lab.backlog.publish("live/v/seg-1-0.m4s", b"x" * MOST)
        with pytest.raises(StorageFailed, match=r"1001 bytes wait to be stored .*at most 1000"):
            await lab.backlog.publish("live/v/seg-1-1.m4s", b"x")
        assert lab.backlog.size == MOST
        assert await lab.backlog.read("live/v/seg-1-1.m4s") is None

    in_lab(test)


def test_deletes_that_fail_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "MOST_DELETES", 3)

    async def test(lab: Lab) -> None:
        lab.store.files = {str(n): b"" for n in range(5)}
        lab.store.failing = "away"
        for n in range(5):
            await lab.backlog.delete([str(n)])
        lab.store.failing = ""
        await lab.backlog.delete(["more"])
        assert set(lab.store.files) == {"0", "1", "2"}, "the oldest are forgotten"

    in_lab(test)


def test_a_defect_of_a_store_holds_nothing_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    async def test(lab: Lab) -> None:
        store, failed = lab.store.write, []

        async def write(name: str, data: bytes, *, secret: bool = False) -> None:
            if not failed:
                failed.append(name)
                raise RuntimeError("a defect")
            await store(name, data, secret=secret)

        lab.store.write = write  # type: ignore[method-assign]
        await lab.backlog.publish("live/v/seg-1-0.m4s", b"x")
        await lab.all_stored()
        assert lab.store.files == {"live/v/seg-1-0.m4s": b"x"}

    in_lab(test)
    assert "RuntimeError('a defect')" in caplog.text


def test_pauses_grow_to_a_bound() -> None:
    async def test(lab: Lab) -> None:
        loop, tries = asyncio.get_running_loop(), []

        async def write(name: str, data: bytes, *, secret: bool = False) -> None:
            tries.append(loop.time())
            raise StorageFailed(name, "away", "back")

        lab.store.write = write  # type: ignore[method-assign]
        await lab.backlog.publish("live/v/seg-1-0.m4s", b"x")
        await asyncio.sleep(60)
        pauses = [after - before for before, after in itertools.pairwise(tries)]
        assert pauses[:6] == pytest.approx([0.25, 0.5, 1, 2, 4, 8])
        assert max(pauses) == pytest.approx(LONGEST_PAUSE_S)
        await lab.backlog.close()

    in_lab(test)
