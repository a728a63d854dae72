"""The heads of what is on disk, in SQLite: which body files count, and for what.

It is SQLite, because we need not write again a write-ahead log that survives a kill at any instant, is compacted, and
takes all of its changes or none. A commit is not synced to the device: a killed process loses nothing by that, a power
cut loses the latest heads and leaves the rest whole. Only a purge is synced before it is acknowledged.

    heads(id, head, crc, size_bytes, checksum)   head: JSON of cdnkit/policy/store/serialise.py; crc: CRC-32 of it
                                                 checksum: SHA-256 of the body
    former_1, ...                                heads before a purge of everything, as far as they are not deleted yet:
                                                 to rename a table takes no time, to delete a million rows seconds
    about(name, value)                           rules: whose responses these are; synced: see `sync`;
                                                 mark: how far the node has come with orders to purge
    PRAGMA application_id, user_version          that it is ours, and the format
"""

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cdnkit.policy.store import serialise as stored

APPLICATION = 0x63646E6C  # "cdnl"
FORMAT = 1
"""Of the tables; the format of heads counts with it."""

VERSION = FORMAT * 1000 + stored.FORMAT
LOCK_WAIT_S = 2.0
"""How long to wait for the process that used it before to leave."""


_HEADS = """CREATE TABLE heads (
    id INTEGER PRIMARY KEY, head BLOB NOT NULL, crc INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
    checksum BLOB NOT NULL
)"""
_FORMER = "former_"


class Head(NamedTuple):
    """One row."""

    id: int
    values: dict[str, Any]
    size_bytes: int
    checksum: bytes


class Ledger:
    """One open ledger; nobody else can open it meanwhile. Blocking, one thread at a time.

    Every method may raise `sqlite3.Error`; then nothing of what it was to do is done.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("COMMIT")
        except BaseException:
            self._db.close()
            raise

    def belongs_to(self, rules: str) -> str:
        """Why what it holds is of no use under `rules`, in words; "" when it is of use, or when it is new."""
        application, version = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        if application == 0 and version == 0:
            self.start_over(rules)
            return ""
        if (application, version) != (APPLICATION, VERSION):
            return f"it has format {version}, wanted {VERSION}"
        found = self._db.execute("SELECT value FROM about WHERE name = 'rules'").fetchone()
        return "" if found == (rules,) else "it was filled under other settings or from another parent"

    def start_over(self, rules: str) -> None:
        """Forget everything."""
        former = "".join(f"DROP TABLE {name};" for name in self._former())
        self._db.executescript(f"""
            BEGIN;
            DROP TABLE IF EXISTS heads;
            DROP TABLE IF EXISTS about;
            {former}
            {_HEADS};
            CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
            INSERT INTO about VALUES ('rules', '{rules}'), ('synced', '0');
            PRAGMA application_id = {APPLICATION};
            PRAGMA user_version = {VERSION};
            COMMIT;
        """)

    def mark(self) -> str | None:
        """What the last `write` with a mark left."""
        found = self._db.execute("SELECT value FROM about WHERE name = 'mark'").fetchone()
        return None if found is None else str(found[0])

    def heads(self) -> Iterator[Head | int]:
        """All heads by rising id; of one that is damaged, the id alone."""
        rows = self._db.execute("SELECT id, head, crc, size_bytes, checksum FROM heads ORDER BY id")
        for entry_id, head, crc, size_bytes, checksum in rows:
            if isinstance(head, bytes) and zlib.crc32(head) == crc:
                yield Head(entry_id, json.loads(head), size_bytes, checksum)
            else:
                yield entry_id

    def write(
        self,
        kept: Iterable[Head],
        changed: Iterable[tuple[int, dict[str, Any]]],
        dropped: Iterable[int],
        *,
        emptied: bool = False,
        sync: bool = False,
        mark: str | None = None,
    ) -> None:
        """All of it or nothing. `emptied`: first, the heads there were count no more. `sync`: it, and all that was
        written before, is on the device when this returns.
        """
        self._db.execute(f"PRAGMA synchronous = {'FULL' if sync else 'NORMAL'}")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            if emptied:
                last = max((int(name.removeprefix(_FORMER)) for name in self._former()), default=0)
                self._db.execute(f"ALTER TABLE heads RENAME TO {_FORMER}{last + 1}")
                self._db.execute(_HEADS)
            self._db.executemany("INSERT OR REPLACE INTO heads VALUES (?, ?, ?, ?, ?)", map(_row, kept))
            self._db.executemany(
                "UPDATE heads SET head = ?, crc = ? WHERE id = ?",
                ((head, zlib.crc32(head), entry_id) for entry_id, head in ((i, _json(v)) for i, v in changed)),
            )
            self._db.executemany("DELETE FROM heads WHERE id = ?", ((entry_id,) for entry_id in dropped))
            if sync:
                # A transaction that changes nothing would not be synced, nor would what came before it.
                self._db.execute("UPDATE about SET value = value + 1 WHERE name = 'synced'")
            if mark is not None:
                self._db.execute("INSERT OR REPLACE INTO about VALUES ('mark', ?)", (mark,))
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def let_go(self, rows: int) -> bool:
        """Delete at most `rows` heads that count no more; whether there may be more."""
        former = self._former()
        if not former:
            return False
        name = former[0]
        deleted = self._db.execute(f"DELETE FROM {name} WHERE id IN (SELECT id FROM {name} LIMIT ?)", (rows,)).rowcount
        if deleted < rows:
            self._db.execute(f"DROP TABLE {name}")
        return True

    def _former(self) -> list[str]:
        found = self._db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE ?", (f"{_FORMER}%",)
        )
        return [name for (name,) in found]

    def close(self) -> None:
        self._db.close()


def _row(head: Head) -> tuple[int, bytes, int, int, bytes]:
    text = _json(head.values)
    return head.id, text, zlib.crc32(text), head.size_bytes, head.checksum


def _json(values: dict[str, Any]) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode("ascii")
