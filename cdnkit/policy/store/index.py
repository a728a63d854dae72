"""The index of stored responses by cache key, variant and surrogate key, and the causes of removals.

A purge never scans: an entry is reachable from each of its surrogate keys, and URLs are kept in order, so that those
with a common prefix are neighbours. A purge of everything begins a new generation: all entries are gone at once, and
their memory is released later, a little whenever a response is stored. So are entries that a purge names with very many
others (cdnkit/policy/store/generation.py).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from sortedcontainers import SortedList

from cdnkit.policy.http.etags import strongly_equal
from cdnkit.policy.http.messages import Headers
from cdnkit.policy.outcomes import Cause
from cdnkit.policy.store.entry import (
    Entry,
    Selecting,
    is_surrogate_key,
    selecting_fields,
    surrogate_keys_of,
    vary_names,
)
from cdnkit.policy.store.eviction.room import Room
from cdnkit.policy.store.generation import Generation, PurgedMany
from cdnkit.policy.store.groups import Groups
from cdnkit.policy.store.purged import PurgedGeneration
from cdnkit.policy.store.remembered import Remembered
from cdnkit.policy.store.variants import Variants, best, names_of

__all__ = [
    "Entry",
    "EntryIndex",
    "Selecting",
    "is_surrogate_key",
    "selecting_fields",
    "surrogate_keys_of",
    "vary_names",
]

REMEMBERED_KEYS = 65_536
"""The index remembers why they are gone for at most this many keys, and at least the latest half. About 4 MB: only the
hash of a key is held, since a key may be as long as a URL with all the fields that enter it."""


MOST_PARTS = 8
"""Parts stored of one representation: players and readers of archives begin at both ends. For more there are slices."""

RELEASED_AT_ONCE = 16
"""Cache keys, or entries, of what was purged that are released when one response is stored: 20 to 100 us."""

PURGED_AT_ONCE = 128
"""The most entries that a purge sees to one by one: under a millisecond. More are seen to later."""

_LAST = chr(0x10FFFF)
"""No URL has this character: with it, a prefix is followed by all that begin with the prefix."""


def _stands_beside(old: Entry, entry: Entry) -> bool:
    """Whether both are parts of one representation, and the old one holds bytes that the new one does not."""
    if old.part is None or entry.part is None or old.etag is None or entry.etag is None:
        return False
    within = entry.part.start <= old.part.start and old.part.stop <= entry.part.stop
    return strongly_equal(old.etag, entry.etag) and not within


class Observer(Protocol):
    """Who is told what changes in an index, at once: copies of its entries elsewhere are good until then."""

    def changed(self, key: str) -> None:
        """What is stored under this key is not what it was."""

    def cleared(self) -> None:
        """Many or all keys have changed."""


class EntryIndex:
    """All entries of one node."""

    def __init__(self, *, vary_as_sent: bool = False) -> None:
        self._vary_as_sent = vary_as_sent
        self._by_key: dict[str, Entry | Variants] = {}
        """Most keys have one response, which is held without a table of its own."""
        self._by_surrogate_key = Groups()
        self._by_url = Groups()
        """By the first line of the key (path and query), entries whose keys hold more."""
        self._urls: SortedList[str] = SortedList()
        """The first lines of all keys, each once."""
        self._generation = Generation()
        self._purged: list[PurgedGeneration | PurgedMany] = []
        """What is purged and not yet released. Entries of a `PurgedMany` are still in the tables above."""
        self._stale: list[PurgedMany] = []
        """Soft purges whose entries are not all seen to; the oldest first."""
        self.soft_purges = 0
        """Soft purges of many, in all."""
        self._removal_causes: Remembered[Cause] = Remembered(REMEMBERED_KEYS)
        self.size = 0
        self.observer: Observer | None = None

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Entry]:
        for one in self._by_key.values():
            yield from self._there((one,) if isinstance(one, Entry) else one)

    def _there(self, entries: Iterable[Entry]) -> Iterable[Entry]:
        """Those that are not purged."""
        return [entry for entry in entries if entry.indexed] if self._generation.purged else entries

    def _all_of(self, key: str) -> Iterable[Entry]:
        """All entries of the key, the latest first, with those that are purged and not yet released."""
        one = self._by_key.get(key, ())
        return (one,) if isinstance(one, Entry) else one

    def variants(self, key: str) -> list[Entry]:
        """All stored responses of the key, latest first."""
        return list(self._there(self._all_of(key)))

    def only(self, key: str) -> Entry | None:
        """The stored response of a key that has one; None: it has none or several."""
        one = self._by_key.get(key)
        return one if type(one) is Entry and one.indexed else None

    def select(self, key: str, request: Headers) -> Entry | Cause:
        """The stored response this request selects, or why there is none (RFC 9111 §4.1)."""
        one = self._by_key.get(key)
        if one is None:
            return self._miss_cause(key)
        if isinstance(one, Entry):
            if not one.indexed:
                return Cause.PURGED
            fields = selecting_fields(names_of(one.selecting), request, as_sent=self._vary_as_sent)
            if fields == one.selecting:
                return one
            one = Variants((one,))
        found = best(self._there(one.matches(request, as_sent=self._vary_as_sent)), request)
        if found is None and not self._vary_as_sent:
            found = next(iter(self._there(one.in_preferred_language(request))), None)
        if found is None:
            return Cause.VARY if any(entry.indexed for entry in one) else Cause.PURGED
        return found

    def add(self, entry: Entry) -> list[Entry]:
        """Add it as the latest of its key; the entries it replaces are removed and returned."""
        same = self._alike(entry.key, entry.selecting)
        beside = [old for old in same if old.indexed and _stands_beside(old, entry)][: MOST_PARTS - 1]
        replaced = [old for old in same if old not in beside]
        for old in replaced:
            self.remove(old, None)
        one = self._by_key.get(entry.key)
        if one is None:
            self._by_key[entry.key] = entry
        elif isinstance(one, Entry):
            self._by_key[entry.key] = Variants((one, entry))
        else:
            one.add(entry)
        for surrogate_key in entry.surrogate_keys:
            self._by_surrogate_key.add(surrogate_key, entry)
        url, _, more = entry.key.partition("\n")
        if one is None and not (url in self._by_url or (more and url in self._by_key)):
            self._urls.add(url)
        if more:
            self._by_url.add(url, entry)
        entry.generation = self._generation
        entry.purges_outlived = self._generation.purges
        self.size += 1
        self._removal_causes.drop(entry.key)
        self.changed(entry)
        return replaced

    def _alike(self, key: str, selecting: Selecting) -> list[Entry]:
        one = self._by_key.get(key)
        if isinstance(one, Variants):
            return one.alike(selecting)
        return [one] if one is not None and one.selecting == selecting else []

    def same_variant(self, entry: Entry) -> list[Entry]:
        """The entries of the same key and variant: one whole response, or parts of one representation."""
        return list(self._there(self._alike(entry.key, entry.selecting)))

    def beyond(self, entry: Entry, most: int) -> list[Entry]:
        """The entries that must go before this one is added, if its key may have `most` variants: the variant that was
        stored longest ago."""
        one = self._by_key.get(entry.key)
        if one is None or self._alike(entry.key, entry.selecting):
            return []
        if isinstance(one, Entry):
            return [one] if most <= 1 else []
        return one.alike(one.oldest()) if one.count >= most else []

    def reselect(self, entry: Entry, selecting: Selecting) -> None:
        """Replace the selecting fields of an entry, after a 304."""
        one = self._by_key.get(entry.key)
        if entry.indexed and selecting != entry.selecting and isinstance(one, Variants):
            entries = list(one)[::-1]
            entry.selecting = selecting
            self._by_key[entry.key] = Variants(entries)
        entry.selecting = selecting

    # ---- purges ------------------------------------------------------------------------------------------------

    def clear(self, room: Room) -> int:
        """Remove all entries at once, also from the room, by a purge; how many they were."""
        count, self.size = self.size, 0
        if self._by_key:
            rest = [self._by_surrogate_key.by_name, self._by_url.by_name, self._urls]
            self._purged.append(PurgedGeneration(self._by_key, room, rest))
            self._by_key, self._by_surrogate_key, self._by_url, self._urls = {}, Groups(), Groups(), SortedList()
            self._generation.current = False
            self._generation = Generation()
            if self.observer is not None:
                self.observer.cleared()
        return count

    def purge_many(
        self, entries: dict[int, Entry], names: Callable[[Entry], bool], stale_at: float | None
    ) -> list[int] | None:
        """Remove these entries, which are all that `names` is true of, or make them stale (`stale_at`); their ids.

        None: they are few, or none, and nothing is done. Of `entries` the index takes possession.
        """
        if len(entries) <= PURGED_AT_ONCE:
            return None
        ids = list(entries)
        purge = self._generation.add(names, stale_at, entries)
        if stale_at is None:
            self._purged.append(purge)
            self.size -= len(ids)
        else:
            self._stale.append(purge)
            self.soft_purges += 1
        if self.observer is not None:
            self.observer.cleared()
        return ids

    def settle(self, most: int, purges: int) -> list[Entry] | None:
        """See to at most `most` of the entries that the first `purges` soft purges made stale; those that are still
        stored. None: all have been seen to. No look-up depends on it, but a copy of an entry elsewhere does.
        """
        while self._stale and self.soft_purges - len(self._stale) < purges:
            purge = self._stale[0]
            if purge.entries:
                some = [purge.entries.popitem()[1] for _ in range(min(most, len(purge.entries)))]
                return [entry for entry in some if entry.indexed]
            purge.generation.purged.remove(purge)
            del self._stale[0]
        return None

    @property
    def releasing(self) -> bool:
        """Whether some of what was purged is still to be released."""
        return bool(self._purged)

    def release(self, room: Room) -> None:
        """Release some of what was purged first, also from the room. That its keys were purged is remembered, but not
        for ever."""
        if not self._purged:
            return
        former = self._purged[0]
        for _ in range(RELEASED_AT_ONCE):
            if isinstance(former, PurgedMany):
                if not former.entries:
                    former.generation.purged.remove(former)
                    del self._purged[0]
                    return
                entry = former.entries.popitem()[1]
                self.remove(entry, Cause.PURGED)
                room.pop(entry.id, None)
                continue
            key = former.release_one()
            if key is None:
                del self._purged[0]
                return
            if key and key not in self._by_key and self._removal_causes.get(key) is None:
                self._removal_causes.put(key, Cause.PURGED)

    def _miss_cause(self, key: str) -> Cause:
        why = self._removal_causes.get(key)
        if why is None:
            purged = any(isinstance(former, PurgedGeneration) and key in former.by_key for former in self._purged)
            why = Cause.PURGED if purged else Cause.COLD
        return why

    # ---- changes and removals ----------------------------------------------------------------------------------

    def changed(self, entry: Entry) -> None:
        """To be called when the fields or the lifetime of a stored response are not what they were."""
        if self.observer is not None:
            self.observer.changed(entry.key)

    def set_surrogate_keys(self, entry: Entry, surrogate_keys: tuple[str, ...]) -> None:
        """Replace the surrogate keys of an entry, after a 304."""
        if surrogate_keys == entry.surrogate_keys:
            return
        for surrogate_key in entry.surrogate_keys:
            self._by_surrogate_key.discard(surrogate_key, entry)
        entry.surrogate_keys = surrogate_keys
        for surrogate_key in surrogate_keys:
            self._by_surrogate_key.add(surrogate_key, entry)

    def remove(self, entry: Entry, why: Cause | None) -> None:
        """Remove it; `why` is the cause of the next miss of its key."""
        generation = entry.generation
        if generation is None or not generation.current:
            return
        if entry.indexed:
            self.size -= 1
            self.changed(entry)
        else:
            why = Cause.PURGED
        one = self._by_key[entry.key]
        if isinstance(one, Variants):
            one.remove(entry)
            if len(one) == 1:
                self._by_key[entry.key] = next(iter(one))
        else:
            del self._by_key[entry.key]
            if why is not None:
                self._removal_causes.put(entry.key, why)
        for surrogate_key in entry.surrogate_keys:
            self._by_surrogate_key.discard(surrogate_key, entry)
        url = entry.key.partition("\n")[0]
        self._by_url.discard(url, entry)
        if url not in self._by_url and url not in self._by_key:
            self._urls.remove(url)
        entry.generation = None

    # ---- what a purge names ------------------------------------------------------------------------------------

    def by_url(self, url: str) -> dict[int, Entry]:
        """All entries with this path and query, whatever else is in their keys, by id."""
        return self._generation.there({entry.id: entry for entry in self._all_of(url)} | self._by_url.of(url))

    def by_prefix(self, prefix: str) -> dict[int, Entry]:
        """All entries whose path and query begin with the prefix, by id."""
        urls = list(self._urls.irange(prefix, prefix + _LAST))
        ones = [*map(self._by_key.get, urls)]
        found = {one.id: one for one in ones if isinstance(one, Entry)}
        if len(found) < len(ones):
            found |= {entry.id: entry for one in ones if isinstance(one, Variants) for entry in one}
        if self._by_url.by_name:
            for url in urls:
                found |= self._by_url.of(url)
        return self._generation.there(found)

    def surrogate_keys(self) -> Iterable[str]:
        """The surrogate keys of all entries."""
        return self._by_surrogate_key.by_name.keys()

    def by_surrogate_keys(self, *surrogate_keys: str) -> dict[int, Entry]:
        """All entries with any of these surrogate keys, by id."""
        found: dict[int, Entry] = {}
        for surrogate_key in surrogate_keys:
            found |= self._by_surrogate_key.of(surrogate_key)
        return self._generation.there(found)

    # ---- memory ------------------------------------------------------------------------------------------------

    def tables(self) -> Iterator[object]:
        """The tables that have all entries, for a shell that hides them from a collector of cycles."""
        yield from (self._by_key, self._by_surrogate_key.by_name, self._by_url.by_name)
        yield from self._urls._lists
        yield from (one.entries for one in (*self._purged, *self._stale) if isinstance(one, PurgedMany))
        yield from self._removal_causes.tables()

    def tables_of(self, entry: Entry) -> list[object]:
        """The further tables that have this entry."""
        tables = self._by_surrogate_key.tables_of(entry.surrogate_keys)
        tables += self._by_url.tables_of((entry.key.partition("\n")[0],))
        one = self._by_key.get(entry.key)
        return tables + one.tables_of(entry.selecting) if isinstance(one, Variants) else tables
