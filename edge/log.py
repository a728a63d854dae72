"""Records on their way to the disk: lines are made on the loop, a few at a time, and written by a thread.

    add ─► records ── SLICE_RECORDS ─► lines ── WRITE_BYTES, or FLUSH_SECONDS ─► RecordWriter, in a thread

So no turn of the loop makes more lines than a slice has, and none waits for the disk. Lines are made here and not in
the thread, which would need the interpreter's lock for it: a loop that wakes up would wait for that. While the thread
writes, further lines are gathered for its next write, at most WAITING_BYTES. If the disk is slower, records are lost
and counted, and a record of the loss follows.
"""

import asyncio
import logging
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from cdnkit.policy.record.lines import EventRecord, LostRecord, last_seq, lines_of, lost_of
from edge.record_writer import Batch, RecordWriter

logger = logging.getLogger("cdnlab.edge")

SLICE_RECORDS = 64
"""Records made lines at once: 40 µs of the loop's time."""
WRITE_BYTES = 256 * 1024
"""Lines written at once where many come: 500 of them. nginx's `access_log` has 64 kB where a buffer is asked for."""
FLUSH_SECONDS = 0.25
WAITING_BYTES = 16 * 2**20
"""Lines that are gathered while others are written: what the fastest node makes in half a second."""
LAST_WRITE_S = 10.0
"""How long the last lines may take when a node ends: it does not wait for ever for a disk or a pipe that is stuck."""

Writes = SimpleQueue[tuple[Batch, Future[None]] | None]


class RecordLog:
    """The records of one node, or of one of its services; None as a path keeps nothing."""

    def __init__(self, path: Path | None, room_bytes: int = 2**31) -> None:
        """`room_bytes`: for all its files together, with those of earlier lives in the same folder."""
        self._writer = None if path is None else RecordWriter(path, room_bytes)
        self._writes: Writes = SimpleQueue()
        self._writing: Future[None] = Future()
        """The last write."""
        self._writing.set_result(None)
        self._records: list[EventRecord] = []
        self._lines: list[bytes] = []
        self._size = 0
        """Bytes of `_lines`."""
        self._until = 0
        """The highest `seq` in them and before."""
        self._gap: LostRecord | None = None
        """What was lost here, and the writer does not know of yet."""
        self._lost = 0
        if self._writer is not None:
            # A daemon: the end of the process waits for no disk that is stuck.
            Thread(target=_write, args=(self._writer, self._writes), name="records", daemon=True).start()

    @property
    def lost(self) -> int:
        """Records that could not be written, in all."""
        return self._lost + (0 if self._writer is None else self._writer.lost)

    @property
    def failing(self) -> str:
        """Why none can be written now; "" where all is well."""
        if self._gap is not None:
            return "the disk is too slow"
        return "" if self._writer is None else self._writer.failing

    def add(self, record: EventRecord) -> None:
        if self._writer is not None:
            self._records.append(record)
            if len(self._records) >= SLICE_RECORDS:
                self._make_lines(self._writer)
                if self._size >= WRITE_BYTES:
                    self._hand_over(self._writer)

    async def flush_later(self) -> None:
        """Write what is here by then."""
        await asyncio.sleep(FLUSH_SECONDS)
        if self._writer is not None:
            self._make_lines(self._writer)
            self._hand_over(self._writer)
        await asyncio.wrap_future(self._writing)

    def flush(self) -> None:
        """Write all that is here, and wait for it: for the end, when nobody is served any more."""
        if self._writer is not None:
            self._make_lines(self._writer)
            self._writing.result(LAST_WRITE_S)
            self._hand_over(self._writer)
            self._writing.result(LAST_WRITE_S)

    def close(self) -> None:
        if self._writer is None:
            return
        with suppress(TimeoutError):
            self.flush()
        self._writes.put(None)
        if self._writing.done():
            self._writer.close()
        else:
            logger.error("records: %s: is stuck, the last lines are lost", self._writer.path)

    def _make_lines(self, writer: RecordWriter) -> None:
        records, self._records = self._records, []
        if not records:
            return
        if self._size > WAITING_BYTES:
            if self._gap is None:
                logger.error("records: %s: the disk is too slow, lines are lost", writer.path)
            self._gap = lost_of(records, self._gap)
            self._lost += len(records)
            return
        lines = lines_of(records)
        self._lines.append(lines)
        self._size += len(lines)
        self._until = max(self._until, *map(last_seq, records))

    def _hand_over(self, writer: RecordWriter) -> None:
        """Have the lines written, unless others are."""
        if not self._lines or not self._writing.done():
            return
        if self._gap is not None:
            logger.warning("records: %s: the disk is fast enough again; %d lines are lost", writer.path, self.lost)
        self._writing = Future()
        self._writing.set_running_or_notify_cancel()  # who waits for it may be cancelled, and it goes on
        self._writes.put((Batch(self._lines, self._until, self._gap), self._writing))
        self._lines, self._size, self._gap = [], 0, None


def _write(writer: RecordWriter, writes: Writes) -> None:
    """The thread's work, until None comes."""
    while (given := writes.get()) is not None:
        batch, done = given
        try:
            writer.write(batch)
        except Exception as error:
            done.set_exception(error)  # a bug of ours, which `flush_later` raises
        else:
            done.set_result(None)
