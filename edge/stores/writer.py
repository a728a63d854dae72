"""The thread that writes to disk, so that the loop never waits for one.

It carries out operations in order, in batches of all that have piled up: first it removes the files of what is dropped
(if those are very many: last), then it writes the files of what is kept, then one transaction says which of them count.
A kill between any two of these leaves a head without a file or a file without a head. Neither counts, and both are
swept at the next start.

After a purge of everything, files are removed when there is nothing else to do: the ledger has forgotten them already,
and those that are left when the process ends are swept at the next start.

When the ledger cannot be written, a purge still works, since removing files needs no room: a head whose file is gone is
no stored response.
"""

import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edge.stores.files import BodyFiles
from edge.stores.ledger import Head, Ledger

logger = logging.getLogger("cdnlab.edge")

BATCH_BYTES = 16 * 2**20
BATCH_OPERATIONS = 4096

FEW = 256
"""At most this many files are removed before anything else, so that what comes finds room. More are those of a
purge, which must not wait for them: a file without a head does not count."""


@dataclass(slots=True)
class Keep:
    """A whole body and its head are to be written."""

    id: int
    values: dict[str, Any]
    body: bytes


@dataclass(slots=True)
class Change:
    """A head is to be written anew."""

    id: int
    values: dict[str, Any]


@dataclass(slots=True)
class Drop:
    """These are to go."""

    ids: list[int]


@dataclass(slots=True)
class Empty:
    """Everything added before is to go; `held` has the ids, and has no other owner any more."""

    held: list[dict[int, Any]]


@dataclass(slots=True)
class Sync:
    """`done` is called on the writer's thread: whether everything added before will outlive the process."""

    done: Callable[[bool], None]
    mark: str | None = None
    """Left in the ledger in the same transaction."""


Operation = Keep | Change | Drop | Empty | Sync


@dataclass(slots=True)
class _Batch:
    kept: dict[int, Keep] = field(default_factory=dict)
    changed: dict[int, Change] = field(default_factory=dict)
    dropped: dict[int, None] = field(default_factory=dict)
    emptied: list[dict[int, Any]] = field(default_factory=list)
    """Before anything else of the batch, but for `dropped`."""
    syncs: list[Sync] = field(default_factory=list)
    size_bytes: int = 0
    operations: int = 0

    def add(self, operation: Operation) -> None:
        self.operations += 1
        match operation:
            case Keep():
                # Swept at the start, its id may be given again: then it is written over.
                self.dropped.pop(operation.id, None)
                self.kept[operation.id] = operation
                self.size_bytes += len(operation.body)
            case Change() if operation.id in self.kept:
                self.kept[operation.id].values = operation.values
            case Change():
                self.changed[operation.id] = operation
            case Drop():
                for entry_id in operation.ids:
                    self.kept.pop(entry_id, None)
                    self.changed.pop(entry_id, None)
                    self.dropped[entry_id] = None
            case Empty():
                self.kept.clear()
                self.changed.clear()
                self.emptied += operation.held
            case Sync():
                self.syncs.append(operation)

    @property
    def full(self) -> bool:
        return self.size_bytes >= BATCH_BYTES or self.operations >= BATCH_OPERATIONS


class Writer:
    """One thread over one ledger and its files."""

    def __init__(
        self, ledger: Ledger, files: BodyFiles, report: Callable[[dict[int, bytes | None]], None], name: str
    ) -> None:
        """`report` is called on this thread with the checksum of every body kept, and None for one that is not."""
        self._ledger = ledger
        self._files = files
        self._report = report
        self._name = name
        self._operations: queue.SimpleQueue[Operation | None] = queue.SimpleQueue()
        self._trouble: Exception | None = None
        self._leaving: list[dict[int, Any]] = []
        """Ids whose files are to be removed some time."""
        self._idle = False
        """No files are to be removed, as far as is known."""
        self._thread = threading.Thread(target=self._run, name=f"store-{name}", daemon=True)
        self._thread.start()

    def add(self, operation: Operation) -> None:
        self._operations.put(operation)

    def finish(self) -> None:
        """Do all that was added and end. Blocks."""
        self._operations.put(None)
        self._thread.join()

    def _run(self) -> None:
        last = False
        while not last:
            batch = _Batch()
            try:
                operation = self._next()
            except Exception:
                # A bug of ours. The thread goes on: if it ended, all would wait for it and nobody would see why.
                logger.exception("%s: the disk store's writer failed", self._name)
                self._idle = True
                continue
            while operation is not None:
                batch.add(operation)
                if batch.full:
                    break
                try:
                    operation = self._operations.get_nowait()
                except queue.Empty:
                    break
            last = operation is None
            try:
                self._write(batch)
            except Exception:
                # A bug of ours. A purge must not wait for ever.
                logger.exception("%s: the disk store's writer failed", self._name)
                for sync in batch.syncs:
                    sync.done(False)
        with contextlib.suppress(sqlite3.Error):
            self._ledger.close()

    def _next(self) -> Operation | None:
        """The next operation. While there is none, files are removed; and a few between any two operations."""
        while not self._idle:
            try:
                self._idle = not self._let_go()
            except sqlite3.Error:
                self._idle = True  # some other time
            try:
                return self._operations.get_nowait()
            except queue.Empty:
                continue
        return self._operations.get()

    def _let_go(self) -> bool:
        """Remove a few files; whether there may be more."""
        if not self._leaving:
            return self._ledger.let_go(FEW)
        for _ in range(FEW):
            if not self._leaving[-1]:
                self._leaving.pop()
                break
            self._files.remove(self._leaving[-1].popitem()[0])
        return True

    def _write(self, batch: _Batch) -> None:
        outcome: dict[int, bytes | None] = {}
        trouble: Exception | None = None
        few = len(batch.dropped) <= FEW
        gone = [self._files.remove(entry_id) for entry_id in batch.dropped] if few else []
        heads = []
        for keep in batch.kept.values():
            try:
                checksum = self._files.write(keep.id, keep.body)
            except OSError as error:
                outcome[keep.id], trouble = None, error
                continue
            outcome[keep.id] = checksum
            heads.append(Head(keep.id, keep.values, len(keep.body), checksum))
        lasting = True
        try:
            self._ledger.write(
                heads,
                ((change.id, change.values) for change in batch.changed.values()),
                batch.dropped,
                emptied=bool(batch.emptied),
                sync=bool(batch.syncs),
                mark=next((sync.mark for sync in reversed(batch.syncs) if sync.mark is not None), None),
            )
            self._leaving += batch.emptied
            self._idle = self._idle and not batch.emptied
        except sqlite3.Error as error:
            trouble = error
            # The old heads stand. Those that must not come back lose their files.
            gone += [self._files.remove(entry_id) for entry_id in (*batch.dropped, *batch.kept, *batch.changed)]
            gone += [self._files.remove(entry_id) for held in batch.emptied for entry_id in held]
            outcome |= dict.fromkeys((*batch.kept, *batch.changed))
            lasting = all(gone)
        self._log(trouble)
        if outcome:
            self._report(outcome)
        for sync in batch.syncs:
            sync.done(lasting)
        if not few:
            for entry_id in batch.dropped:
                self._files.remove(entry_id)

    def _log(self, trouble: Exception | None) -> None:
        """Log a trouble once when it begins and once when it ends, not for every response."""
        if trouble and not self._trouble:
            logger.error("%s: cannot write to disk: %s; serving goes on, new responses stay in memory",
                         self._name, trouble)  # fmt: skip
        elif self._trouble and not trouble:
            logger.warning("%s: writing to disk again", self._name)
        self._trouble = trouble
