"""Viewers of a live stream who note every answer, and every one they did not get."""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.kit.http import Reply, ask

PATIENCE = 40.0
"""Seconds: longer than a node waits for its parent, so that whatever is not answered by then never is."""
SESSION = "soak"
"""The session id that viewers send, by which their requests are found in the records."""


@dataclass(frozen=True)
class Answer:
    """One request and what became of it."""

    edge: str
    target: str
    asked_at: float
    """Unix seconds."""
    took: float
    status: int = 0
    whole: bool = False
    trouble: str = ""
    """Why no head came: "refused", "reset", "none"."""

    @property
    def happy(self) -> bool:
        return self.status == 200 and self.whole


class Viewer:
    """Plays one rendition: the playlist every second, each new segment once."""

    def __init__(
        self, edge: str, url: str, entrance: str, fields: dict[str, str], tell: Callable[[Answer], None]
    ) -> None:
        """`entrance`: path and query of the multivariant playlist, signed."""
        self._edge, self._url, self._entrance, self._fields, self._tell = edge, url, entrance, fields, tell

    async def watch(self, stop: asyncio.Event, *, after: float) -> None:
        """Until told to stop. `after`: seconds to wait first, so that viewers do not ask in step."""
        await asyncio.sleep(after)
        playlist = None
        seen: set[str] = set()
        while not stop.is_set():
            if playlist is None:
                listed = await self._get(self._entrance)
                found = re.search(r"^[^#\n].*$", listed, re.M)
                playlist = None if found is None else _beside(self._entrance, found[0])
            else:
                for name in re.findall(r"^[^#\n].*$", await self._get(playlist), re.M)[-3:]:
                    if name not in seen and not stop.is_set():
                        seen.add(name)
                        await self._get(_beside(playlist, name))
            await asyncio.sleep(1.0)

    async def _get(self, target: str) -> str:
        """The body as text; "" where it did not come."""
        asked_at, began = time.time(), time.monotonic()
        reply: Reply | None = None
        trouble = ""
        try:
            async with asyncio.timeout(PATIENCE):
                reply = await ask(self._url, target, **self._fields, cmcd_session=f'sid="{SESSION}"')
        except ConnectionRefusedError:
            trouble = "refused"
        except (ConnectionError, asyncio.IncompleteReadError):
            trouble = "reset"
        except TimeoutError:
            trouble = "none"
        took = time.monotonic() - began
        path = target.partition("?")[0]
        if reply is None:
            self._tell(Answer(self._edge, path, asked_at, took, trouble=trouble))
            return ""
        self._tell(Answer(self._edge, path, asked_at, took, reply.status, reply.whole))
        return reply.body.decode("latin-1") if reply.status == 200 and reply.whole else ""


def _beside(target: str, name: str) -> str:
    return f"{urlsplit(target).path.rpartition('/')[0]}/{name.strip()}"
