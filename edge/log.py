"""Records on disk: appended in memory, written in batches, one JSON line each."""

import asyncio
import json
import logging
from pathlib import Path
from typing import IO

from policy.record import Record, to_json

logger = logging.getLogger("cdnlab.edge")

BATCH_LINES = 1000
FLUSH_SECONDS = 0.25


class RecordLog:
    """The record file of one node; None as a path keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self._pending: list[Record] = []
        self._file: IO[str] | None = None
        self.lost = 0
        """Lines a full disk swallowed."""
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")

    def add(self, record: Record) -> None:
        if self._file is not None:
            self._pending.append(record)
            if len(self._pending) >= BATCH_LINES:
                self.flush()

    def flush(self) -> None:
        if self._file is None or not self._pending:
            return
        lines, self._pending = self._pending, []
        text = "".join(json.dumps(to_json(record), separators=(",", ":")) + "\n" for record in lines)
        try:
            self._file.write(text)
            self._file.flush()
        except OSError as error:
            # Serving goes on; what is lost is counted and said once per batch.
            self.lost += len(lines)
            logger.error("records: cannot write %d lines: %s (%d lost so far)", len(lines), error, self.lost)

    async def flush_later(self) -> None:
        await asyncio.sleep(FLUSH_SECONDS)
        self.flush()

    def close(self) -> None:
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None
