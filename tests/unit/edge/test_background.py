"""Work that nobody awaits: a failure is logged once, counted as a trouble, tried again; and all of it ends on closing."""

import asyncio
import logging

import pytest

from cdnkit.policy.machine.purge_log import FIRST_PAUSE_S, LONGEST_PAUSE_S
from edge.background import Background
from edge.purges.log import LogLost
from tests.kit.virtual_time import run_virtually

logger = logging.getLogger("cdnlab.edge")


class Work:
    """Steps that fail as they are told, a second each when they do not."""

    def __init__(self, *failures: Exception | None) -> None:
        self._failures = iter(failures)
        self.begun_at: list[float] = []

    async def step(self) -> None:
        self.begun_at.append(asyncio.get_running_loop().time())
        if (failure := next(self._failures, None)) is not None:
            raise failure
        await asyncio.sleep(1.0)

    def pauses(self) -> list[float]:
        return [round(late - early, 3) for early, late in zip(self.begun_at, self.begun_at[1:], strict=False)]


def test_a_step_that_fails_is_said_once_and_repeated_ever_more_slowly(caplog: pytest.LogCaptureFixture) -> None:
    work = Work(*[RuntimeError("bug")] * 9)

    async def run() -> None:
        background = Background(logger, "fra")
        background.keep("purges", work.step)
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        assert background.troubles == {"purges": "RuntimeError: bug"}
        await asyncio.sleep(12.0)
        assert background.troubles == {}
        await background.close()

    with caplog.at_level(logging.INFO, "cdnlab.edge"):
        run_virtually(run())
    assert work.pauses()[:9] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]
    assert (work.pauses()[0], max(work.pauses())) == (FIRST_PAUSE_S, LONGEST_PAUSE_S)
    said = [one.getMessage() for one in caplog.records]
    assert said == ["fra: purges: RuntimeError: bug", "fra: purges: works again"]
    assert caplog.records[0].exc_info is not None  # a fault in the program: where it is counts


def test_another_failure_is_said_too_and_a_success_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    lost = LogLost("redis://x", "gone")
    work = Work(lost, lost, KeyError("tiers"), None, lost)

    async def run() -> None:
        background = Background(logger, "fra")
        background.keep("purges", work.step)
        await asyncio.sleep(5.0)
        await background.close()

    with caplog.at_level(logging.INFO, "cdnlab.edge"):
        run_virtually(run())
    assert work.pauses()[:5] == [0.05, 0.1, 0.2, 1.0, 0.05]
    assert [one.getMessage() for one in caplog.records] == [
        f"fra: purges: {lost}",
        "fra: purges: KeyError: 'tiers'",
        "fra: purges: works again",
        f"fra: purges: {lost}",
        "fra: purges: works again",
    ]
    assert caplog.records[0].exc_info is None


def test_what_is_done_once_and_fails_is_in_the_log_and_closing_ends_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        raise ValueError("no")

    async def run() -> None:
        background = Background(logger, "fra")
        background.start("an errand", fails())
        left = [background.start("for ever", asyncio.sleep(1e9)), background.keep("steps", Work().step)]
        await asyncio.sleep(3.5)
        await background.close()
        assert all(task.cancelled() for task in left)

    with caplog.at_level(logging.INFO, "cdnlab.edge"):
        run_virtually(run())
    assert [one.getMessage() for one in caplog.records] == ["fra: an errand: ValueError: no"]
