"""What a request gets: the half of the machine that is told of requests and holds its state.

See `policy/machine.py` for the theory and the table.
"""

from collections.abc import Callable
from typing import TypeVar

from cachetools import LRUCache

from policy.access import Gate, ServiceGate
from policy.answering import Answering
from policy.eviction import Room
from policy.flights import Flight, FlightTable, Waiter
from policy.forward import conditional, for_the_rest, forwarded, has_conditions, hops_left, visited
from policy.index import Entry, EntryIndex
from policy.judging import Judgement, Way, judge
from policy.key import cache_key, plain_key, with_reduced_coding
from policy.matching import Matcher
from policy.messages import RequestHead
from policy.paging import Pages, request_for
from policy.parts import may_be_completed
from policy.plan import Fetch, Join, Plan, PurgeOrder, Purpose, Refuse, Relay, Serve
from policy.profile import RFC9111, Profile, RequestFields
from policy.record import Cause, Outcome
from policy.service import Behavior, Service
from policy.settling import settled
from policy.token.scheme import split_path

DECISIVE = frozenset(
    {"cache-control", "pragma", "via", "range", "if-range", "if-none-match", "if-modified-since", "authorization"}
)
"""Request fields that may change what a fresh stored response is good for; without them a hit is a hit."""

NEVER_FORWARDED = frozenset({"TRACE", "CONNECT"})
"""TRACE would show a client the fields that nodes add for one another (RFC 9110 §9.3.8); CONNECT is a tunnel's."""


A = TypeVar("A", bound=Plan | Relay)


class Deciding:
    """State of one cache node, and its decisions about requests."""

    def __init__(
        self,
        service: Service,
        profile: Profile = RFC9111,
        *,
        gate: Gate | None = None,
        fresh_id: Callable[[], str] | None = None,
    ) -> None:
        """`fresh_id`: a new request id at every call, for profiles that send one; None: ids that count up."""
        # What a behavior leaves open, the profile settles: once, here.
        service = service.model_copy(update={"behaviors": tuple(settled(b, profile) for b in service.behaviors)})
        self.service = service
        self.profile = profile
        self.gate: Gate = gate if gate is not None else ServiceGate(service, {})
        self.index = EntryIndex()
        self.room = Room(service.room)
        self.flights = FlightTable()
        self.matcher = Matcher(service.behaviors, settled(Behavior(path="*"), profile))
        self._plain = {
            id(behavior): key_of
            for behavior in (*service.behaviors, self.matcher.otherwise)
            if behavior.cache and (key_of := plain_key(behavior)) is not None
        }
        """Behaviors (by identity) under which a plain hit needs no look at key rules."""
        self._guarded = {
            id(behavior) for behavior in service.behaviors
            if service.gate and (behavior.token is not None or behavior.geo is not None)
        }  # fmt: skip
        """Behaviors (by identity) whose requests the gate looks at."""
        self._pages = Pages(service)
        if self._pages:
            self._plain = {}  # a hit may be an error that a page stands in for
        self._paging: LRUCache[int, int] = LRUCache(65_536)
        """Tickets that wait for a page in place of an error -> the status to tell with it."""
        self._answering = Answering(service.name, profile, faces_viewers=service.gate, fresh_id=fresh_id)
        self._filling: dict[int, Entry] = {}
        self._alone_until: LRUCache[str, float] = LRUCache(65_536)
        """Keys whose last answer could not be shared: requests for them do not wait for one another."""
        self._failing: LRUCache[str, tuple[float, Refuse]] = LRUCache(4096)
        """Keys whose fill failed, until when the parent is left alone, and what is said meanwhile."""
        self._purges: list[tuple[int, PurgeOrder]] = []
        """Purges since the oldest open flight began: what lands must not bring back what they took away."""
        self.varying: set[str] = set()
        """Every request field a Vary has named so far: what a record must keep, for a replay to select the same."""
        self.events = 0
        """How many things this machine was told; the `seq` of records."""
        self._ids = 0

    def on_request(self, request: RequestHead, now: float) -> Plan:
        """What to do with a request that arrived at `now`."""
        self.events += 1
        behavior = self.behavior_of(request)
        refusal, admitted = None, request
        if id(behavior) in self._guarded or (self.gate.prefixes and request.path.startswith(self.gate.prefixes)):
            refusal = self.gate.refusal(request, behavior, now)
            if refusal is None:
                admitted = self.gate.stripped(request, behavior)
        key_of = self._plain.get(id(behavior)) if request.method == "GET" and refusal is None else None
        if key_of is not None:
            served = self._plain_hit(admitted, behavior, key_of(admitted), now)
            if served is not None:
                return served
        if visited(request, self.service.name):
            return self._refuse(508, f"loop: the request has passed {self.service.name} before", behavior, now)
        if request.method in NEVER_FORWARDED:
            return self._refuse(405, f"method: {request.method} is not for a cache to forward", behavior, now)
        if request.method == "OPTIONS" and hops_left(request) == 0:
            return self._refuse(204, "max-forwards: 0", behavior, now)
        if behavior.methods != "all" and request.method not in behavior.methods.split(", "):
            return self._refuse(403, f"method: {request.method} is not let through here", behavior, now)
        if refusal is not None:
            return self._refuse(refusal.status, refusal.reason, behavior, now, page=refusal.page)
        request = admitted
        if self.profile.accept_encoding_reduced:
            request = with_reduced_coding(request)
        ticket = self._next_id()
        return self._paged(self._plan(request, behavior, ticket, now), request, ticket, now)

    def behavior_of(self, request: RequestHead) -> Behavior:
        """The behavior that rules a request, by its path proper: a token that stands in the path is not looked at."""
        for prefix in self.gate.prefixes:
            if request.path.startswith(prefix):
                return self.matcher.behavior_of(split_path(request.path, prefix)[1])
        return self.matcher.behavior_of(request.path)

    def _plain_hit(self, request: RequestHead, behavior: Behavior, key: str, now: float) -> Serve | None:
        """The usual case, short: a GET that asks for nothing special, of a fresh response that varies on nothing.

        None: not that case; the long way decides, and would decide the same.
        """
        entries = self.index.variants(key)
        if not entries:
            return None
        entry = entries[0]
        life = entry.life
        if now >= life.fresh_until or life.revalidate_always or entry.selecting or entry.part is not None:
            return None
        for name, _ in request.headers.lines:
            if name in DECISIVE:
                return None
        entry.hits += 1
        self.room.touch(entry)
        return self._answering.plain_hit(entry, behavior, now)

    def _paged(self, answer: A, request: RequestHead, ticket: int, now: float) -> A | Plan:
        """The answer, or what gets the page that stands in for it."""
        if not self._pages or isinstance(answer, Fetch | Join) or answer.outcome is Outcome.REFUSED:
            return answer
        page = self._pages.instead_of(answer.status, request)
        if page is None or (isinstance(answer, Serve) and answer.refresh is not None):
            return answer
        behavior = self.matcher.behavior_of(page.page)
        plan = self._plan(request_for(page, request), behavior, ticket, now)
        if isinstance(plan, Fetch | Join):
            self._paging[ticket] = page.response_status
        elif plan.status == 200:
            plan.status = page.response_status
        return plan

    def judged(self, request: RequestHead, behavior: Behavior, now: float) -> Judgement:
        """What the request would get now; nothing is touched."""
        key = cache_key(request, behavior)
        alone_until = self._alone_until.get(key, 0.0)
        return judge(
            request, behavior, index=self.index, profile=self.profile, alone_until=alone_until, key=key, now=now
        )

    def _plan(self, request: RequestHead, behavior: Behavior, ticket: int, now: float) -> Plan:
        judgement = self.judged(request, behavior, now)
        entry, cause = judgement.entry, judgement.cause
        if cause is None:
            assert entry is not None
            return self._hit(entry, request, behavior, now, refresh=judgement.way is Way.REFRESH)
        if judgement.way is Way.NOT_CACHED_ONLY:
            return self._refuse(504, f"only-if-cached: {judgement.way.value}", behavior, now, Outcome.FAILED)
        if judgement.way is Way.PASS:
            return self._pass(request, behavior, ticket, cause, now)
        held = self._held(judgement.key, entry, request, behavior, now)
        if held is not None:
            return held
        if not judgement.alone:
            flight = self.flights.to_join(judgement.flight_key)
            if flight is not None:
                join = Join(ticket, flight.fetch.id, behavior, cause)
                flight.waiters.append(Waiter(ticket, request, behavior, join))
                return join
        if request.method == "HEAD" and not self.profile.head_as_get:
            # A HEAD's answer has no body to store: it goes as it is, alone, and tells of the stored GET (§4.3.5).
            return self._pass(request, behavior, ticket, cause, now, entry)
        return self._fetch(request, behavior, ticket, judgement, now)

    def _hit(self, entry: Entry, request: RequestHead, behavior: Behavior, now: float, *, refresh: bool) -> Serve:
        entry.hits += 1
        self.room.touch(entry)
        outcome = Outcome.HIT if now < entry.life.fresh_until else Outcome.HIT_STALE
        served = self._answering.from_store(entry, request, behavior, outcome, now)
        if refresh and self.flights.to_join(entry.key) is None:
            ranged = entry.part is not None
            behind = Judgement(Way.ASK, entry.key, entry, None, ranged=ranged, flight_key=entry.key)
            served.refresh = self._fetch(request, behavior, 0, behind, now)
        return served

    def _held(
        self, key: str, entry: Entry | None, request: RequestHead, behavior: Behavior, now: float
    ) -> Serve | Refuse | None:
        """What stands in for a parent that failed a moment ago and is not asked again so soon."""
        failing = self._failing.get(key)
        if failing is None:
            return None
        until, said = failing
        if now >= until:
            del self._failing[key]
            return None
        if entry is not None and entry.part is None and now < entry.life.fallback_until:
            self.room.touch(entry)
            return self._answering.from_store(entry, request, behavior, Outcome.HIT_STALE, now)
        return self._refuse(said.status, said.reason, behavior, now, Outcome.FAILED, said.words)

    def _refuse(
        self,
        status: int,
        reason: str,
        behavior: Behavior,
        now: float,
        outcome: Outcome = Outcome.REFUSED,
        words: str = "",
        page: tuple[str, str] | None = None,
    ) -> Refuse:
        return self._answering.refusal(status, reason, behavior, outcome, now, words, page)

    def _pass(
        self,
        request: RequestHead,
        behavior: Behavior,
        ticket: int,
        cause: Cause,
        now: float,
        entry: Entry | None = None,
    ) -> Fetch:
        upstream = self._upstream(request, behavior)
        key = cache_key(request, behavior)
        fetch = Fetch(self._next_id(), ticket, Purpose.PASS, upstream, key, behavior, cause, entry, False, now)
        return self._open(fetch, request, behavior)

    def _fetch(self, request: RequestHead, behavior: Behavior, ticket: int, judgement: Judgement, now: float) -> Fetch:
        """Open a flight for what the judgement found missing; ticket 0: nobody waits, it refreshes."""
        entry, ranged = judgement.entry, judgement.ranged
        # With something stored, its own validators ask; the client's conditions are answered from the outcome.
        own = entry is None and ticket != 0 and self.profile.forward_conditions and has_conditions(request)
        upstream = self._upstream(request, behavior, conditions=own, ranges=ranged)
        upstream.method = "GET"
        purpose = Purpose.MISS
        if entry is not None and judgement.cause is Cause.PARTIAL:
            if not ranged and may_be_completed(entry):
                assert entry.part is not None and entry.etag is not None
                upstream = for_the_rest(upstream, entry.part.stop, entry.etag)
        elif entry is not None and entry.has_validator:
            upstream = conditional(upstream, entry.etag, entry.last_modified)
            purpose = Purpose.REVALIDATE
        fetch = Fetch(
            id=self._next_id(),
            ticket=ticket,
            purpose=purpose if ticket else Purpose.REFRESH,
            request=upstream,
            key=judgement.key,
            behavior=behavior,
            cause=judgement.cause,
            entry=entry,
            collapsible=not judgement.alone,
            sent_at=now,
            flight_key=judgement.flight_key,
        )
        return self._open(fetch, request, behavior)

    def _upstream(
        self, request: RequestHead, behavior: Behavior, *, conditions: bool = True, ranges: bool = True
    ) -> RequestHead:
        named = self.profile.request_fields is RequestFields.CLOUDFRONT
        return forwarded(
            request, self.service.name, conditions=conditions, ranges=ranges, behavior=behavior, profile=self.profile,
            request_id=self._answering.fresh_id() if named else "",
        )  # fmt: skip

    def _open(self, fetch: Fetch, request: RequestHead, behavior: Behavior) -> Fetch:
        waiters = [Waiter(fetch.ticket, request, behavior, fetch)] if fetch.ticket else []
        self.flights.open(Flight(fetch, self.events, waiters))
        return fetch

    def _next_id(self) -> int:
        self._ids += 1
        return self._ids
