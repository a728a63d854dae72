"""EdgeMachine: one cache node's mind. Told what happened and when, it says what to do next.

Theory. A request finds a stored response and is served, or it needs the parent: then it opens a *flight*, or joins the
one that is open for its key. A flight ends with exactly one landing: a head, or a failure. At the landing every ticket
that waited gets its answer, and the leader is only the first of them.

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

The machine holds heads, sizes and instants; the shell holds bodies, sockets and futures, by id. One `NodeState` is what
it knows; its parts hold that and change it:

    requests   what a request gets                                    on_request
    landings   how a flight ends                                      on_interim, on_response, on_body_end, on_failure,
                                                                      on_found
    fills      what came is stored, and shared with those who waited
    fallback   what they get when the parent fails
    purges     what is taken away                                     on_purge, on_lost, restore
"""

from collections.abc import Callable, Collection, Iterable
from typing import Any

from cdnkit.policy.gate.gate import Gate
from cdnkit.policy.gate.limits import UNLIMITED, RequestLimits
from cdnkit.policy.http.messages import RequestHead, ResponseHead
from cdnkit.policy.machine.fallback import Fallback
from cdnkit.policy.machine.fills import Fills
from cdnkit.policy.machine.flights import FlightTable
from cdnkit.policy.machine.landings import Landings
from cdnkit.policy.machine.purges import Purges
from cdnkit.policy.machine.requests import Requests
from cdnkit.policy.machine.state import NodeState, View
from cdnkit.policy.outcomes import Failure
from cdnkit.policy.plan import Answer, Fetch, Landing, Plan, Purged, PurgeOrder, Refuse, Relay, Serve
from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.service import Service
from cdnkit.policy.store.eviction import Room
from cdnkit.policy.store.index import Entry, EntryIndex
from cdnkit.policy.store.slices import Assembly


class EdgeMachine:
    """One cache node's mind. Not thread-safe: one loop tells it everything, in order."""

    def __init__(
        self,
        service: Service,
        profile: Profile = RFC9111,
        *,
        gate: Gate | None = None,
        limits: RequestLimits = UNLIMITED,
        fresh_id: Callable[[], str] | None = None,
        codings: Collection[str] = ("gzip",),
        fresh_room: Callable[[], Room] | None = None,
    ) -> None:
        """As a `NodeState`."""
        self.state = state = NodeState(
            service, profile, gate=gate, limits=limits, fresh_id=fresh_id, codings=codings, fresh_room=fresh_room
        )
        self.view = view = View(state)
        self._requests = Requests(state, view)
        self._purges = Purges(state)
        self._fills = Fills(state, self._requests, self._purges)
        self._fallback = Fallback(state, view, self._requests, self._fills)
        self._landings = Landings(state, self._requests, self._purges, self._fills, self._fallback)

    # ---- what it is told ---------------------------------------------------------------------------------------

    def on_request(self, request: RequestHead, now: float) -> Plan:
        """What to do with a request that arrived at `now`."""
        return self._requests.on_request(request, now)

    def on_interim(self, fetch: Fetch, head: ResponseHead) -> list[int]:
        """An interim response came: the tickets of those to whom it is passed on. Never kept, never said again."""
        return self._landings.on_interim(fetch, head)

    def on_response(self, fetch: Fetch, head: ResponseHead, now: float) -> Landing:
        """The parent's final response head came. Called at most once per fetch; 1xx never come here."""
        return self._landings.on_response(fetch, head, now)

    def on_found(self, fetch: Fetch, values: dict[str, Any], size_bytes: int, now: float) -> Landing | None:
        """A tier that nodes share has a response (`cdnkit.policy.store.serialise` values). None: of no use here, ask
        the parent."""
        return self._landings.on_found(fetch, values, size_bytes, now)

    def on_body_end(self, fetch: Fetch, size_bytes: int, now: float) -> Landing:
        """The body of a landed response is complete: `size_bytes` came. `Landing.dropped` made room for it."""
        return self._landings.on_body_end(fetch, size_bytes, now)

    def on_failure(self, fetch: Fetch, why: Failure, now: float) -> Landing:
        """The exchange failed: before its head came (everyone gets an answer) or in mid-body (nothing is kept)."""
        return self._landings.on_failure(fetch, why, now)

    def on_purge(self, order: PurgeOrder, now: float) -> Purged:
        """Take away, or make stale, what the order names; what is in flight is bound by it too."""
        return self._purges.on_purge(order, now)

    def on_lost(self, entry: Entry) -> list[int]:
        """The shell cannot give the body back: the response is not stored any more."""
        return self._purges.on_lost(entry)

    def restore(self, entries: Iterable[Entry]) -> list[int]:
        """Take in, before anything else, what an earlier run left, oldest first; ids of what there is no room for."""
        return self._purges.restore(entries)

    def skip(self, events: int) -> None:
        """Count events that changed nothing and are not told one by one: the plain hits of a replay."""
        self.state.events += events

    # ---- what a shell asks beside, and nothing is touched ------------------------------------------------------

    def assembled(self, assembly: Assembly, opening: Answer, now: float) -> Serve | Relay | Refuse | None:
        """The viewer's answer, from what the opening block of an assembly was answered with.

        None: it cannot be sliced, so the machine is to be asked for `Assembly.whole_request`.
        """
        return self._requests.assembled(assembly, opening, now)

    def unreadable(self, status: int, reason: str, now: float) -> Refuse:
        """What is answered to one whose request could not be read, and so is none."""
        return self._requests.unreadable(status, reason, now)

    def counts_as_whole(self, why: Failure, head: ResponseHead) -> bool:
        """Whether a body that broke off so is taken for all of it: then it ends with `on_body_end`."""
        return self._landings.counts_as_whole(why, head)

    def marks_left_by(self, order: PurgeOrder) -> list[str]:
        """What the order leaves, wherever that is kept (cdnkit/policy/machine/purge_marks.py)."""
        return self._purges.marks_left_by(order)

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
    def varying(self) -> set[str]:
        return self.state.varying

    @property
    def decisive(self) -> frozenset[str]:
        """Request fields without which a request is plain (`cdnkit/policy/machine/fast_path.py`)."""
        return self.state.decisive

    @property
    def events(self) -> int:
        """How many things this machine was told; the `seq` of records."""
        return self.state.events
