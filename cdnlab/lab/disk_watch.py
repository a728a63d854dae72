"""Watches for disks that cannot be written: reports each once, with the path, and once more when it works again.

The watch learns of a failure from the cluster's own files, from a child's standard output (the log of the child may be
on the same disk), and from the free room of each folder, which it checks every second. After a failure it tries every
second to write a megabyte there, and to write those of the cluster's files that failed, until both succeed.
"""

import asyncio
import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdnlab.lab.run_folder import RunFolder

EVERY = 1.0
"""Seconds between two checks."""
LEAST_BYTES = 64 * 1024
"""A disk with less free room counts as full: no segment fits there."""
TRIED_BYTES = 2**20
"""This much must fit before a disk counts as writable again: a segment rather than one more record."""
LATE = 2.0
"""Seconds after the end of a trouble during which reports of it are ignored: a busy process may send them late."""
MOST_PENDING = 64
"""At most this many files wait in memory to be written: `cluster.json` and the rules of lives; the newest are kept."""

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
UNWRITABLE = FULL | {errno.EFBIG, errno.EROFS, errno.EIO}
"""Errors of a disk that cannot be written: no room, no quota, a limit on sizes, mounted read-only, broken."""


@dataclass
class Trouble:
    """One disk that cannot be written."""

    folder: Path
    """The folder in which writing is tried again."""
    began: float


class DiskWatch:
    """The disks of one run."""

    def __init__(self, folder: RunFolder, others: Sequence[Path], report: Callable[[str, str], None]) -> None:
        """`others`: folders beside the run folder to watch; `report(name, text)` tells a person."""
        self._folder = folder
        self._watched = (folder.path, *others)
        self._report = report
        self._troubles: dict[object, Trouble] = {}
        self._over: dict[object, float] = {}
        """Disk -> when it could be written again."""
        self._pending: dict[str, Any] = {}

    @property
    def trouble(self) -> bool:
        """Whether some disk cannot be written now."""
        return bool(self._troubles)

    def write(self, name: str, values: Any) -> None:
        """As `RunFolder.write`; a file that cannot be written is written as soon as the disk works again."""
        try:
            self._folder.write(name, values)
        except OSError as error:
            self._pending.pop(name, None)
            self._pending[name] = values
            if len(self._pending) > MOST_PENDING:
                del self._pending[next(iter(self._pending))]
            self._begins("cluster", self._folder.path / name, error.errno)
        else:
            self._pending.pop(name, None)

    def unwritten(self, name: str, path: Path, number: int | None) -> None:
        """Records that a process could not write `path`; `number` is the errno."""
        if time.monotonic() - self._over.get(_disk_of(path), -LATE) >= LATE:
            self._begins(name, path, number)

    def _begins(self, name: str, path: Path, number: int | None) -> None:
        disk = _disk_of(path)
        if disk in self._troubles:
            return
        ours = (place for place in self._watched if path.is_relative_to(place))
        self._troubles[disk] = Trouble(next(ours, _existing(path.parent)), time.monotonic())
        full, why = ": the disk is full" if number in FULL else "", os.strerror(number) if number else "it failed"
        self._report(name, f"cannot write {path}{full} ({why}); writes there are lost until it works again")

    async def keep(self) -> None:
        """Checks the disks, tries again, and reports the end of each trouble, until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            for full in await asyncio.to_thread(lambda: [place for place in self._watched if _is_full(place)]):
                self._begins("disk", full, errno.ENOSPC)
            for disk, trouble in list(self._troubles.items()):
                if await asyncio.to_thread(_can_be_written, trouble.folder) and self._written(disk):
                    del self._troubles[disk]
                    self._over[disk] = time.monotonic()
                    took = time.monotonic() - trouble.began
                    self._report("disk", f"{trouble.folder} can be written again, after {took:.0f} s")

    def _written(self, disk: object) -> bool:
        """Tries to write the cluster's files that wait for this disk; returns whether none is left."""
        if disk == _disk_of(self._folder.path):
            for name, values in list(self._pending.items()):
                self.write(name, values)
            return not self._pending
        return True


def _disk_of(path: Path) -> object:
    """The file system of a file or folder, which need not exist yet."""
    with suppress(OSError):
        return _existing(path).stat().st_dev
    return None


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    return next((place for place in (path, *path.parents) if os.path.exists(place)), path)  # noqa: PTH110 -- never raises


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < LEAST_BYTES
    except OSError:  # it does not exist yet
        return False


def _can_be_written(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(TRIED_BYTES))
            file.flush()
            os.fsync(file.fileno())  # a quota may fail no earlier
    except OSError:
        return False
    return True
