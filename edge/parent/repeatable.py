"""A request body that can be sent again, because its beginning is kept."""

import asyncio
from collections.abc import AsyncIterator

from edge.parent.exchange import close_body

KEPT_BYTES = 65_535
"""The most that is kept: the window with which a connection begins (RFC 9113 §6.9.2), so that a parent that refuses the
stream has seldom been sent more. nginx and Envoy keep as much, or the whole body where they buffer it."""


class Repeatable:
    """A body, and what was read of it, until that is more than `KEPT_BYTES` or is not wanted again."""

    def __init__(self, source: AsyncIterator[bytes]) -> None:
        self._source = source
        self.kept: list[bytes] | None = []
        self._kept_bytes = 0
        self._coming: asyncio.Task[bytes] | None = None
        self._latest: _Reading | None = None
        self.ended = False

    @property
    def whole(self) -> bool:
        """Whether it can be read from its first byte."""
        return self.kept is not None

    def reading(self) -> "_Reading":
        """From the first byte on; the readings before this one are over."""
        assert self.kept is not None
        self._latest = _Reading(self)
        return self._latest

    async def next(self) -> bytes:
        """The chunk behind what is kept; StopAsyncIteration. A reader that is cancelled meanwhile loses none."""
        if self._coming is None:
            self._coming = asyncio.create_task(_next(self._source))
        try:
            chunk = await asyncio.shield(self._coming)
        except StopAsyncIteration:
            self.ended = True
            raise
        self._coming = None
        self._kept_bytes += len(chunk)
        if self.kept is not None and self._kept_bytes <= KEPT_BYTES:
            self.kept.append(chunk)
        else:
            self.kept = None
        return chunk

    async def once(self) -> None:
        """It will not be wanted again."""
        self.kept = None
        if self._latest is None or self._latest.over:
            await self.close()

    async def left(self, reading: "_Reading") -> None:
        """A reading is over, and with it the body, unless it may be wanted again."""
        if reading is self._latest and self.kept is None:
            await self.close()

    async def close(self) -> None:
        """No more of it is wanted."""
        self.kept = None
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.wait({self._coming})
            if not self._coming.cancelled():
                self._coming.exception()  # retrieved: whoever read may have gone before it came
        await close_body(self._source)


class _Reading:
    """The body for one try."""

    def __init__(self, body: Repeatable) -> None:
        self._body = body
        self._at = 0
        self.over = False

    def __aiter__(self) -> "_Reading":
        return self

    async def __anext__(self) -> bytes:
        kept = self._body.kept
        if kept is not None and self._at < len(kept):
            self._at += 1
            return kept[self._at - 1]
        if self._body.ended:
            raise StopAsyncIteration
        chunk = await self._body.next()
        self._at += 1
        return chunk

    async def aclose(self) -> None:
        self.over = True
        await self._body.left(self)


async def _next(source: AsyncIterator[bytes]) -> bytes:
    return await anext(source)
