"""Bodies that a store has discarded, freed a little at a time: a million at once would hold up the loop."""

import asyncio
from collections.abc import Callable
from typing import Any

AT_ONCE = 128
"""Bodies freed in one turn of the loop: some 30 us for small ones, under a millisecond for segments of a megabyte."""


class Discards:
    """Bodies that nobody asks for any more; whoever still reads one holds it."""

    def __init__(self) -> None:
        self._held: list[tuple[dict[int, Any], Callable[[int], object] | None]] = []
        self._next: asyncio.Handle | None = None

    def take(self, held: dict[int, Any], gone: Callable[[int], object] | None = None) -> None:
        """Take `held` over from its owner; `gone` is called with each id as its body is freed."""
        self._held.append((held, gone))
        if self._next is None:
            self._next = asyncio.get_running_loop().call_soon(self._step)

    def close(self) -> None:
        if self._next is not None:
            self._next.cancel()
        self._held.clear()

    def _step(self) -> None:
        left = AT_ONCE
        while self._held and left:
            held, gone = self._held[-1]
            while held and left:
                entry_id, _ = held.popitem()
                if gone is not None:
                    gone(entry_id)
                left -= 1
            if not held:
                self._held.pop()
        self._next = asyncio.get_running_loop().call_soon(self._step) if self._held else None
