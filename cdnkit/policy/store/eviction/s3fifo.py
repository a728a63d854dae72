"""S3-FIFO: three queues in order of arrival. Most objects are asked for once; a small queue lets them go soon.

    newcomers ──► SMALL (a tenth) ──used more than once──► MAIN (the rest) ◄─┐ used since: again, one use less
                    │                                       │ └──────────────┘
                    └── else: out, and remembered           └── else: out
                        in GHOST; asked for again it
                        goes straight into MAIN

Source: Yang et al., "FIFO Queues are All You Need for Cache Eviction", SOSP 2023, algorithm 1; here bounded in bytes:
one admission may throw out several, and GHOST remembers as many bytes as MAIN may hold. An entry's id is new at every
fill, so GHOST knows responses by cache key and selecting fields.
"""

from collections import OrderedDict
from typing import TYPE_CHECKING

from cdnkit.policy.store.eviction.room import cost_of

if TYPE_CHECKING:
    from cdnkit.policy.store.index import Entry

SMALL_SHARE = 0.1
"""Of the room; the paper finds 5 to 20 % alike."""

MOST_USES = 3
"""Two bits' worth of uses are counted."""

Remembered = tuple[str, tuple[tuple[str, str | None], ...]]


class _Held:
    __slots__ = ("cost", "entry", "uses")

    def __init__(self, entry: "Entry", cost: int) -> None:
        self.entry = entry
        self.cost = cost
        self.uses = 0


class _Queue(OrderedDict[int, _Held]):
    """In order of arrival, with its bytes."""

    bytes = 0

    def push(self, held: _Held) -> None:
        self[held.entry.id] = held
        self.bytes += held.cost

    def oldest(self) -> _Held:
        """Taken out."""
        held = self.popitem(last=False)[1]
        self.bytes -= held.cost
        return held

    def take(self, entry_id: int) -> _Held | None:
        held = super().pop(entry_id, None)
        if held is not None:
            self.bytes -= held.cost
        return held


class S3FifoRoom:
    """A room kept by S3-FIFO."""

    def __init__(self, maxsize_bytes: int, block_bytes: int = 1) -> None:
        self.maxsize = float(maxsize_bytes)
        self._block_bytes = block_bytes
        self._small = _Queue()
        self._main = _Queue()
        self._ghost: OrderedDict[Remembered, int] = OrderedDict()
        """What it stood for -> bytes it took."""
        self._ghost_bytes = 0
        self._evicted: list[Entry] = []

    @property
    def currsize(self) -> float:
        return float(self._small.bytes + self._main.bytes)

    def __len__(self) -> int:
        return len(self._small) + len(self._main)

    def __contains__(self, entry_id: object, /) -> bool:
        return entry_id in self._small or entry_id in self._main

    def admit(self, entry: "Entry") -> bool:
        self.pop(entry.id, None)
        held = _Held(entry, cost_of(entry, self._block_bytes))
        if held.cost > self.maxsize:
            return False
        while self.currsize + held.cost > self.maxsize:
            self._evict()
        known = self._ghost.pop((entry.key, entry.selecting), None)
        if known is None:
            self._small.push(held)
        else:
            self._ghost_bytes -= known
            self._main.push(held)
        return True

    def touch(self, entry: "Entry") -> None:
        held = self._small.get(entry.id) or self._main.get(entry.id)
        if held is not None and held.uses < MOST_USES:
            held.uses += 1

    def pop(self, entry_id: int, default: None = None, /) -> "Entry | None":
        held = self._small.take(entry_id) or self._main.take(entry_id)
        return default if held is None else held.entry

    def take_evicted(self) -> list["Entry"]:
        gone, self._evicted = self._evicted, []
        return gone

    def _evict(self) -> None:
        if self._small and (self._small.bytes >= SMALL_SHARE * self.maxsize or not self._main):
            self._evict_small()
        else:
            self._evict_main()

    def _evict_small(self) -> None:
        """Throw one out, or find that all of them belong into MAIN."""
        while self._small:
            held = self._small.oldest()
            if held.uses > 1:
                held.uses = 0
                self._main.push(held)
                continue
            self._remember(held)
            self._evicted.append(held.entry)
            return

    def _evict_main(self) -> None:
        while True:
            held = self._main.oldest()
            if held.uses == 0:
                self._evicted.append(held.entry)
                return
            held.uses -= 1
            self._main.push(held)

    def _remember(self, held: _Held) -> None:
        name = held.entry.key, held.entry.selecting
        self._ghost_bytes += held.cost - self._ghost.pop(name, 0)
        self._ghost[name] = held.cost
        while self._ghost_bytes > (1 - SMALL_SHARE) * self.maxsize:
            self._ghost_bytes -= self._ghost.popitem(last=False)[1]
