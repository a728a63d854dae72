"""Bounds the logs of a run's processes: the end of a log that grew too long replaces `NAME.old.log`.

The log is emptied and not renamed, because its process appends to the open file. A line that is written between the
copy and the truncation is lost.
"""

import asyncio
import os
import shutil
from contextlib import suppress
from pathlib import Path

EVERY = 5.0
"""Seconds between two checks: at a disk's 100 MB/s a log grows half a gigabyte past its bound."""
MOST_BYTES = 32 * 1024 * 1024
"""In a log, and as many in its old part. A chatty ffmpeg writes a few kilobytes an hour."""
_OLD = ".old.log"


async def keep_bounded(folder: Path) -> None:
    """Bounds the logs in a folder until it is cancelled."""
    while True:
        await asyncio.sleep(EVERY)
        await asyncio.to_thread(cut, folder, MOST_BYTES)


def cut(folder: Path, most_bytes: int) -> None:
    """Checks all logs once. Where the disk takes no copy, the text is lost; the bound holds."""
    for log in folder.glob("*.log"):
        with suppress(OSError):
            if not log.name.endswith(_OLD) and log.stat().st_size > most_bytes:
                _keep_end(log, log.with_name(log.name.removesuffix(".log") + _OLD), most_bytes)
                os.truncate(log, 0)


def _keep_end(log: Path, old: Path, most_bytes: int) -> None:
    with suppress(OSError), log.open("rb") as source, old.open("wb") as target:
        source.seek(-most_bytes, os.SEEK_END)
        shutil.copyfileobj(source, target)
