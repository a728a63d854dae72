"""Scripts played to a server, and what was seen of it, in words short enough for a table."""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from random import Random
from typing import Any

from cdnkit.policy.http.dates import format_date
from tests.kit.http import Reply, ask
from tests.kit.late import GUARD_S
from tests.kit.origin import Asked, Origin, response
from tests.outside.differential.themes import THEMES, Asks, Dies, Pauses, Says

Rows = dict[tuple[str, str], str]
"""(theme, step) -> what was seen."""

PARALLEL = 16
"""Themes played at a time: they mostly wait, but the machine has few cores."""


@dataclass
class Play:
    """One theme in front of one server, on a path of its own."""

    theme: str
    path: str
    origin: Origin
    server: str
    slower: float
    """The factor of each time that the origin, or the script, takes."""
    says: Says = field(default_factory=Says)
    dead: bool = False
    version: int = 0

    async def script(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        if self.dead:
            writer.transport.abort()
            return
        # Long enough for five who ask at the same instant to be there while the first is answered.
        await asyncio.sleep(0.15 * self.slower)
        fields = {"date": _now(), **self.says.fields}
        tag, condition = fields.get("etag"), asked.headers.joined("if-none-match")
        status = 304 if tag is not None and condition is not None and tag in condition else self.says.status
        writer.write(response(f"v{self.version}".encode(), status, asked.method, **fields))

    async def play(self, chance: Random) -> Rows:
        self.origin.does(self.path, self.script)
        rows: Rows = {}
        for step in THEMES[self.theme](chance):
            match step:
                case Says():
                    self.says, self.version = step, self.version + 1
                case Dies():
                    self.dead = True
                case Pauses():
                    await asyncio.sleep(step.seconds * self.slower)
                case Asks():
                    rows[self.theme, step.label] = await self._ask(step)
        return rows

    async def _ask(self, step: Asks) -> str:
        before = len(self._asked())
        fields: Any = {name.replace("-", "_"): value for name, value in step.fields.items()}
        asking = (ask(self.server, self.path + step.query, method=step.method, **fields) for _ in range(step.times))
        async with asyncio.timeout(GUARD_S):
            replies = await asyncio.gather(*asking)
        await asyncio.sleep(step.settle * self.slower)
        asked = self._asked()[before:]
        return seen(replies, asked, self.version, step)

    def _asked(self) -> list[Asked]:
        return [asked for asked in self.origin.asked if asked.target.partition("?")[0] == self.path]


def seen(replies: list[Reply], asked: list[Asked], version: int, step: Asks) -> str:
    """Such as "200 from store", "200 after asking (if-none-match)", "200 from store, old"."""
    reply = replies[0]
    words = [str(reply.status)]
    if reply.status in (502, 503, 504) and not reply.body.startswith(b"v"):
        words = [f"{reply.status} of its own"]
    if reply.status == 206:
        words.append(f"of {len(reply.body)}")
    if not asked:
        words.append("from store")
    elif step.times > 1:
        words.append(f"asking {len(asked)} for {step.times}")
    else:
        conditions = sorted({"if-none-match", "if-modified-since", "range"} & {name for name, _ in asked[0].headers})
        method = "" if asked[0].method == step.method else f" {asked[0].method}"
        words.append(f"asking{method}" + (f" with {', '.join(conditions)}" if conditions else ""))
    if reply.status == 200 and reply.body and reply.body != f"v{version}".encode():
        words.append("(old)")
    if step.age:
        words.append(f"Age {'yes' if 'age' in reply.headers else 'no'}")
    return " ".join(words)


async def play_all(server: str, origin: Origin, seed: int, themes: Collection[str], slower: float) -> Rows:
    """These themes to one server."""
    gate = asyncio.Semaphore(PARALLEL)

    async def one(number: int, theme: str) -> Rows:
        async with gate:
            return await Play(theme, f"/{seed}/{number}", origin, server, slower).play(Random(f"{seed} {theme}"))

    found = await asyncio.gather(*(one(number, theme) for number, theme in enumerate(themes)))
    return {place: what for rows in found for place, what in rows.items()}


def _now() -> str:
    return format_date(time.time())
