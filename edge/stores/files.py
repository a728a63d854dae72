"""Bodies as files, one each: `bodies/<last two hex digits of the id>/<id in hex>`.

A file is written once, under an id that no head names yet, and a head names it only when all of it is written; so it
needs no temporary name. It is trusted only if its length and its SHA-256 are those of the head. (SHA-256 costs half a
millisecond a megabyte here, as much as reading does. A CRC is quicker and would show damage, but not for certain that
a file belongs to another head.)
"""

import hashlib
import os
from pathlib import Path

FOLDERS = 256
"""Bodies are spread over these, so that no folder grows long."""


class BodyFiles:
    """The bodies under one folder. Blocking: for threads, not for the loop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for n in range(FOLDERS):
            (folder / f"{n:02x}").mkdir(parents=True, exist_ok=True)

    def path(self, entry_id: int) -> str:
        return f"{self._folder}/{entry_id % FOLDERS:02x}/{entry_id:x}"

    def ids(self) -> set[int]:
        """Of all files there are; a file whose name is no id is not ours and stays."""
        found = set()
        for n in range(FOLDERS):
            with os.scandir(self._folder / f"{n:02x}") as names:
                for name in names:
                    try:
                        found.add(int(name.name, 16))
                    except ValueError:
                        continue
        return found

    def write(self, entry_id: int, body: bytes) -> bytes:
        """Its SHA-256. OSError when it cannot be written, as on a full disk; then nothing of it is left."""
        path = self.path(entry_id)
        try:
            # Unbuffered: write() of a large buffer lets other threads run.
            with open(path, "wb", buffering=0) as file:  # noqa: PTH123
                rest = memoryview(body)
                while rest:
                    rest = rest[file.write(rest) :]
        except OSError as error:
            self.remove(entry_id)
            error.filename = str(path)  # write() names none
            raise
        return hashlib.sha256(body).digest()

    def read(self, entry_id: int, size_bytes: int, checksum: bytes) -> bytes | None:
        """The body, or None when the file is damaged or another body's."""
        try:
            with open(self.path(entry_id), "rb", buffering=0) as file:  # noqa: PTH123
                body = file.read(size_bytes + 1)
                while len(body) <= size_bytes and (more := file.read(size_bytes + 1 - len(body))):
                    body += more
        except OSError:
            return None
        if len(body) != size_bytes or hashlib.sha256(body).digest() != checksum:
            return None
        return body

    def remove(self, entry_id: int) -> bool:
        """Whether it is gone; also where it never was."""
        try:
            os.unlink(self.path(entry_id))  # noqa: PTH108
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True
