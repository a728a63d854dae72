"""The purge log in Redis or Valkey, for nodes on several machines: a stream, and what is known of its followers.

    {cdnlab:purges}:log        the stream; ids are `<number>-0`, numbers without a gap unless others write there
    {cdnlab:purges}:id         the log's identity; a server that lost its data gets another
    {cdnlab:purges}:last       the highest number ever given
    {cdnlab:purges}:followers  a hash: name -> {"url", "parents"}; :taken and :done: name -> number
    {cdnlab:purges}:purged:<number>   a hash: name -> stored responses taken away; for an hour

One database of a server is one log: clusters that must not purge one another have databases of their own. The server
must keep the log for as long as nodes may be away (`appendonly yes`): if it forgets, they empty themselves.
"""

import json
import secrets
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from cdnkit.policy.machine.purge_log import UNREAD, Batch, Extent, Follower, LoggedOrder
from edge.cancellation import cancellable
from edge.purges.log import BATCH, IDLE_S, KEPT, LogLost, body_of, count_of, follower_of, logged, members_of

T = TypeVar("T")

PREFIX = "{cdnlab:purges}"
ANSWER_S = 5.0
RESULTS_S = 3600

# Atomic, so that the order of numbers is the order of the stream, whoever orders at the same time. What somebody else
# added to the stream (`XADD ... *`: the time in milliseconds) is counted on from: the server takes only rising ids.
_APPEND = """
redis.call('SET', KEYS[2], ARGV[1], 'NX')
local numbers = {}
local top = '0'
local stream = redis.pcall('XINFO', 'STREAM', KEYS[1])  -- an error where there is none yet
for at = 1, #stream, 2 do
  if stream[at] == 'last-generated-id' then top = string.match(stream[at + 1], '^%d+') end
end
local last = tonumber(redis.call('GET', KEYS[3]) or '0')
if not last or last < tonumber(top) then redis.call('SET', KEYS[3], top) end
for at = 3, #ARGV do
  local number = redis.call('INCR', KEYS[3])
  redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[2], string.format('%.0f-0', number), 'body', ARGV[at])
  numbers[#numbers + 1] = number
end
return numbers
"""


class RedisLog:
    """One process's way to the server."""

    def __init__(self, url: str, *, kept: int = KEPT) -> None:
        """`url`: "redis://[user:password@]host[:port][/db]", or "rediss://" over TLS."""
        parts = urlsplit(url)
        self.where = f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}{parts.path}"
        self._kept = kept
        self._redis: Any = Redis.from_url(
            url, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S, retry=Retry(NoBackoff(), 0)
        )

    async def append(self, orders: Sequence[LoggedOrder]) -> list[int]:
        bodies = [body_of(one) for one in orders]
        keys = [f"{PREFIX}:{name}" for name in ("log", "id", "last")]
        numbers: list[int] = []
        for start in range(0, len(bodies), BATCH):
            some = bodies[start : start + BATCH]
            numbers += await self._called(
                self._redis.eval(_APPEND, len(keys), *keys, secrets.token_hex(8), self._kept, *some)
            )
        return numbers

    async def read(self, after: int, most: int = BATCH) -> Batch:
        calls = self._redis.pipeline(transaction=True)
        calls.set(f"{PREFIX}:id", secrets.token_hex(8), nx=True)
        calls.get(f"{PREFIX}:id")
        calls.get(f"{PREFIX}:last")
        calls.xrange(f"{PREFIX}:log", count=1)
        calls.xrevrange(f"{PREFIX}:log", count=1)
        calls.xrange(f"{PREFIX}:log", min=f"({_end_of(after)}", count=most)
        _, identity, counted, oldest, newest, found = await self._called(calls.execute())
        last = max(count_of(counted), *(_number(id) for id, _ in newest), 0)
        extent = Extent(_text(identity), _number(oldest[0][0]) if oldest else last + 1, last)
        return Batch(extent, tuple(logged(_number(id), (fields or {}).get(b"body")) for id, fields in found))

    async def news(self, after: int, within: float = IDLE_S) -> None:
        milliseconds = max(1, round(within * 1e3))  # 0 is for ever
        await self._called(self._redis.xread({f"{PREFIX}:log": _end_of(after)}, count=1, block=milliseconds))

    async def join(self, one: Follower) -> None:
        calls = self._redis.pipeline(transaction=True)
        calls.hset(f"{PREFIX}:followers", one.name, json.dumps({"url": one.url, "parents": one.parents}))
        calls.hset(f"{PREFIX}:taken", one.name, one.taken)
        calls.hset(f"{PREFIX}:done", one.name, one.done)
        await self._called(calls.execute())

    async def keep_only(self, names: Iterable[str]) -> None:
        gone = set(await self.followers()) - set(names)
        if gone:
            await self._called(self._redis.hdel(f"{PREFIX}:followers", *gone))

    async def report(self, name: str, *, taken: int, done: int, purged: Mapping[int, int]) -> None:
        calls = self._redis.pipeline(transaction=True)
        for number, count in purged.items():
            calls.hset(f"{PREFIX}:purged:{number}", name, count)
            calls.expire(f"{PREFIX}:purged:{number}", RESULTS_S)
        calls.hset(f"{PREFIX}:taken", name, taken)
        calls.hset(f"{PREFIX}:done", name, done)
        await self._called(calls.execute())

    async def followers(self) -> dict[str, Follower]:
        calls = self._redis.pipeline(transaction=True)
        for name in ("followers", "taken", "done"):
            calls.hgetall(f"{PREFIX}:{name}")
        known, taken, done = await self._called(calls.execute())
        found = {}
        for name in sorted(known):
            row = members_of(known[name])
            row = row if isinstance(row, dict) else {}
            found[_text(name)] = follower_of(
                _text(name), row.get("url"), row.get("parents"), taken.get(name), done.get(name)
            )
        return found

    async def purged(self, numbers: Iterable[int]) -> dict[str, int]:
        calls = self._redis.pipeline(transaction=False)
        for number in numbers:
            calls.hgetall(f"{PREFIX}:purged:{number}")
        total: dict[str, int] = {}
        for counts in await self._called(calls.execute()):
            for name, count in counts.items():
                before, count = total.get(_text(name), 0), count_of(count)
                total[_text(name)] = UNREAD if UNREAD in (before, count) else before + count
        return total

    async def close(self) -> None:
        await self._redis.aclose()

    async def _called(self, call: Awaitable[T]) -> T:
        try:
            return await cancellable(call)
        except (RedisError, OSError, TimeoutError) as error:
            raise LogLost(self.where, str(error) or type(error).__name__) from error


def _number(id: bytes) -> int:
    return int(id.partition(b"-")[0])


def _end_of(number: int) -> str:
    """The highest id that a number can have: what somebody else put behind ours in the same place is no order."""
    return f"{number}-{2**64 - 1}"


def _text(stored: bytes) -> str:
    return stored.decode(errors="backslashreplace")
