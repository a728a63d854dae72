"""A second tier that several nodes share, through aiocache on Redis or Valkey: asked on a miss, before the parent.

What may be asked for, put and used, and how purges reach it, cdnkit/policy/machine/purge_marks.py says. Here that
becomes keys:

    cdnlab:<rules>:n            the counter of purges; it begins at the time in microseconds, so that a server that was
                                emptied does not count again what it has counted before
    cdnlab:<rules>:m:<hash>     a mark: the counter's value when something was purged
    cdnlab:<rules>:o:<hash>     a stored response (edge/stores/parcel.py), by cache key; or, where it varies, the names
                                it varies on, and by key and values the response

`rules` stands for behaviors, profile and parent: nodes that differ in them do not see one another's responses.

Its death costs misses, never errors: a reply that does not come at once counts as none, and after a few of those the
tier is left alone for a while. Marks that could not be sent to it are held here until they can, and hold for this
node.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from aiocache import RedisCache
from aiocache.serializers import NullSerializer
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from cdnkit.policy.machine.purge_marks import EVERYTHING, marks_of, may_be_put
from cdnkit.policy.plan import Fetch
from cdnkit.policy.store.index import Entry, selecting_fields
from cdnkit.policy.store.serialise import from_values, to_values
from edge.background import Background
from edge.cancellation import cancellable
from edge.stores.breaker import Breaker
from edge.stores.parcel import VERSION, pack, unpack

logger = logging.getLogger("cdnlab.edge")

T = TypeVar("T")

ASK_S = 0.25
"""A viewer waits for this. A parent in the same house responds in less, so a slower tier is of no use."""

PUT_S = 2.0
"""Nobody waits for this, nor for a mark made behind a landing; a purge does."""

LARGEST_BYTES = 8 * 2**20
"""A larger body would not come within ASK_S over a gigabit link when two are under way."""

PENDING_BYTES = 32 * 2**20
"""Bodies on their way there, at most."""

LONGEST_S = 86_400.0
"""The longest a response is left there; marks stay twice as long, so that none is outlived by what it names."""

EPOCH = 10**15
"""Microseconds: in 2001. A counter below has begun at 0, on a server that was emptied."""

UNSENT_MARKS = 10_000
"""If more marks than these could not be sent, they become one, of everything."""


@dataclass(slots=True)
class Found:
    """What the tier replied."""

    counter: int
    """Of purges, read before anything else: `put` takes it, together with what the parent sends."""
    values: dict[str, Any] | None = None
    """A stored response that no purge has named; None: nothing there."""
    body: bytes = b""


class SharedTier:
    """One node's way to the tier. Nothing here raises."""

    def __init__(
        self,
        url: str,
        *,
        rules: str,
        name: str,
        clock: Callable[[], float],
        breaker: Breaker | None = None,
        vary_as_sent: bool = False,
    ) -> None:
        """`url`: "redis://[user:password@]host[:port][/db]", or "rediss://" over TLS. `vary_as_sent`: the profile's."""
        self._vary_as_sent = vary_as_sent
        parts = urlsplit(url)
        self._cache = RedisCache(
            endpoint=parts.hostname or "127.0.0.1",
            port=parts.port or 6379,
            db=int(parts.path.strip("/") or 0),
            password=unquote(parts.password) if parts.password else None,
            ssl=parts.scheme == "rediss",
            serializer=NullSerializer(encoding=None),
            timeout=PUT_S,
            # A call that fails is a miss; a second try would only make the viewer wait.
            connection_pool_kwargs={"retry": Retry(NoBackoff(), 0), "username": parts.username or None},
        )
        self._where = f"{parts.hostname}:{parts.port or 6379}"
        self._prefix = f"cdnlab:{rules[:32]}.{VERSION}"
        self._counter = f"{self._prefix}:n"
        self._name = name
        self._clock = clock
        self._breaker = breaker or Breaker()
        self._unsent: dict[str, int] = {}
        """Marks that the tier may not know of yet -> the number of our latest order for it."""
        self._orders = 0
        self._background = Background(logger, name)
        self._pending_bytes = 0

    async def ask(self, fetch: Fetch) -> Found | None:
        """What there is for this fetch; None when the tier does not reply, so that nothing may be put there either."""
        found = await self._called(self._ask(fetch), ASK_S)
        if found is not None and self._unsent:
            self._background.start("marks", self._send_marks())
        return found

    def put(self, entry: Entry, body: bytes, counter: int) -> None:
        """Leave a whole response there, in the background; `counter` is the one that `ask` found before its fill."""
        now = self._clock()
        if not may_be_put(entry, now) or len(body) > LARGEST_BYTES:
            return
        if self._pending_bytes + len(body) > PENDING_BYTES:
            return
        self._pending_bytes += len(body)
        head = {"counter": counter, "values": to_values(entry)}
        self._background.start("a response", self._put(entry, head, body, min(entry.life.fresh_until - now, LONGEST_S)))

    async def mark(self, marks: Iterable[str]) -> bool:
        """Take away all that these name from the tier, for every node. False: the marks could not be sent yet.

        For this node it is gone in any case, and sending goes on being tried.
        """
        self._hold_back(marks)
        return await self._send_marks()

    def mark_soon(self, marks: Iterable[str]) -> None:
        """As `mark`, in the background; for this node it is gone at once."""
        self._hold_back(marks)
        self._background.start("marks", self._send_marks())

    async def close(self) -> None:
        await self._background.finished()
        await self._called(self._cache.close(), PUT_S)

    # ---- the calls themselves: these may fail in any way ---------------------------------------------------------

    async def _ask(self, fetch: Fetch) -> Found:
        name = self._object(fetch.key)
        counter, parcel = await self._cache.multi_get([self._counter, name])
        if counter is None:
            await self._begin()
            counter = await self._cache.get(self._counter)
        found = Found(int(counter))
        unpacked = unpack(parcel) if parcel is not None else None
        if unpacked is not None and "vary" in unpacked[0]:
            selecting = selecting_fields(unpacked[0]["vary"], fetch.request.headers, as_sent=self._vary_as_sent)
            parcel = await self._cache.get(self._object(fetch.key, selecting))
            unpacked = unpack(parcel) if parcel is not None else None
        if unpacked is None:
            return found
        head, body = unpacked
        marks = marks_of(from_values(0, head["values"], len(body)))
        numbers = await self._cache.multi_get([self._mark(mark) for mark in marks])
        purged = any(number is not None and int(number) > head["counter"] for number in numbers)
        if not purged and self._unsent.keys().isdisjoint(marks):
            found.values, found.body = head["values"], body
        return found

    async def _put(self, entry: Entry, head: dict[str, Any], body: bytes, ttl: float) -> None:
        try:
            parcel = await asyncio.to_thread(pack, head, body)
            name = self._object(entry.key)
            if entry.selecting:
                names = pack({"vary": [field for field, _ in entry.selecting]}, b"")
                await self._called(self._cache.set(name, names, ttl=ttl), PUT_S)
                name = self._object(entry.key, entry.selecting)
            await self._called(self._cache.set(name, parcel, ttl=ttl), PUT_S)
        finally:
            self._pending_bytes -= len(body)

    async def _send(self) -> bool:
        await self._begin()
        while self._unsent:
            marks = dict(self._unsent)
            number = await self._cache.increment(self._counter)
            if number < EPOCH:
                await self._cache.set(self._counter, self._microseconds(), _cas_token=number)
                continue
            await self._cache.multi_set([(self._mark(mark), number) for mark in marks], ttl=2 * LONGEST_S)
            for mark, order in marks.items():
                # Ordered again meanwhile, it needs a higher number.
                if self._unsent.get(mark) == order:
                    del self._unsent[mark]
        return True

    def _hold_back(self, marks: Iterable[str]) -> None:
        self._orders += 1
        self._unsent |= dict.fromkeys(marks, self._orders)
        if len(self._unsent) > UNSENT_MARKS:
            self._unsent = {EVERYTHING: self._orders}

    async def _send_marks(self) -> bool:
        return await self._called(self._send(), PUT_S) is not None

    async def _begin(self) -> None:
        try:
            await self._cache.add(self._counter, self._microseconds())
        except ValueError:
            """It counts already."""

    async def _called(self, call: Awaitable[T], within: float) -> T | None:
        """What the call brings; None when it fails, takes too long, or is not made at all."""
        if not self._breaker.lets_through(self._clock()):
            if asyncio.iscoroutine(call):
                call.close()
            return None
        try:
            async with asyncio.timeout(within):
                value = await cancellable(call)
        except Exception as error:  # also for what another program has left there
            if self._breaker.failed(self._clock()):
                logger.warning("%s: the shared tier at %s does not answer: %r; going without", self._name,
                               self._where, error)  # fmt: skip
            return None
        if self._breaker.succeeded():
            logger.warning("%s: the shared tier at %s answers again", self._name, self._where)
        return value

    def _object(self, key: str, selecting: Any = ()) -> str:
        return f"{self._prefix}:o:{_hash(json.dumps([key, selecting]) if selecting else key)}"

    def _mark(self, mark: str) -> str:
        return f"{self._prefix}:m:{_hash(mark)}"

    def _microseconds(self) -> int:
        return int(self._clock() * 1e6)


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
