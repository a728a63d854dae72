"""Wakes: everybody has a turn, in order, and nobody else waits for all of them."""

import asyncio

from edge.wakes import WOKEN_PER_TURN, Wakes


class Sleeper:
    def __init__(self, woken: list[object], name: int) -> None:
        self.woken = woken
        self.name = name

    def on_wake(self) -> None:
        self.woken.append(self.name)


class Faulty(Sleeper):
    def on_wake(self) -> None:
        super().on_wake()
        raise ValueError("a bug")


def test_sleepers_are_woken_in_order_and_the_loop_does_other_things_between() -> None:
    woken: list[object] = []

    async def run() -> None:
        wakes = Wakes()
        for number in range(2 * WOKEN_PER_TURN + 1):
            wakes.add(Sleeper(woken, number))
        assert not woken  # not within the call that adds them
        for _ in range(3):
            await asyncio.sleep(0)
            woken.append("other")
        assert not len(wakes)

    asyncio.run(run())
    turns = [at for at, one in enumerate(woken) if one == "other"]
    assert [one for one in woken if one != "other"] == list(range(2 * WOKEN_PER_TURN + 1))
    assert turns == [WOKEN_PER_TURN, 2 * WOKEN_PER_TURN + 1, 2 * WOKEN_PER_TURN + 3]


def test_a_fault_of_one_is_nobody_elses() -> None:
    woken: list[object] = []

    async def run() -> None:
        wakes = Wakes()
        wakes.add(Faulty(woken, 1))
        wakes.add(Sleeper(woken, 2))
        await asyncio.sleep(0)
        wakes.add(Sleeper(woken, 3))
        await asyncio.sleep(0)

    asyncio.run(run())
    assert woken == [1, 2, 3]
