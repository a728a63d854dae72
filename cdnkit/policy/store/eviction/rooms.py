"""The policies by name."""

from collections.abc import Callable

from cdnkit.policy.rules.eviction import Eviction
from cdnkit.policy.store.eviction.lru import LruRoom
from cdnkit.policy.store.eviction.room import Room
from cdnkit.policy.store.eviction.s3fifo import S3FifoRoom
from cdnkit.policy.store.eviction.sieve import SieveRoom
from cdnkit.policy.store.eviction.textbook import FifoRoom, LfuRoom

_ROOMS: dict[Eviction, Callable[[int, int], Room]] = {
    "lru": LruRoom,
    "lfu": LfuRoom,
    "fifo": FifoRoom,
    "sieve": SieveRoom,
    "s3-fifo": S3FifoRoom,
}


def room_for(eviction: Eviction, maxsize_bytes: int, block_bytes: int = 1) -> Room:
    """An empty room of `maxsize_bytes`; bodies are counted in whole blocks of `block_bytes`."""
    return _ROOMS[eviction](maxsize_bytes, block_bytes)
