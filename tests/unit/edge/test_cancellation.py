"""A cancellation is told of, whatever the call below makes of it; and nobody else's is."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from edge.cancellation import cancellable


async def passes_it_on() -> str:
    await asyncio.sleep(60)
    return "done"


async def returns() -> str:
    try:
        return await passes_it_on()
    except asyncio.CancelledError:
        return "done all the same"


async def fails() -> str:
    try:
        return await passes_it_on()
    except asyncio.CancelledError:
        raise ConnectionError("hung up") from None


async def runs_out_of_time() -> str:
    """It cancels itself, and takes that back."""
    async with asyncio.timeout(0):
        return await passes_it_on()


@pytest.mark.parametrize("call", [passes_it_on, returns, fails])
def test_what_is_cancelled_ends(call: Callable[[], Awaitable[str]]) -> None:
    async def run() -> None:
        task = asyncio.create_task(cancellable(call()))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()

    asyncio.run(run())


def test_a_timeout_below_is_a_timeout_and_one_above_too() -> None:
    async def run() -> None:
        with pytest.raises(TimeoutError):
            await cancellable(runs_out_of_time())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await cancellable(returns())

    asyncio.run(run())
