"""Records on disk: gathered in memory, written in batches, one JSON line each, in files that share a room.

When a file is full, the next part is begun (`edge/record_files.py`); when all files of a node exceed their room, the
oldest are deleted. When a line cannot be written (a full disk), serving goes on: the line is counted as lost, and a
record of the loss is written as soon as there is room again.
"""

import asyncio
import logging
import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from cdnkit.policy.record.lines import EventRecord, LostRecord, PartRecord, last_seq, line_of, lost_of
from edge.record_files import RecordFile

logger = logging.getLogger("cdnlab.edge")

BATCH_LINES = 1000
FLUSH_SECONDS = 0.25

PARTS = 8
"""Files that a node's room is divided into: an eighth of it goes at once. multilog and svlogd keep 10."""


class RecordLog:
    """The record files of one node, or of one of its services; None as a path keeps nothing.

    `room_bytes`: for all its files together, with those of earlier lives in the same folder.
    """

    def __init__(self, path: Path | None, room_bytes: int = 2**31) -> None:
        self._pending: list[EventRecord] = []
        self._path = path
        self._room_bytes = room_bytes
        self._part_bytes = max(1, room_bytes // PARTS)
        self._file = -1
        self._size = 0
        self._whole = 0
        """Lines written by this flush, whole."""
        self._earlier = PartRecord("", 1, 0, 0)
        """What all files up to now contain."""
        self._has_parts = False
        self._is_fresh = True
        """No record is in the file yet."""
        self._is_torn = False
        """The last line in the file has no end."""
        self._gap: LostRecord | None = None
        """What was lost since a line could be written."""
        self.lost = 0
        """Lines that could not be written, in all."""
        self.failing = ""
        """Why none can be written now; "" where all is well."""
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                named = RecordFile.of(path)
                parts = [one for name, one in named.beside(path.parent) if name.life == named.life]
                self._open(parts[-1] if parts else path)
                if self._has_parts:
                    self._make_room()
            except OSError as error:
                self._fails(error)

    def add(self, record: EventRecord) -> None:
        if self._path is not None:
            self._pending.append(record)
            if len(self._pending) >= BATCH_LINES:
                self.flush()

    def flush(self) -> None:
        if self._path is None or not self._pending:
            return
        records: list[EventRecord | LostRecord] = [*self._pending]
        if self._gap is not None:
            records.insert(0, self._gap)
        self._pending = []
        self._whole = 0
        try:
            self._put(records)
        except OSError as error:
            self._fails(error)
        if self._whole:
            self._gap = None
        lost = [record for record in records[self._whole :] if not isinstance(record, LostRecord)]
        if lost:
            self.lost += len(lost)
            self._gap = lost_of(lost, self._gap)
        elif self.failing:
            logger.warning("records: %s: written again; %d lines are lost", self._path, self.lost)
            self.failing = ""

    async def flush_later(self) -> None:
        await asyncio.sleep(FLUSH_SECONDS)
        self.flush()

    def close(self) -> None:
        self.flush()
        if self._gap is not None:
            logger.error("records: %s: %d lines are lost", self._path, self._gap.lines)
        if self._file >= 0:
            os.close(self._file)
        self._file, self._path = -1, None

    def _put(self, records: Sequence[EventRecord | LostRecord]) -> None:
        """Write them; `_whole` says how far it came."""
        if self._file < 0:
            assert self._path is not None
            self._open(self._path)
        while self._whole < len(records):
            begun, size = self._whole, self._size
            lines: list[bytes] = []
            for record in records[begun:]:
                lines.append(line_of(record))
                size += len(lines[-1])
                if size > self._part_bytes and self._has_parts and (not self._is_fresh or len(lines) > 1):
                    lines.pop()  # for the next part; a line that is larger than any has one for itself
                    break
            if not lines:
                self._begin_next_part(records[begun].node)
                continue  # this part is full
            try:
                self._append(b"".join(lines))
            finally:
                self._is_fresh = False
                for record in records[begun : self._whole]:
                    if not isinstance(record, LostRecord):
                        self._earlier.lines += 1
                        self._earlier.until = max(self._earlier.until, last_seq(record))

    def _append(self, text: bytes) -> None:
        if self._is_torn:
            self._size += os.write(self._file, b"\n")
            self._is_torn = False
        rest = memoryview(text)
        while rest:
            count = os.write(self._file, rest)
            self._size += count
            self._whole += bytes(rest[:count]).count(b"\n")
            self._is_torn = rest[count - 1] != ord("\n")
            rest = rest[count:]

    def _fails(self, error: OSError) -> None:
        """Serving goes on; logged once, and once more when it is over."""
        if not self.failing:
            # `error`: for a handler that shows full disks elsewhere than in this log.
            text = "records: %s: cannot be written, lines are lost: %s"
            logger.error(text, self._path, error.strerror, extra={"error": error})
        self.failing = error.strerror or str(error)

    # ---- files -------------------------------------------------------------------------------------------------

    def _open(self, path: Path) -> None:
        """Append to that file from now on."""
        # For reading too: else a pipe that nobody reads would hold up the node.
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        if self._file >= 0:
            os.close(self._file)
        status = os.fstat(file)
        self._file, self._path, self._size, self._is_fresh = file, path, status.st_size, status.st_size == 0
        self._has_parts = stat.S_ISREG(status.st_mode)
        self._is_torn = self._has_parts and self._size > 0 and os.pread(file, 1, self._size - 1) != b"\n"

    def _begin_next_part(self, node: str) -> None:
        assert self._path is not None
        named = RecordFile.of(self._path)
        self._make_room()
        self._open(self._path.with_name(replace(named, part=named.part + 1).name))
        self._earlier = msgspec.structs.replace(self._earlier, node=node, part=named.part + 1)
        begun = self._whole
        try:
            self._append(line_of(self._earlier))
        finally:
            self._whole = begun

    def _make_room(self) -> None:
        """Delete the oldest files until another part fits, but never the one that is written."""
        assert self._path is not None
        files = [path for _, path in RecordFile.of(self._path).beside(self._path.parent)]
        sizes = {path: path.stat().st_size for path in files}
        over = sum(sizes.values()) + self._part_bytes - self._room_bytes
        for path in files:
            if over <= 0:
                return
            if path != self._path:
                path.unlink()
                over -= sizes[path]
