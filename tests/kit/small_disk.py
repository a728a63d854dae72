"""A disk that is soon full: a tmpfs, where mounting is allowed."""

import errno
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[bool]:
    """Mounts a disk of this size ("6m") over the folder until the end; False: that is not allowed here."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Filler:
    """Takes all room of a disk, also what is let go meanwhile, until told to give it back."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "filler"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._fill, daemon=True)
        self._thread.start()

    def _fill(self) -> None:
        with self._file.open("ab", buffering=0) as file:
            while not self._stop.wait(0.005):
                try:
                    file.write(bytes(2**20))
                except OSError as error:
                    assert error.errno == errno.ENOSPC

    def give_back(self) -> None:
        self._stop.set()
        self._thread.join()
        self._file.unlink()
