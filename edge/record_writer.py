"""Record files: lines are appended to them, whole, in parts that share a room.

When a file is full, the next part is begun (`edge/record_files.py`); when all files of a node exceed their room, the
oldest are deleted. When a line cannot be written (a full disk), serving goes on: the line is counted as lost, and a
record of the loss is written as soon as there is room again.
"""

import logging
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from cdnkit.policy.record.lines import LostRecord, PartRecord, highest_seq, joined, line_of, lost_lines, node_of
from edge.record_files import RecordFile

logger = logging.getLogger("cdnlab.edge")

PARTS = 8
"""Files that a node's room is divided into: an eighth of it goes at once. multilog and svlogd keep 10."""


@dataclass(slots=True)
class Batch:
    """Lines to write."""

    lines: Sequence[bytes]
    """Each item is one or several, whole."""
    until: int
    """The highest `seq` in these and in all before."""
    gap: LostRecord | None
    """What was lost before."""


class RecordWriter:
    """The record files of one node, or of one of its services. One thread calls it at a time."""

    def __init__(self, path: Path, room_bytes: int) -> None:
        """`room_bytes`: for all its files together, with those of earlier lives in the same folder."""
        self.path = path
        """The file that is written now."""
        self.lost = 0
        """Lines that could not be written, in all."""
        self.failing = ""
        """Why none can be written now; "" where all is well."""
        self._room_bytes = room_bytes
        self._part_bytes = max(1, room_bytes // PARTS)
        self._file = -1
        self._size = 0
        self._whole = 0
        """Up to here, the text of this batch is in the files, in whole lines."""
        self._earlier = PartRecord("", 1, 0, 0)
        """What all files up to now contain."""
        self._has_parts = False
        self._is_fresh = True
        """No record is in the file yet."""
        self._is_torn = False
        """The last line in the file has no end."""
        self._gap: LostRecord | None = None
        """What was lost since a line could be written."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            named = RecordFile.of(path)
            parts = [one for name, one in named.beside(path.parent) if name.life == named.life]
            self._open(parts[-1] if parts else path)
            if self._has_parts:
                self._make_room()
        except OSError as error:
            self._fails(error)

    def write(self, batch: Batch) -> None:
        """Append the lines. What cannot be written is counted as lost."""
        if batch.gap is not None:
            self._gap = batch.gap if self._gap is None else joined(self._gap, batch.gap)
        gap = b"" if self._gap is None else line_of(self._gap)
        text = b"".join((gap, *batch.lines))
        self._whole = 0
        try:
            self._put(text, len(gap), batch)
        except OSError as error:
            self._fails(error)
        if self._whole:
            self._gap = None
        lost = text[max(self._whole, len(gap)) :]
        if lost:
            self.lost += lost.count(b"\n")
            self._gap = lost_lines(lost, self._gap)
        elif self.failing:
            logger.warning("records: %s: written again; %d lines are lost", self.path, self.lost)
            self.failing = ""

    def close(self) -> None:
        if self._gap is not None:
            logger.error("records: %s: %d lines are lost", self.path, self._gap.lines)
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _put(self, text: bytes, records: int, batch: Batch) -> None:
        """Append it; `_whole` says how far it came. Records that happened begin at `records`."""
        if self._file < 0:
            self._open(self.path)
        while (begun := self._whole) < len(text):
            end = len(text)
            if self._has_parts and self._size + end - begun > self._part_bytes:
                end = text.rfind(b"\n", begun, max(begun, begun + self._part_bytes - self._size)) + 1
                if not end and not self._is_fresh:
                    self._begin_next_part(node_of(text[begun : text.index(b"\n", begun)]))
                    continue
                end = end or text.index(b"\n", begun) + 1  # a line that is larger than any part has one for itself
            size = self._size
            try:
                self._append(text[begun:end])
            finally:
                self._whole = text.rfind(b"\n", begun, begun + self._size - size) + 1 or begun
                self._is_fresh = False
                added = text[max(begun, records) : self._whole]
                self._earlier.lines += added.count(b"\n")
                until = batch.until if self._whole == len(text) else highest_seq(added)
                self._earlier.until = max(self._earlier.until, until)

    def _append(self, lines: bytes) -> None:
        if self._is_torn:
            os.write(self._file, b"\n")
            self._is_torn = False
        rest = memoryview(lines)
        while rest:
            count = os.write(self._file, rest)
            self._size += count
            self._is_torn = rest[count - 1] != ord("\n")
            rest = rest[count:]

    def _fails(self, error: OSError) -> None:
        """Serving goes on; logged once, and once more when it is over."""
        if not self.failing:
            # `error`: for a handler that shows full disks elsewhere than in this log.
            text = "records: %s: cannot be written, lines are lost: %s"
            logger.error(text, self.path, error.strerror, extra={"error": error})
        self.failing = error.strerror or str(error)

    # ---- files -------------------------------------------------------------------------------------------------

    def _open(self, path: Path) -> None:
        """Append to that file from now on."""
        # For reading too: else a pipe that nobody reads would hold up the node.
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        if self._file >= 0:
            os.close(self._file)
        status = os.fstat(file)
        self._file, self.path, self._size, self._is_fresh = file, path, status.st_size, status.st_size == 0
        self._has_parts = stat.S_ISREG(status.st_mode)
        self._is_torn = self._has_parts and self._size > 0 and os.pread(file, 1, self._size - 1) != b"\n"

    def _begin_next_part(self, node: str) -> None:
        named = RecordFile.of(self.path)
        self._make_room()
        self._open(self.path.with_name(replace(named, part=named.part + 1).name))
        self._earlier = msgspec.structs.replace(self._earlier, node=node, part=named.part + 1)
        self._append(line_of(self._earlier))

    def _make_room(self) -> None:
        """Delete the oldest files until another part fits, but never the one that is written."""
        files = [path for _, path in RecordFile.of(self.path).beside(self.path.parent)]
        sizes = {path: path.stat().st_size for path in files}
        over = sum(sizes.values()) + self._part_bytes - self._room_bytes
        for path in files:
            if over <= 0:
                return
            if path != self.path:
                path.unlink()
                over -= sizes[path]
