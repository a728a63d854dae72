"""Heads of plain hits, made before they are asked for again: from second to second, Age and ttl alone differ."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from cdnkit.policy.freshness.lifetime import Lifetime
from cdnkit.policy.http.messages import Lines
from cdnkit.policy.rule import Rule
from cdnkit.policy.store.entry import NOTHING_PREPARED, Entry

MOST_PREPARED = 8192
"""Stored responses with a prepared head, at most: 1.5 kB each, which a store that is full of small ones would feel."""


class Ticks(NamedTuple):
    """What a hit says of its time."""

    age: int
    """Of Age."""
    ttl: int
    """Of Cache-Status: a remaining lifetime of half a second is rounded up, since 0 would mean stale."""
    until: float
    """When the first of the two changes."""


def ticks(life: Lifetime, now: float) -> Ticks:
    """Of a fresh response."""
    age, ttl = int(life.age(now)), -int((now - life.fresh_until) // 1)
    age_ticks = life.born_at + age + 1 if now >= life.born_at else now
    return Ticks(age, ttl, min(age_ticks, life.fresh_until - (ttl - 1), life.fresh_until))


def ticking(lines: Lines) -> tuple[int, int]:
    """The places of our Age, and of the Cache-Status whose end is our ttl; -1 for none. Ours are the last."""
    names = [name for name, _ in lines]
    last = len(names) - 1
    names.reverse()
    return tuple(last - names.index(name) if name in names else -1 for name in ("age", "cache-status"))  # type: ignore[return-value]


class PreparedHeads:
    """The heads that were prepared last."""

    __slots__ = ("_date_is_now", "_make", "_prepared", "tick")

    def __init__(self, make: Callable[[Entry, Rule, Ticks, float], Lines], *, tick: bool, date_is_now: bool) -> None:
        """`make` gives the lines. `tick`: only Age and ttl differ between two of them."""
        self._make = make
        self.tick = tick
        self._date_is_now = date_is_now
        self._prepared: deque[Entry] = deque()
        """The entries that have one, in the order in which they got it; some got it several times."""

    def prepare(self, entry: Entry, rule: Rule, now: float) -> None:
        """Make the head of a plain hit, and say until when it is good."""
        now_ticks = ticks(entry.life, now)
        if entry.prepared_until and self.tick:
            entry.prepared = _ticked(entry.prepared, now_ticks)
        else:
            if entry.prepared is NOTHING_PREPARED:
                self._prepared.append(entry)
            entry.prepared = self._make(entry, rule, now_ticks, now)
            entry.prepared_parts = None
        entry.prepared_bytes = entry.prepared_block = b""
        entry.prepared_until = min(now_ticks.until, now // 1 + 1) if self._date_is_now else now_ticks.until
        if len(self._prepared) > MOST_PREPARED and (oldest := self._prepared.popleft()) is not entry:
            oldest.forget_prepared()


def _ticked(lines: Lines, now: Ticks) -> Lines:
    """The lines of a plain hit some time later."""
    lines = lines.copy()
    age_at, ttl_at = ticking(lines)
    lines[age_at] = ("age", str(now.age))
    lines[ttl_at] = ("cache-status", f"{lines[ttl_at][1].rpartition('ttl=')[0]}ttl={now.ttl}")
    return lines
