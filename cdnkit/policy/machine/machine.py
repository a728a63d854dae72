"""EdgeMachine: the decisions of one cache node. Events and their times go in; what the shell has to do comes out.

Theory. A request finds a stored response and is served, or it needs the parent: then it opens a *flight*, or joins the
one that is open for its key. A flight ends with exactly one landing: a response head, or a failure. At the landing
every waiting ticket gets its answer; the leader is only the first of them.

    what a GET finds                        what it gets                        outcome
    --------------------------------------  ----------------------------------  -----------------------------
    the gate says no                        Refuse                              refused
    fresh                                   Serve                               hit
    stale, refreshable                      Serve, with a refresh behind it     hit-stale
    stale, a flight is open                 Join                                collapsed
    stale, has a validator                  Fetch, conditional                  revalidated (304), miss (200)
    stale, has none; or nothing             Fetch                               miss, or pass if uncacheable
    another method; behavior does not cache Fetch, alone                        pass
    the parent failed, stored meanwhile     Serve                               hit
    the parent failed, stale is allowed     Serve                               hit-stale
    the parent failed                       Refuse 502/504                      failed

The machine holds heads, sizes and instants; the shell holds bodies, sockets and futures, by id. All that the machine
knows is in one `NodeState`, which its parts share and change:

    requests   what a request gets                                    on_request
    landings   how a flight ends                                      on_interim, on_response, on_body_end, on_failure,
                                                                      on_found
    fills      storing a response, and sharing it with those who waited
    fallback   what those who waited get when the parent fails
    purges     removing stored responses                               on_purge, on_lost, restore
"""

from collections.abc import Iterable
from typing import Any, Unpack

from cdnkit.policy.gate.gate import Gate
from cdnkit.policy.http.messages import RequestHead, ResponseHead
from cdnkit.policy.machine.fallback import Fallback
from cdnkit.policy.machine.fills import Fills
from cdnkit.policy.machine.flights import FlightTable
from cdnkit.policy.machine.landings import Landings
from cdnkit.policy.machine.purges import Purges
from cdnkit.policy.machine.requests import Requests
from cdnkit.policy.machine.short_way import ShortWay
from cdnkit.policy.machine.state import NodeOptions, NodeState, View
from cdnkit.policy.outcomes import Failure
from cdnkit.policy.plan import Answer, Fetch, Landing, Plan, Purged, PurgeOrder, Refuse, Relay, Serve
from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.service import Service
from cdnkit.policy.store.eviction import Room
from cdnkit.policy.store.index import Entry, EntryIndex
from cdnkit.policy.store.slices import Assembly


class EdgeMachine:
    """The decisions of one cache node. Not thread-safe: one loop calls it, in the order of events."""

    def __init__(
        self,
        service: Service,
        profile: Profile = RFC9111,
        **options: Unpack[NodeOptions],
    ) -> None:
        self.state = state = NodeState(service, profile, **options)
        self.view = view = View(state)
        self._requests = Requests(state, view)
        self.short_way = ShortWay(state, view, self._requests)
        self._purges = Purges(state)
        self._fills = Fills(state, self._requests, self._purges)
        self._fallback = Fallback(state, view, self._requests, self._fills)
        self._landings = Landings(state, self._requests, self._purges, self._fills, self._fallback)

    # ---- events ---------------------------------------------------------------------------------------

    def on_request(self, request: RequestHead, now: float) -> Plan:
        """What to do with a request that arrived at `now`."""
        return self._requests.on_request(request, now)

    def on_interim(self, fetch: Fetch, head: ResponseHead) -> list[int]:
        """An interim response came: the tickets of those to whom it is passed on. It is never stored, nor repeated."""
        return self._landings.on_interim(fetch, head)

    def on_response(self, fetch: Fetch, head: ResponseHead, now: float) -> Landing:
        """The parent's final response head came. Called at most once per fetch; 1xx never come here."""
        return self._landings.on_response(fetch, head, now)

    def on_found(self, fetch: Fetch, values: dict[str, Any], size_bytes: int, now: float) -> Landing | None:
        """A shared tier has a response (`cdnkit.policy.store.serialise` values). None: it is of no use here; the fetch
        goes to the parent."""
        return self._landings.on_found(fetch, values, size_bytes, now)

    def on_body_end(self, fetch: Fetch, size_bytes: int, now: float) -> Landing:
        """The body of a landed response is complete: `size_bytes` came. `Landing.dropped` made room for it."""
        return self._landings.on_body_end(fetch, size_bytes, now)

    def on_failure(self, fetch: Fetch, why: Failure, now: float) -> Landing:
        """The exchange failed: before its head came (everyone gets an answer) or in mid-body (nothing is stored)."""
        return self._landings.on_failure(fetch, why, now)

    def on_purge(self, order: PurgeOrder, now: float) -> Purged:
        """Remove, or make stale, what the order names; fills in flight obey it too."""
        return self._purges.on_purge(order, now)

    def settle(self, most: int, purges: int) -> list[Entry] | None:
        """At most `most` of the stored responses that the first `purges` soft purges of very many made stale, and
        `Purged.changed` does not name; None: there are no more. No decision depends on it."""
        return self.state.index.settle(most, purges)

    def on_lost(self, entry: Entry) -> list[int]:
        """The shell has lost the body: the response is no longer stored."""
        return self._purges.on_lost(entry)

    def restore(self, entries: Iterable[Entry]) -> list[int]:
        """Take in what an earlier run left, oldest first, before any other event; ids of what there is no room for."""
        return self._purges.restore(entries)

    def skip(self, events: int) -> None:
        """Count events that change nothing and are not passed in one by one: the plain hits of a replay."""
        self.state.events += events

    # ---- questions of the shell, which change nothing ---------------------------------------------------------

    def assembled(self, assembly: Assembly, opening: Answer, now: float) -> Serve | Relay | Refuse | None:
        """The viewer's response, from the response to the opening block of an assembly.

        None: it cannot be sliced, so the shell goes on with `Assembly.whole_request`.
        """
        return self._requests.assembled(assembly, opening, now)

    def unreadable(self, status: int, reason: str, now: float) -> Refuse:
        """The response to a request that could not be parsed."""
        return self._requests.unreadable(status, reason, now)

    def counts_as_whole(self, why: Failure, head: ResponseHead) -> bool:
        """Whether a body that broke off like this counts as complete: then it ends with `on_body_end`."""
        return self._landings.counts_as_whole(why, head)

    def marks_left_by(self, order: PurgeOrder) -> list[str]:
        """The marks that the order leaves in a shared tier (cdnkit/policy/machine/purge_marks.py)."""
        return self._purges.marks_left_by(order)

    @property
    def soft_purges(self) -> int:
        """Soft purges of very many so far, for `settle`."""
        return self.state.index.soft_purges

    @property
    def service(self) -> Service:
        return self.state.service

    @property
    def profile(self) -> Profile:
        return self.state.profile

    @property
    def gate(self) -> Gate:
        return self.state.gate

    @property
    def index(self) -> EntryIndex:
        return self.state.index

    @property
    def room(self) -> Room:
        return self.state.room

    @property
    def flights(self) -> FlightTable:
        return self.state.flights

    @property
    def vary_fields(self) -> set[str]:
        return self.state.vary_fields

    @property
    def decisive(self) -> frozenset[str]:
        """Request fields without which a request is plain (`cdnkit/policy/gate/plain.py`)."""
        return self.state.decisive

    @property
    def events(self) -> int:
        """How many events this machine has had; the `seq` of records."""
        return self.state.events
