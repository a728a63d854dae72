"""A cancellation that a library below us loses: redis' client does when it comes while a command is being sent.

It sends within `asyncio.wait_for`, which before Python 3.12 drops a cancellation that comes as the sending ends.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def cancellable(call: Awaitable[T]) -> T:
    """The result of `call`; CancelledError if the task was cancelled meanwhile, even if a library lost that."""
    task = asyncio.current_task()
    assert task is not None
    before = task.cancelling()
    try:
        return await call
    finally:
        if task.cancelling() > before:
            raise asyncio.CancelledError
