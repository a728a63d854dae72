"""Bodies on disk, with memory in front of them: stored responses that outlive the process.

There are two levels. The machine's room is the size of the disk: it decides what is stored at all. The room here is
that of memory: it decides which bodies are in memory too. Both evict by the same policies
(cdnkit/policy/store/eviction), and what leaves memory is still on disk. A body is read into memory whole, and checked,
before a byte of it is sent; so what is served is what was kept.

What cannot be written, because the disk is full or slow, is stored in memory alone, and lost when it leaves it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from cdnkit.policy.store.eviction import Room
from cdnkit.policy.store.index import Entry
from cdnkit.policy.store.serialise import to_values
from edge.bodies import Body
from edge.stores.discards import AT_ONCE, Discards
from edge.stores.files import BodyFiles
from edge.stores.ledger import Ledger
from edge.stores.store import Place
from edge.stores.writer import Change, Drop, Empty, Keep, Sync, Writer

logger = logging.getLogger("cdnlab.edge")

T = TypeVar("T")

READERS = 4
"""Threads that read. Most reads come from the page cache, where two keep a core busy; a slow device likes more."""

PENDING_BYTES = 64 * 2**20
"""Bodies that wait to be written, at most: a device slower than the parent must not fill the memory."""


class DiskStore:
    """One node's store in one folder. Made on the loop that uses it."""

    def __init__(self, ledger: Ledger, files: BodyFiles, memory: Room, name: str) -> None:
        """`memory`: an empty room. `edge.stores.disk_folder.open_disk` makes one of what is in a folder."""
        self._files = files
        self._room = memory
        self._found: list[Entry] = []
        self._mark: str | None = None
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._filling: dict[int, Body] = {}
        self._hot: dict[int, bytes] = {}
        """Bare bytes, as in `MemoryStore`."""
        self._hot_bytes = 0
        self._pending: dict[int, Body] = {}
        """On their way to the disk."""
        self._pending_bytes = 0
        self._checksums: dict[int, bytes] = {}
        """Of what is on disk, and of nothing else, by entry id."""
        self._loading: dict[int, asyncio.Task[Body | None]] = {}
        self._discards = Discards()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix=f"read-{name}")
        self._writer = Writer(ledger, files, self._written_elsewhere, name)
        self.unwritten = 0
        """Responses that were not written to the disk."""

    def begin_with(
        self, found: list[Entry], checksums: dict[int, bytes], stray: list[int], mark: str | None = None
    ) -> None:
        """`found`: what an earlier run left, with the checksums of the bodies; `stray`: ids of what is to be swept."""
        self._found, self._checksums, self._mark = found, checksums, mark
        if stray:
            self._writer.add(Drop(stray))

    def recovered(self) -> list[Entry]:
        found, self._found = self._found, []
        return found

    def mark(self) -> str | None:
        return self._mark

    def begin(self, entry: Entry) -> Body:
        body = self._filling[entry.id] = Body(kept=True)
        return body

    def keep(self, entry: Entry) -> None:
        body = self._filling.pop(entry.id, None)
        if body is None or body.whole is None:
            return
        self._heat(entry, body.whole)
        if self._pending_bytes + body.size_bytes > PENDING_BYTES:
            self.unwritten += 1
            return
        self._pending[entry.id] = body
        self._pending_bytes += body.size_bytes
        self._writer.add(Keep(entry.id, to_values(entry), body.whole))

    def look(self, entry: Entry) -> Body | None:
        hot = self._hot.get(entry.id)
        if hot is not None:
            self._room.touch(entry)
            return Body.of(hot)
        return self._filling.get(entry.id) or self._pending.get(entry.id)

    def whole(self, entry: Entry) -> bytes | None:
        hot = self._hot.get(entry.id)
        if hot is not None:
            self._room.touch(entry)
            return hot
        body = self.look(entry)
        return None if body is None else body.whole

    def place(self, entry: Entry) -> Place | None:
        checksum = self._checksums.get(entry.id)
        return None if checksum is None else Place(self._files.path(entry.id), entry.size_bytes, checksum)

    async def load(self, entry: Entry) -> Body | None:
        loading = self._loading.get(entry.id)
        if loading is None:
            loading = self._loading[entry.id] = asyncio.create_task(self._read(entry))
            loading.add_done_callback(lambda _: self._loading.pop(entry.id, None))
        # One viewer that leaves must not stop the reading for the others.
        return await asyncio.shield(loading)

    async def _read(self, entry: Entry) -> Body | None:
        checksum = self._checksums.get(entry.id)
        if checksum is None:
            return None
        data = await self._loop.run_in_executor(
            self._readers, self._files.read, entry.id, entry.size_bytes, checksum
        )  # fmt: skip
        if data is None:
            if entry.id in self._checksums:
                path = entry.key.partition("\n")[0].partition("?")[0]  # the rest of a key may hold secrets
                logger.warning("%s: %s on disk is not what was kept there: a miss", self._name, path)
            return None
        body = Body.of(data)
        if entry.id in self._checksums:
            self._heat(entry, data)
        return body

    def changed(self, entry: Entry) -> None:
        if entry.id in self._pending or entry.id in self._checksums:
            self._writer.add(Change(entry.id, to_values(entry)))

    def drop(self, ids: Collection[int]) -> None:
        if len(ids) > AT_ONCE:
            # The disk learns at once, memory little by little: none of them is asked for any more.
            self._writer.add(Drop(list(ids)))
            self._discards.take(dict.fromkeys(ids), self._forget)
            return
        written = [entry_id for entry_id in ids if self._forget(entry_id)]
        if written:
            self._writer.add(Drop(written))

    def _forget(self, entry_id: int) -> bool:
        """Let go of it in memory; whether it is on disk, or on its way there."""
        self._filling.pop(entry_id, None)
        self._cool(entry_id)
        self._room.pop(entry_id, None)
        return self._unpend(entry_id) or self._checksums.pop(entry_id, None) is not None

    def empty(self) -> None:
        # Bodies in memory take room there until they have left it, and are the first that must when room is short.
        self._discards.take(self._hot, lambda entry_id: self._room.pop(entry_id, None))
        self._discards.take(self._filling)
        self._writer.add(Empty([self._checksums, self._pending]))
        self._hot, self._filling, self._checksums, self._pending = {}, {}, {}, {}
        self._hot_bytes = self._pending_bytes = 0

    async def settled(self, mark: str | None = None) -> bool:
        future: asyncio.Future[bool] = self._loop.create_future()

        def settle(lasting: bool) -> None:
            if not future.done():
                future.set_result(lasting)

        self._writer.add(Sync(lambda lasting: self._on_loop(settle, lasting), mark))
        return await future

    def tables(self) -> Iterable[object]:
        return (self._hot, self._pending, self._checksums)

    @property
    def memory_bytes(self) -> int:
        coming = sum(body.size_bytes for body in self._filling.values())
        written = sum(body.size_bytes for entry_id, body in self._pending.items() if entry_id not in self._hot)
        return self._hot_bytes + coming + written

    async def close(self) -> None:
        await asyncio.gather(*self._loading.values(), return_exceptions=True)
        self._discards.close()
        self._readers.shutdown()
        await asyncio.to_thread(self._writer.finish)

    def _heat(self, entry: Entry, octets: bytes) -> None:
        """Into memory, and out of it what has to make room."""
        self._cool(entry.id)
        if self._room.admit(entry):
            self._hot[entry.id] = octets
            self._hot_bytes += len(octets)
        for gone in self._room.take_evicted():
            self._cool(gone.id)

    def _cool(self, entry_id: int) -> None:
        """Out of memory."""
        self._hot_bytes -= len(self._hot.pop(entry_id, b""))

    def _unpend(self, entry_id: int) -> bool:
        body = self._pending.pop(entry_id, None)
        self._pending_bytes -= body.size_bytes if body is not None else 0
        return body is not None

    def _written_elsewhere(self, outcome: dict[int, bytes | None]) -> None:
        self._on_loop(self._written, outcome)

    def _written(self, outcome: dict[int, bytes | None]) -> None:
        for entry_id, checksum in outcome.items():
            if checksum is None:
                self.unwritten += 1
                self._unpend(entry_id)
                self._checksums.pop(entry_id, None)
            elif self._unpend(entry_id):
                self._checksums[entry_id] = checksum

    def _on_loop(self, report: Callable[[T], None], value: T) -> None:
        # Nobody waits on a loop that is closed.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(report, value)
