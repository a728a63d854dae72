"""A body while it comes and after: written once, read by many (read-while-write).

A *kept* body grows until it is whole and stays; nobody's slowness holds it up. A *passing* body is dropped behind its
slowest reader and holds the writer back when that reader is slow, so that what is not stored costs a window, not its
length. Where several read a passing body, a reader that keeps the others waiting is cut off: it may cost neither the
node the whole body nor the others their pace.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from io import BytesIO
from typing import Protocol

from cdnkit.policy.http.ranges import Span

WINDOW_BYTES = 256 * 1024
"""How far a passing body may run ahead of its slowest reader. nginx buffers 32 kB, Varnish the whole body."""

PIECE_BYTES = 64 * 1024
"""The most that a reader is given at once, and so the most that a slow viewer makes the server's buffers hold. nginx
writes at most 2 MiB from a file (`sendfile_max_chunk`), without a copy; here a piece is one."""

LAGGING_S = 1.0
"""How long in all the readers of a passing body, when they have read what came, wait for those a window behind."""


class BodyBroken(Exception):
    """What was read is not the whole, and no more of it comes."""

    def __init__(self, why: str = "origin: the body broke off") -> None:
        super().__init__(why)


class Hungry(Protocol):
    """Who has read all that came of a body, and waits for more without a task."""

    def on_more(self) -> None:
        """More has come, or nothing more will."""
        ...


class Reader:
    """One reader's place in a body. Taken when a response is decided, so that no byte is dropped before it reads."""

    __slots__ = ("_body", "cut_off", "position")

    def __init__(self, body: "Body", start: int) -> None:
        self._body = body
        self.position = start
        self.cut_off = False
        """It lagged behind the other readers of a passing body for too long."""
        body.readers.add(self)

    def leave(self) -> None:
        """It has finished, or gone away."""
        self._body.readers.discard(self)
        self._body.drained.set()

    def take_whole(self, stop: int | None = None) -> memoryview | bytes | None:
        """All that is wanted, if the body is whole, whatever its size; None otherwise."""
        whole = self._body.whole
        if whole is None:
            return None
        wanted = whole if self.position == 0 and stop is None else memoryview(whole)[self.position : stop]
        self.position += len(wanted)
        return wanted

    def take(self, stop: int | None = None) -> bytes | memoryview:
        """What has come and was not read yet, in one piece at most, without a copy; b"" where there is none. BodyBroken
        if it will not come."""
        most = PIECE_BYTES if stop is None else min(PIECE_BYTES, stop - self.position)
        if most <= 0:
            return b""
        if self.cut_off:
            raise BodyBroken("viewer: too slow for a body that is not kept and that others read")
        piece = self._body.piece_at(self.position, most)
        if not piece and self._body.broken:
            raise BodyBroken
        self.position += len(piece)
        return piece

    def is_over(self, stop: int | None = None) -> bool:
        """Whether nothing more is to be read, after `take` had nothing."""
        return self._body.complete or (stop is not None and self.position >= stop)

    def call(self, hungry: Hungry) -> None:
        """Call it once, when there is more to `take`."""
        self._body.hungry[hungry] = None

    def call_off(self, hungry: Hungry) -> None:
        self._body.hungry.pop(hungry, None)

    def take_small(self, stop: int | None = None) -> bytes | None:
        """All that is wanted at once, if the body is whole and that is one piece; None otherwise."""
        whole = self._body.whole
        if whole is None or (len(whole) if stop is None else stop) - self.position > PIECE_BYTES:
            return None
        piece = whole if self.position == 0 and stop is None else bytes(whole[self.position : stop])
        self.position += len(piece)
        return piece

    async def read_whole(self, largest: int) -> bytes | None:
        """All of the body once it is there; None when it is larger than `largest` bytes or breaks off."""
        pieces, size = [], 0
        try:
            async for piece in self.read():
                pieces.append(piece)
                size += len(piece)
                if size > largest:
                    return None
        except BodyBroken:
            return None
        return b"".join(pieces)

    def again(self, position: int) -> "Reader":
        """A reader of the same from `position` on; of a passing body nothing is left, and it breaks off."""
        if self._body.kept:
            return Reader(self._body, position)
        gone = Body(kept=True)
        gone.break_off()
        return Reader(gone, 0)

    async def read_pieces(self, pieces: Sequence[bytes | Span]) -> AsyncIterator[bytes]:
        """The framing and the parts of a multipart response, in order."""
        for wanted in pieces:
            if isinstance(wanted, bytes):
                yield wanted
            else:
                self.position = wanted.start
                async for piece in self.read(wanted.stop):
                    yield piece

    async def read(self, stop: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from its place to `stop` as they come, in pieces; BodyBroken if they will not come."""
        while True:
            piece = self.take(stop)
            if piece:
                yield bytes(piece)
            elif self.is_over(stop):
                return
            else:
                await self._body.more()


class Body:
    """One body."""

    __slots__ = (
        "_arrived",
        "_chunks",
        "_ends",
        "_patience",
        "_place",
        "_starving",
        "_whole_place",
        "broken",
        "complete",
        "drained",
        "hungry",
        "kept",
        "readers",
        "size_bytes",
        "whole",
    )

    def __init__(self, *, kept: bool) -> None:
        self.kept = kept
        self.size_bytes = 0
        self.complete = False
        self.broken = False
        self.whole: bytes | None = None
        """All of it, once complete and kept: a hit is one write of this object, never copied."""
        self.readers: set[Reader] = set()
        self.drained = asyncio.Event()
        self._chunks: list[bytes] = []
        self._ends: list[int] = []
        """Offset just behind each chunk held."""
        self._arrived: asyncio.Event | None = None
        """Set when more has come; None: no task waits for that."""
        self._starving = 0
        """Tasks that have read all that came and wait for more."""
        self.hungry: dict[Hungry, None] = {}
        """Those without a task that do."""
        self._whole_place: BytesIO | None = None
        self._place: memoryview | None = None
        """All of its bytes, where it is known how many they are; `size_bytes` of them have come."""
        self._patience = LAGGING_S
        """Seconds that they will still wait for those behind."""

    @classmethod
    def of(cls, octets: bytes) -> "Body":
        """A body that is there already."""
        body = cls(kept=True)
        body.whole, body.size_bytes, body.complete = octets, len(octets), True
        return body

    def reserve(self, size: int) -> None:
        """It will have that many bytes, and nothing has come yet: they get their place now, and stay there."""
        # The one way to fill what becomes `bytes` without a copy of it.
        self._whole_place = BytesIO(bytes(size))
        self._place = self._whole_place.getbuffer()

    def place(self, size: int) -> memoryview | None:
        """Where the rest of it is to be, if that is so many bytes."""
        place = self._place
        return place[self.size_bytes :] if place is not None and len(place) - self.size_bytes == size else None

    def filled(self, size: int) -> None:
        """So many bytes have come to that place."""
        self.size_bytes += size
        self._wake()

    def _give_up_place(self) -> bytes:
        """What has come, without a copy where that is all."""
        place, self._place = self._place, None
        whole, self._whole_place = self._whole_place, None
        assert place is not None and whole is not None
        complete = len(place) == self.size_bytes
        if not complete:
            return bytes(place[: self.size_bytes])
        place.release()
        return whole.getvalue()

    def write(self, chunk: bytes) -> None:
        if self._place is not None:
            begin = self.size_bytes
            if begin + len(chunk) <= len(self._place):
                self._place[begin : begin + len(chunk)] = chunk
                self.filled(len(chunk))
                return
            self._chunks, self._ends = [self._give_up_place()], [begin]
        self.size_bytes += len(chunk)
        self._chunks.append(chunk)
        self._ends.append(self.size_bytes)
        self._wake()

    def finish(self) -> None:
        self.complete = True
        if self._place is not None:
            self.whole = self._give_up_place()
        elif self.kept:
            self.whole = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
            self._chunks.clear()
            self._ends.clear()
        self._wake()

    def break_off(self) -> None:
        self.broken = True
        self._wake()

    def let_pass(self) -> None:
        """It has grown too large to keep: from now on it is dropped behind its slowest reader."""
        self.kept = False

    async def room(self) -> bool:
        """Wait until a passing body's slowest reader has caught up; False when nobody reads it any more."""
        loop = asyncio.get_running_loop()
        while not self.kept and self.readers:
            slowest = min(reader.position for reader in self.readers)
            behind = bisect_right(self._ends, slowest)
            del self._chunks[:behind], self._ends[:behind]
            if self.size_bytes - slowest <= WINDOW_BYTES:
                break
            self.drained.clear()
            starving, began = self._starving > 0 or bool(self.hungry), loop.time()
            try:
                async with asyncio.timeout(self._patience if starving else None):
                    await self.drained.wait()
            except TimeoutError:
                self._cut_off_behind(self.size_bytes - WINDOW_BYTES)
            if starving:
                self._patience = max(0.0, self._patience - (loop.time() - began))
        return self.kept or bool(self.readers)

    def _cut_off_behind(self, position: int) -> None:
        for reader in [reader for reader in self.readers if reader.position < position]:
            reader.cut_off = True
            reader.leave()

    def piece_at(self, position: int, most: int) -> bytes | memoryview:
        """What is held from `position`, of one chunk and `most` bytes at most; b"" when nothing has come yet."""
        if self.whole is not None:
            return memoryview(self.whole)[position : position + most]
        if self._place is not None:
            return self._place[position : min(position + most, self.size_bytes)]
        index = bisect_right(self._ends, position)
        if index == len(self._ends):
            return b""
        self.drained.set()
        chunk = self._chunks[index]
        skip = position - (self._ends[index] - len(chunk))
        return chunk if skip == 0 and len(chunk) <= most else memoryview(chunk)[skip : skip + most]

    async def more(self) -> None:
        self._starving += 1
        try:
            if self._arrived is None:
                self._arrived = asyncio.Event()
            await self._arrived.wait()
        finally:
            self._starving -= 1

    def _wake(self) -> None:
        event, self._arrived = self._arrived, None
        if event is not None:
            event.set()
        if self.hungry:
            hungry, self.hungry = self.hungry, {}
            for one in hungry:
                one.on_more()
