"""The folder the origin keeps its media in: a file is there whole or not at all.

Everything is written beside its place and renamed into it, so that neither a reader nor a crash ever meets half a
file. A full disk costs what was being written and nothing else. One origin at a time has the folder: a second one would
number its segments as the first does, and write over them.
"""

import errno
import fcntl
import logging
import os
from contextlib import suppress
from pathlib import Path

from origin.errors import StorageFailed

log = logging.getLogger("origin")

LOCK = ".lock"


class Storage:
    """A directory tree. Calls block: the shell runs them in a thread."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock: int | None = None

    def prepare(self) -> None:
        """Makes the folder, takes it for this origin alone, and sweeps up what a crash left half written.

        `StorageFailed`: it cannot be used, or another origin has it.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self._take()
            for left in self.root.rglob("*.part"):
                left.unlink(missing_ok=True)
            self.write("writable", b"")
            self.delete("writable")
        except OSError as error:
            raise storage_failed(self.root, error) from error

    def _take(self) -> None:
        """Locks the folder; the system unlocks it when this process ends, however it does."""
        lock = os.open(self.root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            found = f"in use by another origin (process {holder})"
            raise StorageFailed(str(self.root), found, "a storage folder of its own for each origin") from None
        except OSError as error:
            # Some network file systems have no locks: as good as without one.
            log.warning("%s: cannot be locked (%s): see that no other origin stores here", self.root, error)
        self._lock = lock
        with suppress(OSError):  # a full disk: the holder's number is only for people to read
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Another origin may have the folder now."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def path(self, name: str) -> Path:
        """Where `live/720p/seg-1-0.m4s` lies. Names are the origin's own, never taken from a request."""
        return self.root / name

    def write(self, name: str, data: bytes, *, secret: bool = False) -> None:
        """Puts a whole file in its place, a `secret` one for this user alone.

        `StorageFailed`: nothing was put there, what was there still is.
        """
        path = self.path(name)
        part = path.with_name(f"{path.name}.part")
        try:
            path.parent.mkdir(0o700 if secret else 0o777, parents=True, exist_ok=True)
            with open(part, "wb", opener=_for_this_user if secret else None) as file:
                file.write(data)
            part.replace(path)
        except OSError as error:
            with suppress(OSError):
                part.unlink()
            raise storage_failed(path, error, len(data)) from error

    def read(self, name: str) -> bytes | None:
        """The file's bytes, None where there is none. `StorageFailed`: it is there and cannot be read."""
        try:
            return self.path(name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise storage_failed(self.path(name), error) from error

    def delete(self, name: str) -> None:
        """Removes a file; one that is not there, or cannot be removed, is left for later."""
        with suppress(OSError):
            self.path(name).unlink()

    def delete_media(self, folder: str, known: set[str]) -> None:
        """Removes a track's segments and init sections, all but the known ones."""
        for name in self.names(folder):
            if name.startswith(("seg-", "init-")) and name not in known:
                self.delete(f"{folder}/{name}")

    def delete_folder(self, folder: str) -> None:
        """Removes an empty folder; one that is not empty is left."""
        with suppress(OSError):
            self.path(folder).rmdir()

    def has(self, name: str, size: int) -> bool:
        try:
            return self.path(name).stat().st_size == size
        except OSError:
            return False

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder; none where there is no such folder."""
        with suppress(OSError):
            return sorted(path.name for path in self.path(folder).iterdir() if path.is_file())
        return []

    def find(self, file: str) -> list[tuple[str, str]]:
        """(stream, track) of every track that has a file of this name."""
        return sorted((path.parent.parent.name, path.parent.name) for path in self.root.glob(f"*/*/{file}"))


def _for_this_user(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def storage_failed(path: Path, error: Exception, size: int = 0) -> StorageFailed:
    """What a person should know of a file at `path` that could not be used."""
    number = error.errno if isinstance(error, OSError) else None
    found = os.strerror(number) if number else str(error)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return StorageFailed(str(path), f"disk full ({found})", f"room for {size} bytes")
    return StorageFailed(str(path), found, "a folder that can be written to")
