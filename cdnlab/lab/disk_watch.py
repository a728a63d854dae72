"""Disks that take nothing more: said once, by name and path, and once more when they do again.

Whoever meets the failure reports it: the cluster's own files, or a child by its standard output, for its log may lie on
the same disk. Beside that the free room of each folder is looked at every second. From the first failure on a megabyte
is tried there every second, and what of the cluster's files could not be written is tried again, until both succeed.
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
"""Seconds between two looks."""
LEAST_BYTES = 64 * 1024
"""A disk with less free room is full: no segment fits there."""
TRIED_BYTES = 2**20
"""What must fit before a disk counts as writable again: a segment, and not what one more record frees."""
LATE = 2.0
"""Seconds after the end of a trouble in which a process may still tell of it."""
MOST_PENDING = 64
"""Files kept in memory until they can be written: `cluster.json`, and the rules of that many lives; the newest stay."""

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
UNWRITABLE = FULL | {errno.EFBIG, errno.EROFS, errno.EIO}
"""What a disk answers that takes nothing: no room, no quota, a limit on sizes, mounted to be read, broken."""


@dataclass
class Trouble:
    """One disk that cannot be written."""

    folder: Path
    """Where it is tried again."""
    began: float


class DiskWatch:
    """The disks of one run."""

    def __init__(self, folder: RunFolder, others: Sequence[Path], say: Callable[[str, str], None]) -> None:
        """`others`: folders beside the run's that are written to; `say(name, text)` hears what a person must know."""
        self._folder = folder
        self._watched = (folder.path, *others)
        self._say = say
        self._troubles: dict[object, Trouble] = {}
        self._over: dict[object, float] = {}
        """When a disk could be written again."""
        self._pending: dict[str, Any] = {}

    @property
    def trouble(self) -> bool:
        """Whether some disk cannot be written now."""
        return bool(self._troubles)

    def write(self, name: str, values: Any) -> None:
        """As `RunFolder.write`; what cannot be written is written as soon as it can."""
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

    def lost(self, name: str, path: Path, number: int | None) -> None:
        """A process could not write `path`, for the reason of that number (`errno`)."""
        # A busy process may tell late of what was over by then.
        if time.monotonic() - self._over.get(_disk_of(path), -LATE) >= LATE:
            self._begins(name, path, number)

    def _begins(self, name: str, path: Path, number: int | None) -> None:
        disk = _disk_of(path)
        if disk in self._troubles:
            return
        ours = (place for place in self._watched if path.is_relative_to(place))
        self._troubles[disk] = Trouble(next(ours, _there(path.parent)), time.monotonic())
        full, why = ": the disk is full" if number in FULL else "", os.strerror(number) if number else "it failed"
        self._say(
            name, f"cannot write {path}{full} ({why}); what is to be written there is lost until that works again"
        )

    async def keep(self) -> None:
        """Looks, tries again and says when it is over, until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            for full in await asyncio.to_thread(lambda: [place for place in self._watched if _is_full(place)]):
                self._begins("disk", full, errno.ENOSPC)
            for disk, trouble in list(self._troubles.items()):
                if await asyncio.to_thread(_can_be_written, trouble.folder) and self._caught_up(disk):
                    del self._troubles[disk]
                    self._over[disk] = time.monotonic()
                    took = time.monotonic() - trouble.began
                    self._say("disk", f"{trouble.folder} can be written again, after {took:.0f} s")

    def _caught_up(self, disk: object) -> bool:
        """Whether no file of ours waits for this disk any more, having tried."""
        if disk == _disk_of(self._folder.path):
            for name, values in list(self._pending.items()):
                self.write(name, values)
            return not self._pending
        return True


def _disk_of(path: Path) -> object:
    """The file system of a file or folder, also of one that is not there yet."""
    with suppress(OSError):
        return _there(path).stat().st_dev
    return None


def _there(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    return next((place for place in (path, *path.parents) if os.path.exists(place)), path)  # noqa: PTH110 -- never raises


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < LEAST_BYTES
    except OSError:  # not there yet
        return False


def _can_be_written(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(TRIED_BYTES))
            file.flush()
            os.fsync(file.fileno())  # a quota may speak no earlier
    except OSError:
        return False
    return True
