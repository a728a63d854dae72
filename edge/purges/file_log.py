"""The purge log in a file, for nodes on one machine: SQLite, which several processes may write at the same time.

    orders(number, body)                   body: JSON of the order, and how it goes
    followers(name, url, parents, taken, done)
    purged(number, name, count)            what an order took away at a node
    about(name, value)                     log: the identity; last: the highest number ever given

Readers see that the file has changed by `PRAGMA data_version`, which reads a word of shared memory. A file that is
deleted is made anew by the first process that sees it: that is another log, so all nodes purge everything.
"""

import asyncio
import fcntl
import json
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from cdnkit.policy.machine.purge_log import UNREAD, Batch, Extent, Follower, LoggedOrder
from edge.purges.log import BATCH, IDLE_S, KEPT, BadLog, LogLost, body_of, follower_of, logged, members_of

T = TypeVar("T")

APPLICATION = 0x63646E70  # "cdnp"
LOCK_WAIT_S = 5.0
LOOK_S = 0.02
"""Between two looks for news."""

_TABLES = """
    CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value NOT NULL);
    CREATE TABLE IF NOT EXISTS orders (number INTEGER PRIMARY KEY, body TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS followers (
        name TEXT PRIMARY KEY, url TEXT NOT NULL, parents TEXT NOT NULL, taken INTEGER NOT NULL, done INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS purged (
        number INTEGER NOT NULL, name TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (number, name)
    ) WITHOUT ROWID;
"""


class FileLog:
    """One process's way to the file."""

    def __init__(self, path: Path, *, kept: int = KEPT) -> None:
        self.where = str(path)
        self._path = path
        self._kept = kept
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="purges")
        try:
            self._open()
        except (OSError, sqlite3.Error) as error:
            raise BadLog(self.where, str(error)) from error

    def _open(self) -> None:
        """Opens the file, or makes it: one process at a time, or one would take away what another has just begun."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            if not self._path.exists():
                for part in ("-wal", "-shm"):  # of a file that was deleted, and of no other
                    self._path.with_name(self._path.name + part).unlink(missing_ok=True)
            self._db = sqlite3.connect(self._path, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False)
            self._db.text_factory = _text
            try:
                self._begin()
                self._file = self._named()
            except BaseException:
                self._db.close()
                raise
        finally:
            os.close(folder)
        # A connection of its own: it sees what we write too, and never waits for our own thread.
        self._eye = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        self._version = -1

    def _named(self) -> tuple[int, int] | None:
        """Which file has the log's name now, if any."""
        try:
            about = self._path.stat()
        except FileNotFoundError:
            return None
        return about.st_dev, about.st_ino

    def _reopen(self) -> None:
        """A file that was deleted, or replaced, is a log no more: the one of its name is, which others write to."""
        if self._named() == self._file:
            return
        self._db.close()
        self._eye.close()
        self._open()

    def _begin(self) -> None:
        if self._db.execute("PRAGMA application_id").fetchone()[0] == APPLICATION:
            return  # nothing to write: on a full disk it is `append` that fails
        self._db.execute("PRAGMA journal_mode = WAL")
        with _Transaction(self._db):
            found = self._db.execute("PRAGMA application_id").fetchone()[0]
            if found not in (0, APPLICATION):
                raise sqlite3.DatabaseError("a database of something else")
            for table in _TABLES.split(";"):
                self._db.execute(table)
            self._db.execute(f"PRAGMA application_id = {APPLICATION}")
            self._db.executemany(
                "INSERT OR IGNORE INTO about VALUES (?, ?)", [("log", secrets.token_hex(8)), ("last", 0)]
            )

    async def append(self, orders: Sequence[LoggedOrder]) -> list[int]:
        def work() -> list[int]:
            # On the device when this returns: a node that is down may need it after a power cut.
            self._db.execute("PRAGMA synchronous = FULL")
            with _Transaction(self._db):
                last = self._last()
                numbers = list(range(last + 1, last + 1 + len(orders)))
                self._db.executemany(
                    "INSERT INTO orders VALUES (?, ?)", zip(numbers, map(body_of, orders), strict=True)
                )
                self._db.execute("UPDATE about SET value = ? WHERE name = 'last'", (last + len(orders),))
                for table in ("orders", "purged"):
                    self._db.execute(f"DELETE FROM {table} WHERE number <= ?", (last + len(orders) - self._kept,))
            return numbers

        return await self._done(work)

    async def read(self, after: int, most: int = BATCH) -> Batch:
        def work() -> Batch:
            self._db.execute("BEGIN")  # one state of the file for all three
            try:
                log = self._db.execute("SELECT value FROM about WHERE name = 'log'").fetchone()[0]
                last = self._last()
                first = self._db.execute("SELECT min(number) FROM orders").fetchone()[0]
                rows = self._db.execute(
                    "SELECT number, body FROM orders WHERE number > ? ORDER BY number LIMIT ?", (after, most)
                ).fetchall()
            finally:
                self._db.execute("COMMIT")
            extent = Extent(log, last + 1 if first is None else first, last)
            return Batch(extent, tuple(logged(number, body) for number, body in rows))

        return await self._done(work)

    async def news(self, after: int, within: float = IDLE_S) -> None:
        end = time.monotonic() + within
        while (version := self._look()) == self._version and time.monotonic() < end:  # noqa: ASYNC110  # another process
            await asyncio.sleep(LOOK_S)
        self._version = version

    def _look(self) -> int:
        try:
            if self._named() != self._file:
                return self._version + 1
            version: int = self._eye.execute("PRAGMA data_version").fetchone()[0]
        except (OSError, sqlite3.Error) as error:
            raise LogLost(self.where, str(error)) from error
        return version

    async def join(self, one: Follower) -> None:
        row = (one.name, one.url, json.dumps(one.parents), one.taken, one.done)
        await self._change(("INSERT OR REPLACE INTO followers VALUES (?, ?, ?, ?, ?)", [row]))

    async def keep_only(self, names: Iterable[str]) -> None:
        kept = json.dumps(list(names))
        await self._change(("DELETE FROM followers WHERE name NOT IN (SELECT value FROM json_each(?))", [(kept,)]))

    async def report(self, name: str, *, taken: int, done: int, purged: Mapping[int, int]) -> None:
        await self._change(
            (
                "INSERT OR REPLACE INTO purged VALUES (?, ?, ?)",
                [(number, name, count) for number, count in purged.items()],
            ),
            ("UPDATE followers SET taken = ?, done = ? WHERE name = ?", [(taken, done, name)]),
        )

    async def followers(self) -> dict[str, Follower]:
        def work() -> dict[str, Follower]:
            rows = self._db.execute("SELECT name, url, parents, taken, done FROM followers ORDER BY rowid").fetchall()
            return {row[0]: follower_of(row[0], row[1], members_of(row[2]), row[3], row[4]) for row in rows}

        return await self._done(work)

    async def purged(self, numbers: Iterable[int]) -> dict[str, int]:
        wanted = json.dumps(list(numbers))

        def work() -> dict[str, int]:
            return dict(
                self._db.execute(
                    f"SELECT name, iif(min(count) = {UNREAD}, {UNREAD}, sum(count)) FROM purged "
                    "WHERE number IN (SELECT value FROM json_each(?)) GROUP BY name", (wanted,),
                ).fetchall()
            )  # fmt: skip

        return await self._done(work)

    def _last(self) -> int:
        """The highest number, that of an order which another program added included."""
        (last,) = self._db.execute("SELECT value FROM about WHERE name = 'last'").fetchone()
        (top,) = self._db.execute("SELECT max(number) FROM orders").fetchone()
        return max(int(last), top or 0)

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.shutdown)
        self._db.close()
        self._eye.close()

    async def _change(self, *statements: tuple[str, list[tuple[object, ...]]]) -> None:
        def work() -> None:
            # Reports need no wait for the device: lost ones are made again.
            self._db.execute("PRAGMA synchronous = NORMAL")
            with _Transaction(self._db):
                for statement, rows in statements:
                    self._db.executemany(statement, rows)

        await self._done(work)

    async def _done(self, work: Callable[[], T]) -> T:
        """On a thread: another process may hold the file's lock."""

        def done() -> T:
            self._reopen()
            return work()

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, done)
        except (OSError, sqlite3.Error) as error:
            raise LogLost(self.where, str(error)) from error
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise LogLost(self.where, f"what it holds is no log of purges: {type(error).__name__}: {error}") from error


def _text(stored: bytes) -> str:
    """Damaged text is not what was written, but can be read."""
    return stored.decode(errors="backslashreplace")


class _Transaction:
    """All or nothing."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._db.in_transaction:
            self._db.execute("COMMIT" if kind is None else "ROLLBACK")
