"""What a node does by the clock, and exactly when: deadlines, places that are waited for, the log's flush, the looks of
one who has ordered. In virtual time."""

import asyncio
import json
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cdnkit.policy.machine.purge_log import FIRST_PAUSE_S, LONGEST_PAUSE_S
from cdnkit.policy.record.lines import PurgeRecord
from edge.log import FLUSH_SECONDS, RecordLog
from edge.parent.deadline import Deadline
from edge.parent.slots import Slots
from edge.purges.log import LogLost
from edge.purges.progress import LOOK_S, carried
from origin.publishing.retention import SWEEP_S, Retention
from tests.kit.virtual_time import run_virtually

SET, CLEAR, STOP = "set", "clear", "stop"

DEADLINES: list[tuple[list[tuple[float, str, float]], list[float]]] = [  # (at, what, seconds) ...   passes at
    ([(0.0, SET, 5.0)], [5.0]),
    ([(0.0, SET, 5.0), (4.0, SET, 5.0)], [9.0]),  # later
    ([(0.0, SET, 5.0), (1.0, SET, 2.0)], [3.0]),  # earlier
    ([(0.0, SET, 5.0), (1.0, SET, 2.0), (2.0, SET, 9.0)], [11.0]),
    ([(0.0, SET, 5.0), (1.0, CLEAR, 0.0)], []),
    ([(0.0, SET, 5.0), (1.0, CLEAR, 0.0), (2.0, SET, 1.0)], [3.0]),
    ([(0.0, SET, 5.0), (1.0, CLEAR, 0.0), (2.0, SET, 9.0)], [11.0]),
    ([(0.0, SET, 5.0), (1.0, STOP, 0.0)], []),
    ([(0.0, SET, 5.0), (6.0, SET, 5.0)], [5.0, 11.0]),  # once each time that it is set
]


@pytest.mark.parametrize(("steps", "passes"), DEADLINES)
def test_a_deadline_passes_once_at_its_instant(steps: list[tuple[float, str, float]], passes: list[float]) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        passed: list[float] = []
        deadline = Deadline(loop, lambda: passed.append(loop.time()))
        for at, what, seconds in steps:
            await asyncio.sleep(at - loop.time())
            {SET: lambda: deadline.set(seconds), CLEAR: deadline.clear, STOP: deadline.stop}[what]()  # noqa: B023
        await asyncio.sleep(60.0)
        assert passed == pytest.approx(passes)

    run_virtually(run())


def test_places_are_had_in_order_of_arrival_and_waited_for_no_longer_than_told() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        slots, had = Slots(2), []
        assert (slots.limit, slots.free, slots.waiting) == (2, True, 0)

        async def take(name: str, seconds: float) -> None:
            try:
                await slots.take(seconds)
                had.append((name, loop.time()))
            except TimeoutError:
                had.append((f"{name}: too late", loop.time()))

        asks = [asyncio.create_task(take(name, 5.0)) for name in "abcd"]
        asks.append(asyncio.create_task(take("e", 1.0)))
        await asyncio.sleep(2.0)
        assert had == [("a", 0.0), ("b", 0.0), ("e: too late", 1.0)]
        assert (slots.taken, slots.free, slots.waiting) == (2, False, 2)
        slots.give()
        await asyncio.sleep(1.0)
        assert had[3:] == [("c", 2.0)]
        slots.limit = 3  # one more place, and it is had at once
        await asyncio.sleep(1.0)
        assert had[4:] == [("d", 3.0)]
        assert (slots.taken, slots.waiting) == (3, 0)
        slots.limit = 1
        slots.give()
        slots.give()
        assert (slots.taken, slots.free) == (1, False), "a lower limit holds when enough have left"
        slots.give()
        assert (slots.taken, slots.free) == (0, True)
        await asyncio.gather(*asks)

    run_virtually(run())


def record(seq: int) -> PurgeRecord:
    return PurgeRecord("fra", seq, 1_790_000_000.5 + seq, "url", "/a", False, 1)


def test_records_are_on_the_disk_after_the_time_of_a_flush_and_not_before(tmp_path: Path) -> None:
    async def run() -> None:
        path = tmp_path / "fra.jsonl"
        log = RecordLog(path, 80_000)
        log.add(record(1))
        flushing = asyncio.create_task(log.flush_later())
        await asyncio.sleep(FLUSH_SECONDS - 0.01)
        assert path.read_bytes() == b""
        await flushing
        assert asyncio.get_running_loop().time() == FLUSH_SECONDS
        assert path.read_bytes().count(b"\n") == 1
        log.close()

    run_virtually(run())


LEFT = [  # what an earlier life left in the file         lines, when one more is written
    (b"", 1),
    (b'{"kind":"x"}\n', 2),
    (b'{"kind":"x"}\n{"kind":"y', 3),  # torn: the next line has a line to itself
    (b"{", 2),
    (b"\n", 2),
]


@pytest.mark.parametrize(("left", "lines"), LEFT)
def test_a_file_whose_last_line_is_torn_is_gone_on_with_on_a_line_of_its_own(
    left: bytes, lines: int, tmp_path: Path
) -> None:
    path = tmp_path / "fra.jsonl"
    path.write_bytes(left)
    log = RecordLog(path, 80_000)
    log.add(record(7))
    log.close()
    written = path.read_bytes()
    assert written.startswith(left) and written.endswith(b"\n")
    assert written.count(b"\n") == lines
    assert json.loads(written.splitlines()[-1])["seq"] == 7


def test_an_origin_sweeps_by_its_interval_also_after_a_sweep_that_failed() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        swept: list[float] = []
        retention = Retention(cast(Any, SimpleNamespace()))

        async def sweep() -> None:
            swept.append(loop.time())
            if len(swept) == 2:
                raise RuntimeError("a bug of ours")

        retention.sweep = sweep  # type: ignore[method-assign]
        sweeping = asyncio.create_task(retention.keep_sweeping())
        await asyncio.sleep(4.5 * SWEEP_S)
        assert swept == pytest.approx([SWEEP_S, 2 * SWEEP_S, 3 * SWEEP_S, 4 * SWEEP_S])
        sweeping.cancel()

    run_virtually(run())


def test_who_orders_tries_a_log_that_is_away_more_and_more_slowly() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        tried: list[float] = []

        async def away(*_: object) -> None:
            tried.append(loop.time())
            raise LogLost("the log", "gone")

        log = SimpleNamespace(append=away, read=away, followers=away, purged=away)

        async def order() -> None:
            async for _ in carried(cast(Any, log), [{"url": "/a"}]):
                pytest.fail("nobody can have done it")

        ordering = asyncio.create_task(order())
        await asyncio.sleep(30.0)
        pauses = [late - early for early, late in pairwise(tried)]
        expected = [min(FIRST_PAUSE_S * 2**n, LONGEST_PAUSE_S) + LOOK_S for n in range(len(pauses))]
        assert pauses == pytest.approx(expected)
        assert len(pauses) > 15
        ordering.cancel()

    run_virtually(run())
