"""The index beside a list that is looked through: it finds, counts and purges the same, in any order of events.

`PURGED_AT_ONCE` is 0 in half of the runs: then what becomes of an entry is decided when somebody comes to it.
"""

from collections.abc import Callable
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdnkit.policy import Headers
from cdnkit.policy.freshness.lifetime import Lifetime
from cdnkit.policy.http.etags import strongly_equal
from cdnkit.policy.http.negotiation import normalised, preferred_language
from cdnkit.policy.http.ranges import Span, within
from cdnkit.policy.outcomes import Cause
from cdnkit.policy.store import index as index_module
from cdnkit.policy.store.entry import Entry, selecting_fields
from cdnkit.policy.store.eviction import Room, room_for
from cdnkit.policy.store.index import MOST_PARTS, EntryIndex

pytestmark = pytest.mark.long

LIFE = Lifetime(0, 20, 25, 25, 25, 25, "max-age")
PREFIXES = ["/", "/a", "/b/"]
KEYS = st.sampled_from(["/a", "/a?x", "/a\nhost: h", "/b/c", "/b/d\nhost: h"])
TAGS = st.lists(st.sampled_from(["one", "two", "three"]), unique=True, max_size=3).map(tuple)
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "accept-language": st.sampled_from(["de", "de, en;q=0.5", "en;q=0.5,de", "fr", ""]),
        "x-device": st.sampled_from(["tv", "phone"]),
        "range": st.sampled_from(["bytes=0-3", "bytes=6-7", "bytes=2-20"]),
    },
).map(lambda fields: Headers(fields.items()))
VARY = st.sampled_from([(), ("accept-language",), ("x-device",), ("accept-language", "x-device")])
PARTS = st.none() | st.sampled_from([Span(0, 4), Span(0, 8), Span(6, 9)])

ADDS = st.tuples(
    st.just("add"),
    KEYS,
    VARY,
    REQUESTS,
    TAGS,
    PARTS,
    st.sampled_from(['"1"', '"2"']),
    st.sampled_from(["", "de", "fr"]),
)
STEPS = st.one_of(
    ADDS,
    ADDS,
    st.tuples(st.just("purge"), TAGS, st.booleans()),
    st.tuples(st.just("purge_prefix"), st.sampled_from(PREFIXES), st.booleans()),
    st.tuples(st.just("settle")),
    st.tuples(st.just("remove"), st.integers(0, 9)),
    st.tuples(st.just("retag"), st.integers(0, 9), TAGS),
    st.tuples(st.just("reselect"), st.integers(0, 9), VARY, REQUESTS),
    st.tuples(st.just("release")),
    st.tuples(st.just("clear")),
)


class Plain:
    """All entries in one list, the latest first; every question looks through it."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.lives: dict[int, Lifetime] = {}

    def of(self, key: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.key == key]

    def selected(self, key: str, request: Headers) -> Entry | None:
        varied: Entry | None = None
        unvaried: Entry | None = None
        for entry in self.of(key):
            if not entry.selecting:
                unvaried = self._better(unvaried, entry, request)
            elif all(normalised(name, request.joined(name)) == value for name, value in entry.selecting):
                if entry.part is None:
                    return entry
                varied = self._better(varied, entry, request)
        return varied or unvaried or self._by_language(key, request)

    def _by_language(self, key: str, request: Headers) -> Entry | None:
        wanted = preferred_language(request.joined("accept-language"))
        for entry in self.of(key):
            language = entry.headers.first("content-language")
            if wanted and [name for name, _ in entry.selecting] == ["accept-language"] and language == wanted:
                return entry
        return None

    @staticmethod
    def _better(best: Entry | None, other: Entry, request: Headers) -> Entry:
        if best is None or other.part is None:
            return other
        wanted = request.first("range")
        if best.part is None or (wanted and within(wanted, best.part, best.total) is not None):
            return best
        if wanted and within(wanted, other.part, other.total) is not None:
            return other
        return other if other.part.start == 0 < best.part.start else best

    def add(self, entry: Entry) -> list[int]:
        beside = []
        gone = []
        for old in self.of(entry.key):
            if old.selecting != entry.selecting:
                continue
            alike = old.part and entry.part and strongly_equal(old.etag or "", entry.etag or "")
            inside = old.part and entry.part and entry.part.start <= old.part.start and old.part.stop <= entry.part.stop
            (beside if alike and not inside else gone).append(old)
        gone += beside[MOST_PARTS - 1 :]
        self.drop(gone)
        self.entries.insert(0, entry)
        return sorted(old.id for old in gone)

    def drop(self, gone: list[Entry]) -> None:
        self.entries = [entry for entry in self.entries if entry not in gone]


class Both:
    """The index and the list, told the same."""

    def __init__(self) -> None:
        self.index, self.plain = EntryIndex(), Plain()
        self.room: Room = room_for("lru", 2**30)
        self.ids = 0
        self.now = 0.0
        self.was: list[Entry] = []

    def add(self, key: str, vary: tuple[str, ...], request: Headers, tags: tuple[str, ...], part: Span | None,
            etag: str, language: str) -> None:  # fmt: skip
        self.ids += 1
        headers = Headers([("content-language", language)] if language else [])
        entry = Entry(
            self.ids, key, 200, headers, LIFE, selecting_fields(vary, request), tags, part=part, total=10, etag=etag
        )  # fmt: skip
        self.was.append(entry)
        self.plain.lives[entry.id] = LIFE
        self.index.release(self.room)
        self.room.admit(entry)
        there = {one.id for one in self.index}
        replaced = self.index.add(entry)
        for one in replaced:
            self.room.pop(one.id, None)
        assert sorted({one.id for one in replaced} & there) == self.plain.add(entry)

    def purge(self, tags: tuple[str, ...], soft: bool) -> None:
        found = self.index.by_surrogate_keys(*tags)
        self._purge(found, lambda entry: bool(set(tags) & set(entry.surrogate_keys)), soft)

    def purge_prefix(self, prefix: str, soft: bool) -> None:
        self._purge(self.index.by_prefix(prefix), lambda entry: entry.key.startswith(prefix), soft)

    def _purge(self, found: dict[int, Entry], names: Callable[[Entry], bool], soft: bool) -> None:
        named = [entry for entry in self.plain.entries if names(entry)]
        assert found.keys() == {entry.id for entry in named}
        ids = self.index.purge_many(dict(found), names, self.now if soft else None)
        if ids is not None:
            assert sorted(ids) == sorted(found)
        for entry in found.values() if ids is None else ():
            if soft:
                entry.life = entry.life.made_stale(self.now)
            else:
                self.index.remove(entry, Cause.PURGED)
                self.room.pop(entry.id, None)
        if not soft:
            self.plain.drop(named)
        for entry in named:
            self.plain.lives[entry.id] = self.plain.lives[entry.id].made_stale(self.now)

    def settle(self) -> None:
        some = self.index.settle(2, self.index.soft_purges)
        assert {entry.id for entry in some or ()} <= {entry.id for entry in self.plain.entries}

    def remove(self, which: int) -> None:
        if self.was:
            entry = self.was[which % len(self.was)]
            self.index.remove(entry, Cause.EVICTED)
            self.room.pop(entry.id, None)
            self.plain.drop([entry])

    def retag(self, which: int, tags: tuple[str, ...]) -> None:
        if self.plain.entries:
            self.index.set_surrogate_keys(self.plain.entries[which % len(self.plain.entries)], tags)

    def reselect(self, which: int, vary: tuple[str, ...], request: Headers) -> None:
        """Only to what no other has: a 304 that brings another variant is not for this entry."""
        if self.plain.entries:
            entry, selecting = self.plain.entries[which % len(self.plain.entries)], selecting_fields(vary, request)
            if all(one.selecting != selecting for one in self.index._all_of(entry.key)):
                self.index.reselect(entry, selecting)

    def release(self) -> None:
        self.index.release(self.room)

    def clear(self) -> None:
        assert self.index.clear(self.room) == len(self.plain.entries)
        self.room = room_for("lru", 2**30)
        self.plain.entries = []

    def agree(self, request: Headers) -> None:
        index, plain = self.index, self.plain
        assert len(index) == len(plain.entries) <= len(self.room)
        assert {entry.id for entry in index} == {entry.id for entry in plain.entries}
        for entry in self.was:
            assert entry.indexed == (entry in plain.entries)
            assert not entry.indexed or entry.life == plain.lives[entry.id]
        for key in ("/a", "/a?x", "/a\nhost: h", "/b/c", "/b/d\nhost: h"):
            found = index.select(key, request)
            assert (found if isinstance(found, Entry) else None) is plain.selected(key, request)
            assert index.variants(key) == plain.of(key)
            assert isinstance(found, Entry) or (found is Cause.VARY) == bool(plain.of(key))
            only = index.only(key)
            assert only is None or [only] == plain.of(key)
        for url in ("/a", "/a?x", "/b/d"):
            assert set(index.by_url(url)) == {e.id for e in plain.entries if e.key.partition("\n")[0] == url}
        for prefix in PREFIXES:
            assert set(index.by_prefix(prefix)) == {e.id for e in plain.entries if e.key.startswith(prefix)}
        for tag in ("one", "two", "three"):
            assert set(index.by_surrogate_keys(tag)) == {e.id for e in plain.entries if tag in e.surrogate_keys}


@pytest.mark.parametrize("at_once", [0, 128], ids="{} purged at once".format)
@pytest.mark.parametrize("looked_at", [True, False], ids=["looked at after each step", "at the end"])
@given(steps=st.lists(STEPS, max_size=30), requests=st.lists(REQUESTS, min_size=1, max_size=4))
@settings(max_examples=400, deadline=None)
def test_the_index_and_a_list_agree(
    at_once: int, looked_at: bool, steps: list[tuple[object, ...]], requests: list[Headers]
) -> None:
    with patch.object(index_module, "PURGED_AT_ONCE", at_once), patch.object(index_module, "RELEASED_AT_ONCE", 2):
        both = Both()
        for what, *arguments in steps:
            both.now += 1
            getattr(both, str(what))(*arguments)
            for request in requests if looked_at else ():
                both.agree(request)
        for _ in range(100):
            both.release()
            both.settle()
            both.agree(requests[0])
        assert both.index.settle(1, both.index.soft_purges) is None
        assert not both.index._purged and not both.index._generation.purged
        assert len(both.room) == len(both.index) == sum(1 for _ in both.index)
        for entry in list(both.index):
            both.index.remove(entry, None)
        groups = (both.index._by_surrogate_key.by_name, both.index._by_url.by_name)
        tables = (both.index._by_key, *groups, both.index._urls)
        assert not any(tables), "something is left of what was removed"
