"""A log of purges that somebody writes into past our own code: entries that cannot be read, rows that are spoilt."""

import sqlite3
from contextlib import closing
from typing import Any

from redis.asyncio import Redis

from edge.purges.log import open_log
from tests.kit.late import GUARD_S

BAD_BODIES = [
    "no JSON",
    "",
    "[" * 100_000,
    "null",
    "{}",
    '{"order": {"url": "/b"}}',  # no word of for whom
    '{"order": {"url": "/b"}, "only": "fra", "again": 0}',
    '{"order": {"url": "/b"}, "only": [], "again": []}',
    '{"order": "all", "only": [], "again": 0}',
    '{"order": {"ban": "obj.age > 1h"}, "only": [], "again": 0}',  # of a later version
    '{"order": {"url": "/\\ud800"}, "only": [], "again": 0}',
    '{"order": {"url": "http://[::1/b"}, "only": [], "again": 0}',
    b"\xff\xfe",
]


class Poisoned:
    """A log, and a way to write into it past our own."""

    def __init__(self, where: str) -> None:
        self.where = where

    async def spoil(self, *words: Any) -> None:
        """In Redis a command, in a file a statement and its values."""
        if self.where.startswith("redis"):
            client: Any = Redis.from_url(self.where)
            await client.execute_command(*words)
            await client.aclose()
            return
        with closing(sqlite3.connect(self.where, isolation_level=None, timeout=GUARD_S)) as db:
            db.execute(words[0], words[1:])

    async def add(self, body: Any) -> None:
        """An entry behind all others."""
        log = open_log(self.where)
        number = (await log.read(0, 1)).extent.last + 1
        await log.close()
        if self.where.startswith("redis"):
            await self.spoil("XADD", "{cdnlab:purges}:log", f"{number}-0", "body", body)
        else:
            await self.spoil("INSERT INTO orders VALUES (?, ?)", number, body)
