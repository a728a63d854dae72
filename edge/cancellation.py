"""A cancellation that a library below us loses: redis' client does when it comes while a command is being sent.

It sends within `asyncio.wait_for`, which before Python 3.12 returns when what it waits for is done at that moment.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def cancellable(call: Awaitable[T]) -> T:
    """What `call` brings; CancelledError if the task was cancelled meanwhile, whatever became of that below."""
    task = asyncio.current_task()
    assert task is not None
    before = task.cancelling()
    try:
        return await call
    finally:
        if task.cancelling() > before:
            raise asyncio.CancelledError
