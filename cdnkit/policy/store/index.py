"""The index of stored responses by cache key, variant and surrogate key, and the causes of removals.

A purge never scans: an entry is reachable from each of its surrogate keys, and URLs are kept in order, so that those
with a common prefix are neighbours. A purge of everything begins a new generation: all entries are gone at once, and
their memory is released later, a little whenever a response is stored.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from cachetools import LRUCache
from sortedcontainers import SortedList

from cdnkit.policy.freshness.lifetime import Lifetime
from cdnkit.policy.http import ranges
from cdnkit.policy.http.etags import strongly_equal
from cdnkit.policy.http.messages import Headers, Lines
from cdnkit.policy.http.negotiation import normalised, preferred_language
from cdnkit.policy.http.ranges import Span
from cdnkit.policy.outcomes import Cause
from cdnkit.policy.rules.profile import Quotas
from cdnkit.policy.store.eviction.room import Room
from cdnkit.policy.store.key import HEAD_SUFFIX

Selecting = tuple[tuple[str, str | None], ...]
"""The request fields that Vary names, with their values; a stored response is selected by equal ones."""

REMEMBERED_KEYS = 65_536
"""The index remembers why they are gone for this many keys. About 10 MiB: only the hash of a key is held, since a key
may be as long as a URL with all the fields that enter it."""


MOST_PARTS = 8
"""Parts stored of one representation: players and readers of archives begin at both ends. For more there are slices."""

RELEASED_AT_ONCE = 16
"""Keys of a purged generation that are released when one response is stored: some 20 us."""


@dataclass(slots=True, eq=False)
class Generation:
    """Marks the entries stored between two purges of everything."""

    current: bool = True


@dataclass(slots=True, eq=False)
class Entry:
    """One stored response. Its body is with the shell, under `id`."""

    id: int
    key: str
    status: int
    headers: Headers
    life: Lifetime
    selecting: Selecting = ()
    surrogate_keys: tuple[str, ...] = ()
    size_bytes: int = 0
    """Body length: by Content-Length while it fills, the real one once it is complete; 0 if not known yet."""
    length: int | None = None
    """Body length once known, None before."""
    complete: bool = False
    part: Span | None = None
    """The bytes of the representation it holds, where it is a stored 206; None: all of them."""
    total: int | None = None
    """Of a part: the length of the whole, if the origin named it."""
    coding: str = ""
    """The content coding this node put on its body; "" where it is as it came."""
    etag: str | None = field(default=None)
    last_modified: str | None = field(default=None)
    for_authorization: bool = False
    """Its request had Authorization: the directive that allowed storing it must stay there (RFC 9111 §3.5)."""
    hits: int = 0
    prepared: Lines = field(default_factory=list)
    """The head of a plain hit, good until `ready_until`; whoever changes the entry sets that back to 0."""
    prepared_until: float = 0.0
    prepared_bytes: bytes = b""
    """What a shell made of `prepared`; b"" since that was made anew."""
    prepared_block: bytes = b""
    """The same for HTTP/2."""
    prepared_parts: Any = None
    """What else it made of it; None likewise."""
    generation: Generation | None = None
    """The index's generation that it belongs to."""

    @property
    def indexed(self) -> bool:
        """False once it is removed, and for a response that was only shared with waiting requests: an error, say."""
        return self.generation is not None and self.generation.current

    @property
    def is_head(self) -> bool:
        """It is a stored response to HEAD: its length is that of a body which is not here."""
        return self.key.endswith(HEAD_SUFFIX)

    @property
    def content_type(self) -> str:
        """ "" where it has none."""
        return self.headers.first("content-type") or ""

    @property
    def has_body(self) -> bool:
        return self.status not in (204, 304)

    @property
    def has_validator(self) -> bool:
        return self.etag is not None or self.last_modified is not None


def vary_names(headers: Headers) -> tuple[str, ...]:
    vary = headers.joined("vary")
    if vary is None:
        return ()
    return tuple(sorted({name.strip().lower() for name in vary.split(",") if name.strip()}))


def selecting_fields(names: Iterable[str], request: Headers, *, as_sent: bool = False) -> Selecting:
    """`as_sent`: values are compared as sent; only the lines of one field are joined to one list."""
    if as_sent:
        return tuple((name, request.joined(name)) for name in names)
    return tuple((name, normalised(name, request.joined(name))) for name in names)


def surrogate_keys_of(headers: Headers, quotas: Quotas | None = None) -> tuple[str, ...]:
    """Keys of `Surrogate-Key`, each once (Fastly: separated by spaces, printable ASCII; others are ignored), within the
    quotas."""
    value = " ".join(headers.all("surrogate-key"))
    keys = value.split()
    if quotas is not None and quotas.surrogate_keys_bytes is not None and len(value) > quotas.surrogate_keys_bytes:
        keys = value[: quotas.surrogate_keys_bytes + 1].rpartition(" ")[0].split()
    if quotas is not None and quotas.surrogate_key_bytes is not None:
        longest = quotas.surrogate_key_bytes
        keys = list(takewhile(lambda key: len(key) <= longest, keys))
    return tuple(dict.fromkeys(key for key in keys if is_surrogate_key(key)))


def is_surrogate_key(text: str) -> bool:
    """Printable ASCII, 0x21 to 0x7E."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def _stands_beside(old: Entry, entry: Entry) -> bool:
    """Whether both are parts of one representation, and the old one holds bytes that the new one does not."""
    if old.part is None or entry.part is None or old.etag is None or entry.etag is None:
        return False
    within = entry.part.start <= old.part.start and old.part.stop <= entry.part.stop
    return strongly_equal(old.etag, entry.etag) and not within


def _better(best: Entry | None, other: Entry, request: Headers) -> Entry:
    """The better of two entries that a request selects: a whole one; a part with the range it wants; one that begins at
    0 and so can be completed."""
    if best is None or other.part is None:
        return other
    if best.part is None:
        return best
    wanted = request.first("range")
    if wanted is not None:
        if ranges.within(wanted, best.part, best.total) is not None:
            return best
        if ranges.within(wanted, other.part, other.total) is not None:
            return other
    return other if other.part.start == 0 < best.part.start else best


class PurgedGeneration:
    """A generation that a purge of everything ended. To release all of it at once would delay every request."""

    __slots__ = ("_rest", "_room", "by_key")

    def __init__(self, by_key: dict[str, list[Entry]], room: Room, rest: list[Any]) -> None:
        """`rest`: dicts (also of dicts) and lists that lead to the same entries."""
        self.by_key = by_key
        self._room = room
        self._rest = rest

    def release_one(self) -> str | None:
        """Release one key and return it; "" for memory without a key; None: nothing is left."""
        if self.by_key:
            key, entries = self.by_key.popitem()
            for entry in entries:
                self._room.pop(entry.id, None)
            return key
        while self._rest:
            last = self._rest[-1]
            if not last:
                self._rest.pop()
                continue
            inner = last.popitem()[1] if isinstance(last, dict) else last.pop()
            if isinstance(inner, dict):
                self._rest.append(inner)
            return ""
        return None


class EntryIndex:
    """All entries of one node."""

    def __init__(self, *, vary_as_sent: bool = False) -> None:
        self._vary_as_sent = vary_as_sent
        self._by_key: dict[str, list[Entry]] = {}
        self._by_surrogate_key: dict[str, dict[int, Entry]] = {}
        self._by_url: dict[str, dict[int, Entry]] = {}
        """By the first line of the key (path and query), entries whose keys hold more."""
        self._urls: SortedList[str] = SortedList()
        """The first lines of all keys, each once."""
        self._generation = Generation()
        self._purged: list[PurgedGeneration] = []
        """Generations that are not yet released."""
        self._removal_causes: LRUCache[int, Cause] = LRUCache(REMEMBERED_KEYS)
        self.size = 0

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Entry]:
        for entries in self._by_key.values():
            yield from entries

    def variants(self, key: str) -> list[Entry]:
        """All stored responses of the key, latest first."""
        return self._by_key.get(key, [])

    def select(self, key: str, request: Headers) -> Entry | Cause:
        """The stored response this request selects, or why there is none.

        A stored response without Vary answers requests that no other variant matches: origins leave Vary out by mistake
        in the response to a request without preferences (RFC 9111 §4.1).
        """
        entries = self._by_key.get(key)
        if not entries:
            return self._miss_cause(key)
        varied: Entry | None = None
        unvaried: Entry | None = None
        for entry in entries:
            if not entry.selecting:
                unvaried = _better(unvaried, entry, request)
                continue
            for name, value in entry.selecting:
                sent = request.joined(name)
                if (sent if self._vary_as_sent else normalised(name, sent)) != value:
                    break
            else:
                if entry.part is None:
                    return entry
                varied = _better(varied, entry, request)
        return varied or unvaried or self._by_language(entries, request) or Cause.VARY

    def _by_language(self, entries: list[Entry], request: Headers) -> Entry | None:
        """A stored response in the language that the request prefers, where Vary names only Accept-Language.

        Source: RFC 9111 §4.1: a field's own selection rules may be used.
        """
        wanted = None if self._vary_as_sent else preferred_language(request.joined("accept-language"))
        if wanted is None:
            return None
        for entry in entries:
            varied = {name for name, _ in entry.selecting}
            language = entry.headers.first("content-language")
            if varied == {"accept-language"} and language is not None and language.strip().lower() == wanted:
                return entry
        return None

    def add(self, entry: Entry) -> list[Entry]:
        """Add it as the latest of its key; the entries it replaces are removed and returned."""
        same = self.same_variant(entry)
        beside = [old for old in same if _stands_beside(old, entry)][: MOST_PARTS - 1]
        replaced = [old for old in same if old not in beside]
        for old in replaced:
            self.remove(old, None)
        entries = self._by_key.setdefault(entry.key, [])
        entries.insert(0, entry)
        for surrogate_key in entry.surrogate_keys:
            self._by_surrogate_key.setdefault(surrogate_key, {})[entry.id] = entry
        url, _, more = entry.key.partition("\n")
        if len(entries) == 1 and not (url in self._by_url or (more and url in self._by_key)):
            self._urls.add(url)
        if more:
            self._by_url.setdefault(url, {})[entry.id] = entry
        entry.generation = self._generation
        self.size += 1
        self._removal_causes.pop(hash(entry.key), None)
        if self._purged:
            self._release()
        return replaced

    def same_variant(self, entry: Entry) -> list[Entry]:
        """The entries of the same key and variant: one whole response, or parts of one representation."""
        return [one for one in self.variants(entry.key) if one.selecting == entry.selecting]

    def clear(self, room: Room) -> int:
        """Remove all entries at once, also from the room, by a purge; how many they were."""
        count, self.size = self.size, 0
        if count:
            urls = [self._by_surrogate_key, self._by_url, self._urls]
            self._purged.append(PurgedGeneration(self._by_key, room, urls))
            self._by_key, self._by_surrogate_key, self._by_url, self._urls = {}, {}, {}, SortedList()
            self._generation.current = False
            self._generation = Generation()
        return count

    def _miss_cause(self, key: str) -> Cause:
        why = self._removal_causes.get(hash(key))
        if why is None:
            why = Cause.PURGED if any(key in former.by_key for former in self._purged) else Cause.COLD
        return why

    def _release(self) -> None:
        """Release some of the oldest purged generation. That its keys were purged is remembered, but not for ever."""
        former = self._purged[0]
        for _ in range(RELEASED_AT_ONCE):
            key = former.release_one()
            if key is None:
                del self._purged[0]
                return
            if key and key not in self._by_key:
                self._removal_causes.setdefault(hash(key), Cause.PURGED)

    def set_surrogate_keys(self, entry: Entry, surrogate_keys: tuple[str, ...]) -> None:
        """Replace the surrogate keys of an entry, after a 304."""
        if surrogate_keys == entry.surrogate_keys:
            return
        self._drop_surrogate_keys(entry)
        entry.surrogate_keys = surrogate_keys
        for surrogate_key in surrogate_keys:
            self._by_surrogate_key.setdefault(surrogate_key, {})[entry.id] = entry

    def remove(self, entry: Entry, why: Cause | None) -> None:
        """Remove it; `why` is the cause of the next miss of its key."""
        if not entry.indexed:
            return
        entries = self._by_key[entry.key]
        entries.remove(entry)
        if not entries:
            del self._by_key[entry.key]
            if why is not None:
                self._removal_causes[hash(entry.key)] = why
        self._drop_surrogate_keys(entry)
        url = entry.key.partition("\n")[0]
        if url in self._by_url:
            self._by_url[url].pop(entry.id, None)
            if not self._by_url[url]:
                del self._by_url[url]
        if url not in self._by_url and url not in self._by_key:
            self._urls.remove(url)
        entry.generation = None
        self.size -= 1

    def by_url(self, url: str) -> list[Entry]:
        """All entries with this path and query, whatever else is in their keys."""
        return [*self._by_key.get(url, []), *self._by_url.get(url, {}).values()]

    def by_prefix(self, prefix: str) -> list[Entry]:
        """All entries whose path and query begin with the prefix."""
        urls = takewhile(lambda url: url.startswith(prefix), self._urls.irange(prefix))
        return [entry for url in urls for entry in self.by_url(url)]

    def surrogate_keys(self) -> Iterable[str]:
        """The surrogate keys of all entries."""
        return self._by_surrogate_key.keys()

    def by_surrogate_keys(self, *surrogate_keys: str) -> list[Entry]:
        """All entries with any of these surrogate keys, each once."""
        found: dict[int, Entry] = {}
        for surrogate_key in surrogate_keys:
            found |= self._by_surrogate_key.get(surrogate_key, {})
        return list(found.values())

    def _drop_surrogate_keys(self, entry: Entry) -> None:
        for surrogate_key in entry.surrogate_keys:
            tagged = self._by_surrogate_key.get(surrogate_key)
            if tagged is not None:
                tagged.pop(entry.id, None)
                if not tagged:
                    del self._by_surrogate_key[surrogate_key]
