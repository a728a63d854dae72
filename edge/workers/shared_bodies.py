"""Large bodies that lie once in memory for all processes of a node: files in tmpfs, mapped by whoever sends them.

The kernel counts who has a file mapped: one whose name is gone lives on while a response is sent from it. What does not
fit (tmpfs is full, too many files are mapped) stays in the lead's own memory, and the lead answers for it: slower, and
never an error. A folder whose node was killed is removed by the next node that starts on the machine.
"""

import fcntl
import logging
import os
import resource
import shutil
import tempfile
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from cdnkit.policy.store.entry import Entry
from edge.stores import MemoryStore, Place
from edge.workers.asides import SMALL_BYTES
from edge.workers.replica import MAPPED_FILES, mapped

logger = logging.getLogger("cdnlab.edge")

TMPFS = Path("/dev/shm")
PREFIX = "cdnlab-bodies-"
LOCK = "lock"


def most_mapped() -> int:
    """How many bodies a process may have mapped: at most a quarter of the files that it may open."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return MAPPED_FILES if hard == resource.RLIM_INFINITY else min(MAPPED_FILES, hard // 4)


class BodyFolder:
    """The files of one node, for as long as it lives."""

    def __init__(self, above: Path | None = None) -> None:
        """`above`: where the folder is made; tmpfs, or else where temporary files are."""
        if above is None:
            above = TMPFS if os.access(TMPFS, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
        _sweep(above)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=above))
        self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.failing = ""
        """Why the last body could not be put there; "" where it could."""

    def put(self, name: str, octets: bytes) -> Place | None:
        """None: there is no room for it."""
        path = str(self.path / name)
        try:
            with open(path, "xb", buffering=0) as file:  # noqa: PTH123
                rest = memoryview(octets)
                while rest:
                    rest = rest[file.write(rest) :]
        except OSError as error:
            self.remove(path)
            if not self.failing:
                logger.warning("%s: large bodies are not shared by the workers: %s", self.path, error.strerror)
            self.failing = error.strerror or str(error)
            return None
        self.failing = ""
        return Place(path, len(octets), b"")

    def remove(self, path: str) -> None:
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108

    def close(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _sweep(above: Path) -> None:
    """Remove the folders of nodes that are gone: nobody holds their lock."""
    with suppress(OSError):
        for folder in above.glob(f"{PREFIX}*"):
            try:
                lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
            except OSError:
                continue  # another user's, or it is being made
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            except OSError:
                """Its node lives."""
            finally:
                os.close(lock)


class SharedMemoryStore(MemoryStore):
    """As `MemoryStore`; large bodies lie in files that others may map."""

    def __init__(self, folder: BodyFolder, service: str, most: int | None = None) -> None:
        """`service`: its name, which distinguishes its files; `most`: bodies that may be mapped at the same time."""
        super().__init__()
        self._folder = folder
        self._service = service
        self._most = most_mapped() if most is None else most
        self._places: dict[int, Place] = {}

    def place(self, entry: Entry) -> Place | None:
        return self._places.get(entry.id)

    def keep(self, entry: Entry) -> None:
        super().keep(entry)
        whole = self._whole.get(entry.id)
        if whole is None or len(whole) <= SMALL_BYTES or len(self._places) >= self._most:
            return
        place = self._folder.put(f"{self._service}-{entry.id}", whole)
        shared = None if place is None else mapped(place)
        if place is None or shared is None:
            return
        self._places[entry.id] = place
        self._whole[entry.id] = shared

    def drop(self, ids: Collection[int]) -> None:
        for entry_id in ids:
            self._unlink(entry_id)
        super().drop(ids)

    def empty(self) -> None:
        for entry_id in list(self._places):
            self._unlink(entry_id)
        super().empty()

    async def close(self) -> None:
        self.empty()
        await super().close()

    def _unlink(self, entry_id: int) -> None:
        place = self._places.pop(entry_id, None)
        if place is not None:
            self._folder.remove(place.path)
