"""The purge log: orders in a row, which every node reads. In a file on one machine, or in Redis between several."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cdnkit.policy.machine.purge_log import Batch, Follower, LoggedOrder
from edge.errors import EdgeError

KEPT = 100_000
"""Orders that a log keeps; a node that missed more than these empties itself."""

BATCH = 1000
"""The most orders that are read at one time."""

IDLE_S = 1.0
"""The longest time between two looks whether the log is still there."""


@dataclass
class LogLost(EdgeError):
    """The log cannot be reached just now, or cannot be understood."""

    where: str
    why: str

    def __str__(self) -> str:
        return f"the log of purges at {self.where} does not answer: {self.why}"


@dataclass
class BadLog(EdgeError):
    """What is there is not a purge log."""

    where: str
    why: str

    def __str__(self) -> str:
        return f"purges: found {self.where!r} ({self.why}), wanted a log of purges, or a file that may be made"


class PurgeLog(Protocol):
    """One log. Everything but `close` may raise `LogLost`; then nothing, or all of it, was done."""

    where: str
    """The file, or the server without its password."""

    async def append(self, orders: Sequence[LoggedOrder]) -> list[int]:
        """Their numbers, rising. In a file they are on the device then; a server keeps them as it is set up to."""

    async def read(self, after: int, most: int = BATCH) -> Batch:
        """What the log holds, and the orders after a number."""

    async def news(self, after: int, within: float = IDLE_S) -> None:
        """Waits until there may be orders after a number, at most `within` seconds."""

    async def join(self, one: Follower) -> None:
        """A node follows from now on, and has come as far as `one` says."""

    async def keep_only(self, names: Iterable[str]) -> None:
        """Forget all followers but these."""

    async def report(self, name: str, *, taken: int, done: int, purged: Mapping[int, int]) -> None:
        """How far a node has come; `purged`: stored responses that it took away, by number of the order."""

    async def followers(self) -> dict[str, Follower]:
        """The nodes by name."""

    async def purged(self, numbers: Iterable[int]) -> dict[str, int]:
        """Stored responses that these orders took away, by node; UNREAD for one that could not read one of them."""

    async def close(self) -> None:
        """Let go."""


def is_server(where: str) -> bool:
    """Whether a log is in Redis, by its address."""
    return where.partition("://")[0].lower() in ("redis", "rediss")


def open_log(where: str) -> PurgeLog:
    """The log at a "redis://" URL, or in a file, which is made if it is not there. BadLog for a file that is none."""
    if is_server(where):
        from edge.purges.redis_log import RedisLog  # an extra

        return RedisLog(where)
    from edge.purges.file_log import FileLog

    return FileLog(Path(where))


def body_of(one: LoggedOrder) -> str:
    """How an order stands in a log: `{"order": {...}, "only": [name], "again": number}`; earlier ones have `tiers`."""
    return json.dumps({"order": one.order, "only": one.only, "again": one.again})


def logged(number: int, body: Any) -> LoggedOrder:
    """The reverse of `body_of`. What cannot be read is an order to purge everything, as it may have named that."""
    try:
        values = json.loads(body)
        one = LoggedOrder(number, values["order"], tuple(_names(values["only"])), int(values["again"]))
        if not isinstance(one.order, dict):
            raise TypeError(f"order: found {one.order!r:.80}")
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError) as error:
        return LoggedOrder(number, {"everything": True}, unread=f"found {body!r:.80} ({type(error).__name__}: {error})")
    return one


def follower_of(name: str, url: Any, parents: Any, taken: Any, done: Any) -> Follower:
    """A node as its row in a log says; a damaged row counts as that of a node without parents that has done nothing
    yet. The node itself writes it anew (`LogFollower`)."""
    known = [one for one in parents if isinstance(one, str)] if isinstance(parents, list) else []
    return Follower(name, url if isinstance(url, str) else "", tuple(known), count_of(taken), count_of(done))


def count_of(value: Any) -> int:
    """A number in a log; 0 for what is none."""
    try:
        return int(value)
    except (ValueError, TypeError, OverflowError):
        return 0


def members_of(row: Any) -> Any:
    """JSON in a log; None for what is none."""
    try:
        return json.loads(row)
    except (ValueError, TypeError, RecursionError):
        return None


def _names(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise TypeError(f"only: found {value!r:.80}")
    return value
