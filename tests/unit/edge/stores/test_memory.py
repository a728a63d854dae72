"""Bodies in memory: what is at hand, how many bytes it takes, and that many leave a little at a time."""

import asyncio
from itertools import pairwise

from cdnkit.policy import Headers
from cdnkit.policy.freshness.lifetime import Lifetime
from cdnkit.policy.store.entry import Entry
from edge.stores.discards import AT_ONCE
from edge.stores.memory import MemoryStore


def entry(number: int) -> Entry:
    return Entry(number, f"/{number}", 200, Headers(), Lifetime(0, 1, 1, 1, 1, 1, "max-age"))


def kept(store: MemoryStore, number: int, octets: bytes) -> Entry:
    one = entry(number)
    body = store.begin(one)
    body.write(octets)
    body.finish()
    store.keep(one)
    return one


def test_a_body_is_at_hand_while_it_fills_and_after() -> None:
    async def scenario() -> None:
        store, one = MemoryStore(), entry(1)
        assert store.look(one) is store.whole(one) is await store.load(one) is None
        body = store.begin(one)
        body.write(b"abc")
        assert store.look(one) is body and store.whole(one) is None and store.memory_bytes == 3
        body.write(b"de")
        body.finish()
        assert store.whole(one) == b"abcde"
        store.keep(one)
        found = store.look(one)
        assert found is not None and found.whole is store.whole(one) and found.complete
        assert store.memory_bytes == 5
        store.drop([one.id])
        assert store.look(one) is None and store.memory_bytes == 0
        await store.close()

    asyncio.run(scenario())


def test_what_breaks_off_is_not_kept() -> None:
    async def scenario() -> None:
        store, one = MemoryStore(), entry(1)
        body = store.begin(one)
        body.write(b"abc")
        body.break_off()
        store.keep(one)
        assert store.look(one) is None and store.memory_bytes == 0

    asyncio.run(scenario())


def test_many_leave_a_little_at_a_time() -> None:
    async def scenario() -> None:
        store = MemoryStore()
        several = [kept(store, number, b"12345") for number in range(3 * AT_ONCE)]
        store.drop([one.id for one in several[: 2 * AT_ONCE]])
        left = []
        for _ in range(4):
            left.append(store.memory_bytes // 5)
            await asyncio.sleep(0)
        assert left[0] == 3 * AT_ONCE and left[-1] == AT_ONCE
        assert all(before - after <= AT_ONCE for before, after in pairwise(left))
        assert store.whole(several[0]) is None and store.whole(several[-1]) == b"12345"
        store.empty()
        assert store.memory_bytes == 0 and store.whole(several[-1]) is None
        await store.close()

    asyncio.run(scenario())
