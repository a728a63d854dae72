"""Purges of very many at once: each is one step, and what becomes of an entry is decided when somebody comes to it.

A purge is numbered, and an entry has the number of the last one that is known to have been applied to it. Whoever finds
an entry asks `Entry.indexed`, which looks at the purges since: one that names the entry has ended it or, if it is soft,
makes it stale as of the instant of the purge. So it is the same as if all had been changed at once.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cdnkit.policy.store.entry import Entry


@dataclass(slots=True, eq=False)
class PurgedMany:
    """One purge of many entries, until all of them have been seen to."""

    number: int
    names: "Callable[[Entry], bool]"
    """Whether it names an entry that was stored before it."""
    stale_at: float | None
    """Of a soft purge: its instant. None: its entries are gone."""
    entries: "dict[int, Entry]"
    """Those that nobody has seen to, by id; some may have been removed otherwise."""
    generation: "Generation"


@dataclass(slots=True, eq=False)
class Generation:
    """The entries stored between two purges of everything, and what else was purged among them."""

    current: bool = True
    purges: int = 0
    """The number of the last purge of many."""
    purged: list[PurgedMany] = field(default_factory=list)
    """These purges, until all their entries are seen to; the oldest first."""

    def outlived_by(self, entry: "Entry") -> bool:
        """Whether the entry is still stored after the purges since it was last looked at. It becomes stale by the soft
        ones: by the first of them, since a later one changes nothing more."""
        stale_at = None
        for purge in reversed(self.purged):
            if purge.number <= entry.purges_outlived:
                break
            if purge.names(entry):
                if purge.stale_at is None:
                    return False
                stale_at = purge.stale_at
        entry.purges_outlived = self.purges
        if stale_at is not None:
            entry.life = entry.life.made_stale(stale_at)
        return True

    def add(self, names: "Callable[[Entry], bool]", stale_at: float | None, entries: "dict[int, Entry]") -> PurgedMany:
        self.purges += 1
        purge = PurgedMany(self.purges, names, stale_at, entries, self)
        self.purged.append(purge)
        return purge

    def there(self, entries: "dict[int, Entry]") -> "dict[int, Entry]":
        """Those of many that no purge has ended."""
        ended = [purge.entries.keys() for purge in self.purged if purge.stale_at is None]
        if not ended:
            return entries
        left = entries.keys() - ended[0]
        for ids in ended[1:]:
            left -= ids
        return {id: entries[id] for id in left}
