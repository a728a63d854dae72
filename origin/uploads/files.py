"""Uploaded objects on disk: each in a file that is written once, and an index that says what each path means.

A path from a request never becomes a file's: files are numbered. So an object is replaced by a row of the index, at one
instant, and a viewer who reads the old one goes on reading it. A file without a row is what a crash left; it goes at
the next start. Calls block: the shell runs them in a thread.
"""

import logging
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from origin.errors import StorageFailed
from origin.storage.folder import storage_failed
from origin.uploads.lists import LARGEST_LIST
from origin.uploads.names import Class
from origin.uploads.objects import StoredObject

log = logging.getLogger("origin")

FOLDER = ".uploads"
"""Inside the storage folder. No stream's name begins with a dot."""
INDEX = "index.sqlite3"
IN_MEMORY = LARGEST_LIST
"""Bytes of an object that are held before they go to its file: all of a playlist's."""

_TABLE = """
create table if not exists objects (
    stream text not null, path text not null, file integer not null, size integer not null,
    etag text not null, kind text not null, stored_at real not null, primary key (stream, path)
) without rowid
"""


class Spool:
    """The bytes of one object while they come: in memory, and from there to its file. Nobody sees it yet."""

    def __init__(self, file: int, path: Path) -> None:
        self.file = file
        self.size = 0
        self._path = path
        self._held = bytearray()
        self._digest = sha256()
        self._out: BinaryIO | None = None

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return len(self._held)

    @property
    def full(self) -> bool:
        """`flush` is due."""
        return self.held > IN_MEMORY

    @property
    def data(self) -> bytes | None:
        """The whole object; None: some of it is no longer in memory."""
        return bytes(self._held) if self.size == len(self._held) else None

    @property
    def etag(self) -> str:
        return f'"{self._digest.hexdigest()[:20]}"'

    def add(self, data: bytes) -> None:
        self._held += data
        self._digest.update(data)
        self.size += len(data)

    def flush(self) -> None:
        """Moves what is held to the file. `StorageFailed`."""
        try:
            if self._out is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._out = self._path.open("wb")
            self._out.write(self._held)
            self._out.flush()
        except OSError as error:
            raise storage_failed(self._path, error, len(self._held)) from error
        self._held.clear()

    def close(self) -> None:
        """The file is whole. `StorageFailed`."""
        self.flush()
        assert self._out is not None
        self._out.close()

    def discard(self) -> None:
        """The object is not wanted."""
        if self._out is not None:
            with suppress(OSError):
                self._out.close()
            with suppress(OSError):
                self._path.unlink()


class ObjectFiles:
    """The folder of all uploaded objects, and its index."""

    def __init__(self, root: Path) -> None:
        self.folder = root / FOLDER
        self._index: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        self._last_file = 0

    def open(self) -> list[tuple[str, StoredObject]]:
        """(stream, object) of all that an earlier run stored. `StorageFailed`: the folder cannot be used."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                found = self._read_index()
            except (sqlite3.OperationalError, OSError):
                raise
            except (sqlite3.DatabaseError, ValueError, TypeError) as error:
                log.error("%s: cannot be read (%s); all uploaded objects are deleted", self.folder / INDEX, error)
                self.close()
                for file in self.folder.glob(f"{INDEX}*"):
                    file.unlink()
                found = self._read_index()
        except (OSError, sqlite3.Error) as error:
            raise storage_failed(self.folder, error) from error
        whole = [(stream, one) for stream, one in found if self._is_whole(stream, one)]
        self._remove_orphans({self.path(stream, one.file) for stream, one in whole})
        self._last_file = max([0, *(one.file for _, one in found)])
        return whole

    def _read_index(self) -> list[tuple[str, StoredObject]]:
        self._index = sqlite3.connect(self.folder / INDEX, check_same_thread=False, isolation_level=None)
        # A crash of the machine may cost the last rows, never the index.
        self._index.execute("pragma journal_mode = wal")
        self._index.execute("pragma synchronous = normal")
        self._index.execute(_TABLE)
        rows = self._index.execute("select stream, path, file, size, etag, kind, stored_at from objects")
        return [
            (stream, StoredObject(path, file, size, etag, Class(kind), stored_at))
            for stream, path, file, size, etag, kind, stored_at in rows
        ]

    def _is_whole(self, stream: str, one: StoredObject) -> bool:
        try:
            if self.path(stream, one.file).stat().st_size == one.size:
                return True
        except OSError:
            pass
        log.error("%s/%s: missing from storage; it is not served", stream, one.path)
        with suppress(StorageFailed):
            self.erase(stream, [one])
        return False

    def _remove_orphans(self, known: set[Path]) -> None:
        for folder in [one for one in self.folder.iterdir() if one.is_dir()]:
            for file in set(folder.iterdir()) - known:
                with suppress(OSError):
                    file.unlink()
            with suppress(OSError):
                folder.rmdir()

    def close(self) -> None:
        if self._index is not None:
            self._index.close()

    def path(self, stream: str, file: int) -> Path:
        return self.folder / stream / str(file)

    def spool(self, stream: str) -> Spool:
        """A new object's bytes. Does not block."""
        self._last_file += 1
        return Spool(self._last_file, self.path(stream, self._last_file))

    def record(self, stream: str, one: StoredObject) -> None:
        """The path means this object from now on. `StorageFailed`: it means what it meant."""
        row = (stream, one.path, one.file, one.size, one.etag, one.kind.value, one.stored_at)
        self._execute("insert or replace into objects values (?, ?, ?, ?, ?, ?, ?)", [row])

    def erase(self, stream: str, gone: Iterable[StoredObject]) -> None:
        """The paths mean nothing from now on. `StorageFailed`: they mean what they meant."""
        rows = [(stream, one.path, one.file) for one in gone]
        self._execute("delete from objects where stream = ? and path = ? and file = ?", rows)

    def _execute(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        assert self._index is not None
        try:
            with self._lock, self._index:
                self._index.execute("begin")
                self._index.executemany(statement, rows)
        except sqlite3.Error as error:
            raise storage_failed(self.folder, error) from error

    def delete(self, paths: Iterable[Path]) -> None:
        """Removes files that no row names; one that cannot be removed goes at the next start."""
        for path in paths:
            with suppress(OSError):
                path.unlink()

    def delete_folder(self, stream: str) -> None:
        """Removes a stream's folder if it is empty. Does not wait for anybody."""
        with suppress(OSError):
            (self.folder / stream).rmdir()
