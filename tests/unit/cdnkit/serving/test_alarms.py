"""Alarms ring once, at their time or a grain later, and share timers."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdnkit.serving.alarms import GRAIN_S, Alarms
from tests.kit.virtual_time import VirtualLoop, run_virtually


class Waker:
    """Notes when it is woken, and sets its alarm once more for each item of `again`."""

    def __init__(self, alarms: Alarms, again: tuple[float, ...] = ()) -> None:
        self.alarms, self.again = alarms, list(again)
        self.woken: list[float] = []

    def on_alarm(self) -> None:
        now = asyncio.get_running_loop().time()
        self.woken.append(now)
        if self.again:
            self.alarms.set(self, now + self.again.pop(0))


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=30))
def test_each_rings_once_not_before_its_time_and_at_most_a_grain_later(wanted: list[tuple[float, bool]]) -> None:
    async def run() -> None:
        alarms = Alarms(asyncio.get_running_loop())
        wakers = []
        for when, cancelled in wanted:
            waker = Waker(alarms)
            moment = alarms.set(waker, when)
            if cancelled:
                alarms.cancel(waker, moment)
            wakers.append(waker)
        await asyncio.sleep(101.0)
        for (when, cancelled), waker in zip(wanted, wakers, strict=True):
            assert len(waker.woken) == (not cancelled)
            assert all(when <= woken + 1e-6 and woken <= when + GRAIN_S + 1e-6 for woken in waker.woken)
        assert not alarms._moments

    run_virtually(run())


@pytest.mark.parametrize("again", [(), (5.0,), (0.0,), (0.01, 0.01)])
def test_who_is_woken_may_set_an_alarm_again(again: tuple[float, ...]) -> None:
    async def run() -> None:
        alarms = Alarms(asyncio.get_running_loop())
        waker = Waker(alarms, again)
        alarms.set(waker, 1.0)
        await asyncio.sleep(20.0)
        assert len(waker.woken) == 1 + len(again)

    run_virtually(run())


def test_thousands_that_wait_alike_have_one_timer() -> None:
    loop = VirtualLoop()
    alarms = Alarms(loop)
    moments = {alarms.set(Waker(alarms), 1.01 + number / 1e6) for number in range(1000)}
    assert len(moments) == len(loop._scheduled) == 1  # type: ignore[attr-defined]
    alarms.cancel(Waker(alarms), 0)  # none: nothing happens
    loop.close()
