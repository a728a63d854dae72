"""A folder that one origin keeps its media in: a file is there whole or not at all. Calls block.

Everything is written beside its place and renamed into it, so that neither a reader nor a crash ever meets half a
file. A full disk costs what was being written and nothing else. One origin at a time has the folder: a second one would
number its segments as the first does, and write over them.

A rename outlives the process. That it outlives the machine as well takes `fsync`, which takes milliseconds: `settle`
does it for the files that an acknowledgement depends on.
"""

import errno
import fcntl
import logging
import os
import shutil
import threading
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from origin.errors import StorageFailed

log = logging.getLogger("origin")

LOCK = ".lock"
STEADY, FALTERED = ".steady", ".faltered"
"""One file with two names. A rename is what a full disk still allows."""


class Folder:
    """A directory tree. Threads may call it at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock: int | None = None
        self._unsettled: set[str] = set()
        self._guard = threading.Lock()

    def prepare(self) -> bool:
        """Makes the folder, takes it for this origin alone, and sweeps up what a crash left half written.

        Returns whether an earlier run published more than is here. `StorageFailed`: it cannot be used, or another
        origin has it.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self._take()
            for left in self.root.rglob("*.part"):
                left.unlink(missing_ok=True)
            self.write("writable", b"")
            self.delete(["writable"])
            faltered = (self.root / FALTERED).exists()
            self.rename(FALTERED, STEADY)
            (self.root / STEADY).touch()
        except OSError as error:
            raise storage_failed(self.root, error) from error
        return faltered

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

    def rename(self, before: str, after: str) -> None:
        """Where that is possible."""
        with suppress(OSError):
            (self.root / before).rename(self.root / after)

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
            with self._guard:  # from `delete`, which removes folders that are empty
                path.parent.mkdir(0o700 if secret else 0o777, parents=True, exist_ok=True)
                file = open(part, "wb", opener=_for_this_user if secret else None)  # noqa: SIM115
            with file:
                file.write(data)
            part.replace(path)
        except OSError as error:
            with suppress(OSError):
                part.unlink()
            raise storage_failed(path, error, len(data)) from error
        with self._guard:
            self._unsettled.add(name)

    def settle(self, prefix: str) -> None:
        """Syncs the files whose names begin so, and the folders that name them. `StorageFailed`."""
        with self._guard:
            due = {name for name in self._unsettled if name.startswith(prefix)}
        folders = {folder for name in due for folder in (self.path(name).parent, self.path(name).parent.parent)}
        for path in [*map(self.path, sorted(due)), *sorted(folders)]:
            try:
                with _opened(path) as file:
                    os.fsync(file)
            except FileNotFoundError:
                continue  # it has left the window in the meantime
            except OSError as error:
                raise storage_failed(path, error) from error
        with self._guard:
            self._unsettled -= due

    def read(self, name: str, first: int = 0, end: int | None = None) -> bytes | None:
        """The file's bytes, None where there is none. `StorageFailed`: it is there and cannot be read."""
        try:
            with self.path(name).open("rb") as file:
                file.seek(first)
                return file.read(-1 if end is None else end - first)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise storage_failed(self.path(name), error) from error

    def delete(self, names: Collection[str]) -> None:
        """Removes files, and folders that are then empty; what cannot be removed is left for later."""
        for name in names:
            with suppress(OSError):
                os.unlink(f"{self.root}/{name}")  # noqa: PTH108, a Path interns every name that ever was
        with self._guard:
            self._unsettled.difference_update(names)
            for folder in map(self.path, {name.rpartition("/")[0] for name in names}):
                with suppress(OSError):
                    while folder != self.root:
                        folder.rmdir()
                        folder = folder.parent

    def copy(self, names: Mapping[str, str]) -> None:
        """Each file under another name as well. `StorageFailed`: not all of them are."""
        for name, other in names.items():
            source, target = self.path(name), self.path(other)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                part = target.with_name(f"{target.name}.part")
                try:
                    part.hardlink_to(source)  # no file is ever written to again
                except OSError:
                    shutil.copyfile(source, part)
                part.replace(target)
            except OSError as error:
                raise storage_failed(target, error) from error
        with self._guard:
            self._unsettled.update(names.values())

    def list(self, prefix: str) -> dict[str, int]:
        """Sizes by name of all files whose names begin so. `StorageFailed`: the folder cannot be read."""
        found: dict[str, int] = {}
        folder = self.root / prefix.rpartition("/")[0]
        try:
            for path in folder.rglob("*"):
                name = path.relative_to(self.root).as_posix()
                if name.startswith(prefix) and path.is_file():
                    found[name] = path.stat().st_size
        except FileNotFoundError:
            pass
        except OSError as error:
            raise storage_failed(folder, error) from error
        return found


class _opened:
    """A file or folder, open to be synced."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY)

    def __enter__(self) -> int:
        return self._file

    def __exit__(self, *_: object) -> None:
        os.close(self._file)


def _for_this_user(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def storage_failed(path: Path, error: Exception, size: int = 0) -> StorageFailed:
    """What a person should know of a file at `path` that could not be used."""
    number = error.errno if isinstance(error, OSError) else None
    found = os.strerror(number) if number else str(error)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return StorageFailed(str(path), f"disk full ({found})", f"room for {size} bytes")
    return StorageFailed(str(path), found, "a folder that can be written to")
