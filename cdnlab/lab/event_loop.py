"""The event loop that our servers run on: uvloop where it exists, else asyncio's own."""

import asyncio
from collections.abc import Coroutine
from typing import Any


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Runs it to its end."""
    try:
        import uvloop
    except ModuleNotFoundError:  # uvloop does not support Windows
        asyncio.run(coroutine)
    else:
        uvloop.run(coroutine)
