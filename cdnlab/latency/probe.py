"""Requests whose answers are timed as they come, of all tiers at once; none goes on behind the deadline."""

import http.client
import re
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

from cdnlab.errors import Failed

LARGEST = 64 * 2**20
"""Bytes of an answer that are read: those of the origin's largest segment."""
_PIECE = 64 * 1024
_RECEIVED = re.compile(r'\borigin;dur=([0-9.]+);desc="received ([0-9.]+)"')

T = TypeVar("T")
S = TypeVar("S")


@dataclass(slots=True)
class Timed:
    """An answer."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes = b""
    came: list[tuple[int, float]] = field(default_factory=list)
    """How many bytes were there, and when."""

    @property
    def ended(self) -> float:
        """When the last byte came."""
        return self.came[-1][1] if self.came else 0.0

    def had(self, size: int) -> float:
        """When so many bytes were there."""
        return next((when for bytes_there, when in self.came if bytes_there >= size), self.ended)

    @property
    def received(self) -> float | None:
        """When the origin had all of this media, if it says so."""
        match = _RECEIVED.search(self.headers.get("server-timing", ""))
        return None if match is None else float(match[2])


def get(url: str, deadline: float, method: str = "GET") -> Timed:
    """One request, on a connection of its own. `deadline`: of `time.monotonic`. Raises `Failed`."""
    parts = urlsplit(url)
    maker = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    left = deadline - time.monotonic()
    if left <= 0:
        raise Failed(f"{parts.netloc}: no time is left")
    connection = maker(parts.hostname or "", parts.port, timeout=left)
    try:
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""))
        response = connection.getresponse()
        timed = Timed(response.status, {name.lower(): value for name, value in response.getheaders()})
        pieces, size = [], 0
        while piece := response.read1(_PIECE):
            pieces.append(piece)
            size += len(piece)
            timed.came.append((size, time.time()))
            if size > LARGEST or time.monotonic() > deadline:
                raise Failed(f"{url}: more than {LARGEST} bytes, or more time than there is")
        timed.body = b"".join(pieces)
        timed.came = timed.came or [(0, time.time())]
        return timed
    except (OSError, http.client.HTTPException) as error:
        why = "no answer in time" if isinstance(error, socket.timeout) else str(error) or type(error).__name__
        raise Failed(f"{parts.netloc}: {why}") from None
    finally:
        connection.close()


def of_all(work: Callable[[S], T], tiers: Sequence[S]) -> list[T]:
    """`work` for each tier at the same time; the first that fails, fails all."""
    with ThreadPoolExecutor(max_workers=max(1, len(tiers))) as pool:
        return list(pool.map(work, tiers))
