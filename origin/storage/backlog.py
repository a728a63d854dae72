"""What is published and not stored yet: it waits in memory, and is served from there.

A write that fails, or takes too long, is no reason to stop a live stream. Its bytes are held here, and are tried again
until they are stored, with longer and longer pauses that are never the same. Files of one folder are stored in the
order in which they came: a state is never there before the segments that it lists. What was replaced or deleted in the
meantime is never stored. The log says when that begins, with the file and the reason, and when it is over; nothing in
between, however many files there are.

| `publish` finds                        | then                                                                  |
|----------------------------------------|-----------------------------------------------------------------------|
| no trouble                             | it returns when the file is stored, and after `PATIENCE_S` at the latest |
| trouble: a write has failed, or a file | it returns at once, the file is held                                  |
|   has waited for `PATIENCE_S`          |                                                                       |
| trouble, and more waits than may        | `StorageFailed`: it is published nowhere                              |
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from origin.errors import StorageFailed
from origin.storage.store import Store

log = logging.getLogger("origin")

PATIENCE_S = 2.0
"""The longest that a segment waits for its storage before it is listed without: half of one of 4 s."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 8.0
AT_ONCE = 8
"""Files that are written at one time."""
MOST_DELETES = 10_000
"""Names of files that could not be deleted and are remembered. What is forgotten goes at the next start."""
CLOSE_S = 5.0
"""How long an origin that stops tries to store what is held."""


@dataclass(slots=True, eq=False)
class _File:
    data: bytes
    secret: bool
    tried: asyncio.Event = field(default_factory=asyncio.Event)
    """It is stored, or a write has failed."""


class Backlog:
    """In front of one store. Mutable; one event loop's."""

    def __init__(
        self, store: Store, most: int, clock: Callable[[], float], chance: Callable[[], float] = random.random
    ) -> None:
        """`most`: bytes that may wait. `chance`: from 0 to 1."""
        self.store = store
        self.trouble = ""
        """Why what is published is not stored; "": it is."""
        self._most = most
        self._clock = clock
        self._chance = chance
        self._held: dict[str, dict[str, _File]] = {}
        """By folder and name, in the order in which they are to be stored."""
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._free = asyncio.Semaphore(AT_ONCE)
        self._deletes: dict[str, None] = {}
        self._deleter: asyncio.Task[None] | None = None
        self._deleting: dict[str, asyncio.Event] = {}
        """Files that are being deleted now: another one of that name comes after that."""
        self._hurry = asyncio.Event()
        self.size = 0
        """Bytes that wait."""
        self._since = 0.0
        self._late = 0

    # ---- writing -----------------------------------------------------------------------------------------------------

    async def publish(self, name: str, data: bytes, *, secret: bool = False) -> None:
        """Store a file, now or later; from now on `read` finds it. `StorageFailed`: there is no room for it."""
        folder = name.rpartition("/")[0]
        self._deletes.pop(name, None)
        self._forget(name)
        file = self._held.setdefault(folder, {})[name] = _File(data, secret)
        self.size += len(data)
        if folder not in self._workers:
            self._workers[folder] = asyncio.create_task(self._store(folder))
        if not self.trouble:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await file.tried.wait()
            except TimeoutError:
                self._begin(
                    StorageFailed(self.store.place(name), f"not stored within {PATIENCE_S:g} s", "a faster one")
                )
        if self._held.get(folder, {}).get(name) is not file:
            return
        if self.size > self._most:
            found = f"{self.size} bytes wait to be stored ({self.trouble})"
            self._forget(name)
            raise StorageFailed(self.store.place(name), found, f"at most {self._most}")
        self._late += 1

    async def write(self, name: str, data: bytes, *, secret: bool = False) -> None:
        """Store a file now. `StorageFailed`: it is as it was."""
        await self._deleted(name)
        await self.store.write(name, data, secret=secret)

    async def _store(self, folder: str) -> None:
        """Stores what is held of one folder, and ends when nothing is."""
        failures = 0
        while box := self._held.get(folder):
            name, file = next(iter(box.items()))
            try:
                async with self._free:
                    await self._deleted(name)
                    await self.store.write(name, file.data, secret=file.secret)
            except Exception as error:  # also a defect: what is held must not wait for nobody
                self._begin(
                    error
                    if isinstance(error, StorageFailed)
                    else StorageFailed(self.store.place(name), repr(error), "storage that can be used")
                )
                for one in box.values():
                    one.tried.set()
                failures += 1
                await self._pause(failures)
                continue
            failures = 0
            if self._held.get(folder, {}).get(name) is file:
                self._forget(name)
            elif name not in self._held.get(folder, {}):
                self._deletes[name] = None  # it was deleted while it was being stored
                await self.delete(())
            file.tried.set()
            self._end()
        self._workers.pop(folder, None)

    async def _deleted(self, name: str) -> None:
        if (over := self._deleting.get(name)) is not None:
            await over.wait()

    async def _pause(self, failures: int) -> None:
        if self._hurry.is_set():
            await asyncio.sleep(FIRST_PAUSE_S)
            return
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(failures - 1, 10))
        with suppress(TimeoutError):
            async with asyncio.timeout(longest * (0.5 + self._chance() / 2)):
                await self._hurry.wait()

    def _forget(self, name: str) -> None:
        folder = name.rpartition("/")[0]
        if (file := self._held.get(folder, {}).pop(name, None)) is not None:
            self.size -= len(file.data)
            file.tried.set()
            if not self._held[folder]:
                del self._held[folder]

    def _begin(self, error: StorageFailed) -> None:
        if not self.trouble:
            self._since, self._late = self._clock(), 0
            log.error("%s Live streams go on from memory, and nothing new is acknowledged until this is over.", error)
            self.store.falter()
        self.trouble = str(error)

    def _end(self) -> None:
        if self.trouble and not self._held:
            lasted = self._clock() - self._since
            log.warning("storage: all is stored again, %d files late, after %.1f s", self._late, lasted)
            self.trouble = ""
            self.store.recover()

    # ---- the rest ----------------------------------------------------------------------------------------------------

    async def read(self, name: str, first: int = 0, end: int | None = None) -> bytes | None:
        """The file's bytes from `first` to before `end`, also of one that is held; None: there is no such file."""
        if (file := self._held.get(name.rpartition("/")[0], {}).get(name)) is not None:
            return file.data[first:end]
        return await self.store.read(name, first, end)

    def waits(self, folder: str) -> bool:
        """Whether a file of this folder is yet to be stored."""
        return folder in self._held

    async def settle(self, prefix: str) -> None:
        """Return once all files whose names begin so outlive this machine. `StorageFailed`: not all of them do."""
        due = [file for box in self._held.values() for name, file in box.items() if name.startswith(prefix)]
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                for file in due:
                    await file.tried.wait()
        waiting = [name for box in self._held.values() for name, file in box.items() if file in due]
        if waiting:
            found = f"not stored yet ({self.trouble or 'storage is slow'})"
            raise StorageFailed(self.store.place(waiting[0]), found, "storage that can be used")
        await self.store.settle(prefix)

    async def delete(self, names: Iterable[str]) -> None:
        """Remove files, now or later: nobody waits long for storage that is in trouble."""
        for name in names:
            self._forget(name)
            self._deletes[name] = None
        while len(self._deletes) > MOST_DELETES:
            del self._deletes[next(iter(self._deletes))]
        if self._deletes and (self._deleter is None or self._deleter.done()):
            self._deleter = asyncio.create_task(self._delete())
        if self._deleter is not None and not self.trouble:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    await asyncio.shield(self._deleter)

    async def _delete(self) -> None:
        """Until nothing is to be deleted. A failure ends it: the next file that leaves the window begins it again."""
        while due := list(self._deletes):
            over = asyncio.Event()
            self._deleting.update(dict.fromkeys(due, over))
            try:
                await self.store.delete(due)
                for name in due:
                    self._deletes.pop(name, None)
            except StorageFailed:  # whoever stores next says so
                return
            finally:
                for name in due:
                    self._deleting.pop(name, None)
                over.set()

    async def clear(self, prefix: str) -> None:
        """Remove all files whose names begin so. What cannot be removed soon goes at the next start."""
        if not self.trouble:
            with suppress(TimeoutError, StorageFailed):
                async with asyncio.timeout(PATIENCE_S):
                    await self.delete(await self.list(prefix))

    async def list(self, prefix: str) -> dict[str, int]:
        """Sizes of all files whose names begin so, by name; those that are held are among them."""
        found = await self.store.list(prefix)
        held = {name: len(file.data) for box in self._held.values() for name, file in box.items()}
        return found | {name: size for name, size in held.items() if name.startswith(prefix)}

    async def copy(self, names: Mapping[str, str]) -> None:
        """Put the bytes of each file in the place of another name as well. `StorageFailed`: not all of them are."""
        await self.store.copy(names)

    async def close(self) -> None:
        """Store what can be stored yet, and let go."""
        self._hurry.set()
        workers = list(self._workers.values())
        if self._deleter is not None:
            workers.append(self._deleter)
        if workers:
            await asyncio.wait(workers, timeout=CLOSE_S)
        for worker in workers:
            worker.cancel()
        if self._held:
            lost = sum(map(len, self._held.values()))
            log.error("storage: %d files (%d bytes) were never stored: %s", lost, self.size, self.trouble)
        await self.store.release()
