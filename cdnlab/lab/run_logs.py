"""The logs of a run's processes have a bound: what is over it goes to `NAME.old.log`, in the place of what was there.

A process appends to the file that it was given, so the file stays and is emptied. A line that is written between the
copy and that is lost.
"""

import asyncio
import os
import shutil
from contextlib import suppress
from pathlib import Path

EVERY = 5.0
"""Seconds between two looks: at the 100 MB/s of a disk, half a gigabyte more than the bound."""
MOST_BYTES = 32 * 1024 * 1024
"""Of a log, and as many of its former part; a chatty ffmpeg writes some kilobytes an hour."""
_OLD = ".old.log"


async def keep_bounded(folder: Path, most_bytes: int = MOST_BYTES) -> None:
    """For as long as the cluster runs."""
    while True:
        await asyncio.sleep(EVERY)
        await asyncio.to_thread(cut, folder, most_bytes)


def cut(folder: Path, most_bytes: int = MOST_BYTES) -> None:
    """One look at all of them. A disk that takes no copy costs the text, not the bound."""
    for log in folder.glob("*.log"):
        with suppress(OSError):
            if not log.name.endswith(_OLD) and log.stat().st_size > most_bytes:
                _keep_end(log, log.with_name(log.name.removesuffix(".log") + _OLD), most_bytes)
                os.truncate(log, 0)


def _keep_end(log: Path, old: Path, most_bytes: int) -> None:
    with suppress(OSError), log.open("rb") as source, old.open("wb") as target:
        source.seek(-most_bytes, os.SEEK_END)
        shutil.copyfileobj(source, target)
