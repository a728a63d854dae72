"""Fills in flight: who waits for what (RFC 9111 §4, collapsed forwarding).

A flight opens with the `Fetch` of the first request that missed, collects the tickets of requests that join it, and
ends when its head lands or it fails. Later requests find the entry in the index, still filling or complete.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.plan import Fetch, Join
from cdnkit.policy.rule import Rule


@dataclass(slots=True)
class Waiter:
    """One request that waits, with what is needed to answer it."""

    ticket: int
    request: RequestHead
    rule: Rule
    plan: Fetch | Join
    upstream_count: int = 0
    """The upstream requests it has caused so far (`cdnkit.policy.upstream.request.MAX_UPSTREAM_REQUESTS`)."""


@dataclass(slots=True)
class Flight:
    """One exchange under way."""

    fetch: Fetch
    opened_at: int
    """The machine's event number when it opened: purges with a later number apply to what it brings."""
    waiters: list[Waiter] = field(default_factory=list)


class FlightTable:
    """Flights by fetch id, and the open one of each key that newcomers may join."""

    def __init__(self) -> None:
        self._by_id: dict[int, Flight] = {}
        self._open: dict[str, Flight] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def open(self, flight: Flight) -> None:
        self._by_id[flight.fetch.id] = flight
        if flight.fetch.collapsible:
            self._open[flight.fetch.flight_key] = flight

    def flight_of(self, fetch: Fetch) -> Flight | None:
        return self._by_id.get(fetch.id)

    def to_join(self, key: str) -> Flight | None:
        return self._open.get(key)

    def close(self, fetch: Fetch) -> Flight | None:
        """The flight of that fetch, closed to newcomers; None when it has landed before."""
        flight = self._by_id.pop(fetch.id, None)
        if self._open.get(fetch.flight_key) is flight and flight is not None:
            del self._open[fetch.flight_key]
        return flight

    def close_to_newcomers(self, keys: Iterable[str] | None = None) -> None:
        """No request from now on joins a flight for one of these cache keys (None: any): its request was made too
        early."""
        if keys is None:
            self._open.clear()
            return
        stale = set(keys)
        for flight_key in [key for key, flight in self._open.items() if flight.fetch.key in stale]:
            del self._open[flight_key]
