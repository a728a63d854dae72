"""Removing stored responses: purges by URL, prefix or surrogate key, or of everything; and their effect on fills.

A purge also applies to fills in flight, whose requests were made before it: what they bring is shared with those who
already wait and is not stored, and nobody joins them any more.
"""

from collections.abc import Callable, Iterable

from cdnkit.policy.http.messages import get_for_url, split_url
from cdnkit.policy.machine.flights import Flight
from cdnkit.policy.machine.purge_marks import EVERYTHING, marks_of, prefix_mark, surrogate_mark, url_mark
from cdnkit.policy.machine.state import NodeState
from cdnkit.policy.outcomes import Cause
from cdnkit.policy.plan import Purged, PurgeKind, PurgeOrder
from cdnkit.policy.store.index import Entry
from cdnkit.policy.store.key import HEAD_SUFFIX, keyed_query, plain_key


class Purges:
    """How a node purges."""

    def __init__(self, state: NodeState) -> None:
        self._state = state
        self._profile = state.profile

    def on_purge(self, order: PurgeOrder, now: float) -> Purged:
        """Remove, or make stale, what the order names; fills in flight obey it too."""
        self._state.events += 1
        self._bind_flights(order)
        self._end_key_facts(order)
        if order.kind is PurgeKind.EVERYTHING and not order.soft:
            count = self._state.index.clear(self._state.room)
            self._state.room = self._state.fresh_room()
            return Purged(count, [], everything=True)
        entries, names = self._named_by(order)
        ids = self._state.index.purge_many(entries, names, now if order.soft else None)
        if ids is not None:
            return Purged(len(ids), [] if order.soft else ids)
        if order.soft:
            for entry in entries.values():
                entry.life = entry.life.made_stale(now)
                self._state.index.changed(entry)
            return Purged(len(entries), [], list(entries.values()))
        return Purged(len(entries), [self._state.take_out(entry, Cause.PURGED) for entry in entries.values()])

    def _named_by(self, order: PurgeOrder) -> tuple[dict[int, Entry], Callable[[Entry], bool]]:
        """The entries that an order names, by id; and how to tell of one that was stored before whether it does."""
        index = self._state.index
        match order.kind:
            case PurgeKind.URL:
                url, host = self.purge_key(order.value), self._purged_host(order.value)
                lines = [url, host] if host else [url]
                return self._named(order.value), lambda entry: entry.key.split("\n", 2)[: len(lines)] == lines
            case PurgeKind.SURROGATE_KEYS:
                keys = frozenset(order.value.split())
                return index.by_surrogate_keys(*keys), lambda entry: not keys.isdisjoint(entry.surrogate_keys)
            case PurgeKind.PREFIX:
                beginning = _beginning(order.value)
                return index.by_prefix(beginning), lambda entry: entry.key.startswith(beginning)
            case PurgeKind.EVERYTHING:  # soft: no CDN has it
                return index.by_prefix(""), lambda _: True

    def restore(self, entries: Iterable[Entry]) -> list[int]:
        """Take in what an earlier run left, oldest first, before any other event; ids of what there is no room for."""
        dropped = []
        for entry in entries:
            self._state.ids = max(self._state.ids, entry.id)
            for replaced in self._state.index.add(entry):
                self._state.room.pop(replaced.id, None)
                dropped.append(replaced.id)
            gone = [] if self._state.room.admit(entry) else [entry]
            for one in (*gone, *self._state.room.take_evicted()):
                self._state.index.remove(one, Cause.EVICTED)
                dropped.append(one.id)
            self._state.vary_fields.update(name for name, _ in entry.selecting)
        return dropped

    def on_lost(self, entry: Entry) -> list[int]:
        """The shell has lost the body: the response is no longer stored."""
        if not entry.indexed:
            return []
        self._state.events += 1
        return [self._state.take_out(entry, Cause.LOST)]

    def _bind_flights(self, order: PurgeOrder) -> None:
        """Fills in flight, whose requests were made before the order, are not stored, and nobody joins them any
        more."""
        if not len(self._state.flights):
            return
        self._state.purges.append((self._state.events, order))
        exact = order.kind is PurgeKind.URL and self._plain_purge(order.value)
        key = self.purge_key(order.value) if exact else ""
        self._state.flights.close_to_newcomers([key, key + HEAD_SUFFIX] if exact else None)

    def _end_key_facts(self, order: PurgeOrder) -> None:
        """End the facts about the purged keys: a held failure, as the stored error it stands for; hit-for-pass, by a
        hard purge only.

        Neither has surrogate keys. Source: CloudFront, "Control how long errors are cached": to clear one, invalidate
        its path. What Fastly does with a hit-for-pass object by a soft purge is written nowhere; here it stays.
        """
        if order.kind is PurgeKind.SURROGATE_KEYS:
            return
        marks = self.marks_left_by(order)
        self._state.failing.purge(marks, self._state.events)
        if not order.soft:
            self._state.uncollapsed.purge(marks, self._state.events)

    def marks_left_by(self, order: PurgeOrder) -> list[str]:
        """The marks that the order leaves (cdnkit/policy/machine/purge_marks.py): whatever has one of them is
        purged."""
        match order.kind:
            case PurgeKind.URL:
                host = self._purged_host(order.value)
                return [url_mark(self.purge_key(order.value) + (f"\n{host}" if host else ""))]
            case PurgeKind.SURROGATE_KEYS:
                return [surrogate_mark(key) for key in order.value.split()]
            case PurgeKind.PREFIX:
                return [prefix_mark(_beginning(order.value))]
            case PurgeKind.EVERYTHING:
                return [EVERYTHING]

    def purge_key(self, url: str) -> str:
        """Path and query as they stand in a key: its first line."""
        request = get_for_url(url)
        query = keyed_query(request.query, self._state.matcher.match(request.path).behavior)
        return request.path if query is None else f"{request.path}?{query}"

    def _purged_host(self, url: str) -> str:
        """The line of a key with the host that a purge of a URL is for; "": every host."""
        named = get_for_url(url)
        meant = self._profile.purge_names_host and self._state.matcher.match(named.path).behavior.key.host
        return f"host: {named.host.lower()}" if meant and named.host else ""

    def _plain_purge(self, url: str) -> bool:
        """Whether keys hold no more than the URL, so that the URL names exactly one key."""
        behavior = self._state.matcher.match(get_for_url(url).path).behavior
        return plain_key(behavior) is not None and not behavior.key.host

    def _named(self, url: str) -> dict[int, Entry]:
        """What is stored under a URL, with any fields and cookies in the keys (both vendors' rule); of every host, or
        of the URL's.

        Nothing is scanned: the index also finds entries by the first line of their keys.
        """
        found, host = self._state.index.by_url(self.purge_key(url)), self._purged_host(url)
        return {id: entry for id, entry in found.items() if entry.key.split("\n", 2)[1] == host} if host else found

    def purged_meanwhile(self, flight: Flight, entry: Entry) -> PurgeOrder | None:
        """The purge, if any, that was ordered after this flight opened and names what it brings; hard ones first."""
        if not self._state.purges:
            return None
        bound = [
            order
            for at, order in self._state.purges
            # A landing may replace what it invalidates itself.
            if flight.opened_at < at < self._state.events and self._is_named(entry, order)
        ]
        return min(bound, key=lambda order: order.soft, default=None)

    def _is_named(self, entry: Entry, order: PurgeOrder) -> bool:
        if order.kind is PurgeKind.PREFIX:
            return entry.key.startswith(_beginning(order.value))
        return not set(marks_of(entry)).isdisjoint(self.marks_left_by(order))

    def forget_purges(self) -> None:
        if self._state.purges and not len(self._state.flights):
            self._state.purges.clear()

    def invalidate(self, target: str) -> list[int]:
        """Remove all stored responses of a target, every variant; what is in flight for it is not stored (§4.4)."""
        self._bind_flights(PurgeOrder(PurgeKind.URL, target))
        return [self._state.take_out(entry, Cause.PURGED) for entry in self._named(target).values()]


def _beginning(prefix: str) -> str:
    """How the first lines of keys begin that have this prefix: it goes without scheme and host. An empty path is
    "/"."""
    return split_url(prefix)[2] or "/"
