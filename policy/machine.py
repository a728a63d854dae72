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
    the parent failed, stale is allowed     Serve                               hit-stale
    the parent failed                       Refuse 502/504                      failed

The machine holds heads, sizes and instants; the shell holds bodies, sockets and futures, by id.
"""

from dataclasses import replace

from cachetools import LRUCache

from policy.access import Gate, ServiceGate
from policy.answering import Answering
from policy.eviction import Room
from policy.fields.dates import format_date
from policy.flights import Flight, FlightTable, Waiter
from policy.forward import conditional, forwarded, visited
from policy.index import Entry, EntryIndex, selecting_fields, surrogate_keys_of, vary_names
from policy.key import cache_key, drop_parameter
from policy.lifetime import lifetime_of
from policy.matching import Matcher
from policy.messages import Headers, RequestHead, ResponseHead, end_to_end
from policy.plan import (
    Failure,
    Fetch,
    Join,
    Landing,
    Plan,
    Purged,
    PurgeKind,
    PurgeOrder,
    Purpose,
    Refuse,
    Serve,
)
from policy.profile import RFC9111, Profile
from policy.record import Cause, Outcome
from policy.reuse import Standing, asked, forbids_reuse, standing, takes_stale
from policy.revalidate import freshened, names_another
from policy.service import Behavior, Service
from policy.storing import content_length, stored_headers, why_not_store

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
ORIGIN_FAILED = frozenset({500, 502, 503, 504})
"""Answers that stale-if-error counts as errors (RFC 5861 §4)."""


class EdgeMachine:
    """One cache node's mind. Not thread-safe: one loop tells it everything, in order."""

    def __init__(self, service: Service, profile: Profile = RFC9111, *, gate: Gate | None = None) -> None:
        self.service = service
        self.profile = profile
        self.gate: Gate = gate if gate is not None else ServiceGate(service, {})
        self.index = EntryIndex()
        self.room = Room(service.room)
        self.flights = FlightTable()
        self.matcher = Matcher(service.behaviors, Behavior(path="*"))
        self._answering = Answering(service.name, profile)
        self._filling: dict[int, Entry] = {}
        self._alone_until: LRUCache[str, float] = LRUCache(65_536)
        """Keys whose last answer could not be shared: requests for them do not wait for one another."""
        self._purges: list[tuple[int, PurgeOrder]] = []
        """Purges since the oldest open flight began: what lands must not bring back what they took away."""
        self.varying: set[str] = set()
        """Every request field a Vary has named so far: what a record must keep, for a replay to select the same."""
        self.events = 0
        """How many things this machine was told; the `seq` of records."""
        self._ids = 0

    # ---- requests ----------------------------------------------------------------------------------------------

    def on_request(self, request: RequestHead, now: float) -> Plan:
        """What to do with a request that arrived at `now`."""
        self.events += 1
        behavior = self.matcher.behavior_of(request.path)
        if visited(request, self.service.name):
            return self._refuse(508, f"loop: the request has passed {self.service.name} before", behavior, now)
        refusal = self.gate.refusal(request, behavior, now)
        if refusal is not None:
            return self._refuse(refusal.status, refusal.reason, behavior, now)
        secret = self.gate.secret_parameter(behavior)
        if secret is not None:
            request = replace(request, query=drop_parameter(request.query, secret))
        return self._plan(request, behavior, self._next_id(), now)

    def _plan(self, request: RequestHead, behavior: Behavior, ticket: int, now: float) -> Plan:
        if request.method not in ("GET", "HEAD"):
            return self._pass(request, behavior, ticket, Cause.METHOD, now)
        if not behavior.cache:
            return self._pass(request, behavior, ticket, Cause.BYPASS, now)
        key = cache_key(request, behavior)
        wish = asked(request) if self.profile.request_directives else None
        found = self.index.select(key, request.headers)
        if isinstance(found, Entry):
            if wish is not None and forbids_reuse(wish, found.life, now):
                cause = Cause.REQUEST
            else:
                match standing(found.life, now):
                    case Standing.FRESH:
                        return self._hit(found, request, behavior, now)
                    case Standing.REFRESHABLE:
                        return self._hit_stale(found, request, behavior, now)
                if wish is not None and takes_stale(wish, found.life, now):
                    return self._hit(found, request, behavior, now)
                cause = Cause.PURGED if found.life.rule == "soft-purge" else Cause.EXPIRED
            entry: Entry | None = found
        else:
            cause, entry = found, None
        if wish is not None:
            if wish.only_if_cached:
                return self._refuse(504, "only-if-cached: nothing stored may answer", behavior, now, Outcome.FAILED)
            if wish.no_store:
                return self._pass(request, behavior, ticket, Cause.REQUEST, now)
        # "Validate first" is not answered by a question that was asked before this request came.
        alone = cause is Cause.REQUEST or (wish is not None and wish.no_cache) or now < self._alone_until.get(key, 0.0)
        if not alone:
            flight = self.flights.to_join(key)
            if flight is not None:
                join = Join(ticket, flight.fetch.id, behavior, cause)
                flight.waiters.append(Waiter(ticket, request, behavior, join))
                return join
        if request.method == "HEAD" and entry is None:
            # A HEAD's answer has no body to store: it goes as it is, and alone.
            return self._pass(request, behavior, ticket, cause, now)
        return self._fetch(request, behavior, ticket, key, cause, entry, now, collapsible=not alone)

    def _hit(self, entry: Entry, request: RequestHead, behavior: Behavior, now: float) -> Serve:
        entry.hits += 1
        self.room.touch(entry)
        outcome = Outcome.HIT if now < entry.life.fresh_until else Outcome.HIT_STALE
        return self._answering.from_store(entry, request, behavior, outcome, now)

    def _hit_stale(self, entry: Entry, request: RequestHead, behavior: Behavior, now: float) -> Serve:
        served = self._hit(entry, request, behavior, now)
        if self.flights.to_join(entry.key) is None:
            served.refresh = self._fetch(request, behavior, 0, entry.key, None, entry, now, collapsible=True)
        return served

    def _refuse(
        self, status: int, reason: str, behavior: Behavior, now: float, outcome: Outcome = Outcome.REFUSED
    ) -> Refuse:
        return self._answering.refusal(status, reason, behavior, outcome, now)

    def _pass(self, request: RequestHead, behavior: Behavior, ticket: int, cause: Cause, now: float) -> Fetch:
        upstream = forwarded(request, self.service.name, whole=False)
        key = cache_key(request, behavior)
        fetch = Fetch(self._next_id(), ticket, Purpose.PASS, upstream, key, behavior, cause, None, False, now)
        self._open(fetch, request, behavior)
        return fetch

    def _fetch(
        self,
        request: RequestHead,
        behavior: Behavior,
        ticket: int,
        key: str,
        cause: Cause | None,
        entry: Entry | None,
        now: float,
        *,
        collapsible: bool,
    ) -> Fetch:
        upstream = forwarded(request, self.service.name, whole=True)
        upstream.method = "GET"
        purpose = Purpose.MISS
        if entry is not None and entry.has_validator:
            upstream = conditional(upstream, entry.etag, entry.last_modified)
            purpose = Purpose.REVALIDATE
        if ticket == 0:
            purpose = Purpose.REFRESH
        fetch = Fetch(self._next_id(), ticket, purpose, upstream, key, behavior, cause, entry, collapsible, now)
        self._open(fetch, request, behavior)
        return fetch

    def _open(self, fetch: Fetch, request: RequestHead, behavior: Behavior) -> None:
        waiters = [Waiter(fetch.ticket, request, behavior, fetch)] if fetch.ticket else []
        self.flights.open(Flight(fetch, self.events, waiters))

    def _next_id(self) -> int:
        self._ids += 1
        return self._ids

    # ---- landings ----------------------------------------------------------------------------------------------

    def on_response(self, fetch: Fetch, head: ResponseHead, now: float) -> Landing:
        """The parent's final response head came. Called at most once per fetch; 1xx never come here."""
        self.events += 1
        flight = self.flights.close(fetch)
        if flight is None:
            return Landing()
        response = ResponseHead(head.status, end_to_end(head.headers))
        if "date" not in response.headers:
            # A recipient with a clock adds it when it stores or forwards (RFC 9110 §6.6.1).
            response.headers.lines.append(("date", format_date(now)))
        if fetch.purpose is Purpose.PASS:
            landing = self._land_pass(flight, response, now)
        elif response.status == 304 and fetch.entry is not None:
            landing = self._land_not_modified(flight, fetch.entry, response, now)
        elif response.status in ORIGIN_FAILED and self._stale_stands_in(fetch, now):
            landing = self._land_failure(flight, f"origin: {response.status}", 502, now, response.status)
        else:
            landing = self._land_full(flight, response, now)
        self._forget_purges()
        return landing

    def _land_pass(self, flight: Flight, response: ResponseHead, now: float) -> Landing:
        fetch, landing = flight.fetch, Landing()
        if fetch.request.method not in SAFE_METHODS and 200 <= response.status < 400:
            # RFC 9111 §4.4: the target may look different now.
            landing.dropped = [self._take_out(entry, Cause.PURGED) for entry in list(self.index.variants(fetch.key))]
        for waiter in flight.waiters:
            landing.answers[waiter.ticket] = self._answering.relayed(
                waiter.request, response, fetch, Outcome.PASS, fetch.cause
            )
        return landing

    def _land_not_modified(self, flight: Flight, entry: Entry, response: ResponseHead, now: float) -> Landing:
        fetch = flight.fetch
        landing = Landing()
        if not entry.indexed or names_another(response.headers, entry):
            # The body it speaks of is gone (purged or evicted meanwhile), or it speaks of another: ask for a new one.
            if entry.indexed:
                landing.dropped.append(self._take_out(entry, Cause.EXPIRED))
            self._decide_again(flight, landing, now)
            return landing
        entry.headers = freshened(entry.headers, stored_headers(response))
        self._read_stored(entry, ResponseHead(entry.status, entry.headers), flight, now)
        self.room.touch(entry)
        for waiter in flight.waiters:
            if waiter.plan is fetch:
                landing.answers[waiter.ticket] = self._answering.after_fetch(
                    entry, waiter.request, fetch, waiter.behavior, Outcome.REVALIDATED, fetch.cause, now,
                    forward_status=304,
                )  # fmt: skip
            else:
                self._share(waiter, entry, fetch, landing, now)
        return landing

    def _land_full(self, flight: Flight, response: ResponseHead, now: float) -> Landing:
        fetch, landing = flight.fetch, Landing()
        behavior = fetch.behavior
        why_not = why_not_store(fetch.request, response, behavior, self.profile, largest=self._largest(), now=now)
        if why_not is not None:
            if fetch.purpose is not Purpose.REFRESH or response.status not in ORIGIN_FAILED:
                # The new answer must be used, and the old one with it goes (RFC 9111 §4.3.3).
                landing.dropped = self._retire(fetch)
            if response.status in ORIGIN_FAILED:
                # One clear error for all who waited, not one more question each to an origin in trouble.
                shared = self._entry(flight, response, now)
                landing.store = shared
                self._answer_waiters(flight, shared, landing, now, stored=False, share_always=True)
                return landing
            self._alone_until[fetch.key] = now + self.profile.hit_for_pass
            for waiter in flight.waiters:
                if waiter.plan is fetch:
                    landing.answers[waiter.ticket] = self._answering.relayed(
                        waiter.request, response, fetch, Outcome.PASS, Cause.UNCACHEABLE, detail=why_not
                    )
                else:
                    landing.answers[waiter.ticket] = self._pass(
                        waiter.request, waiter.behavior, waiter.ticket, Cause.UNCACHEABLE, now
                    )
            return landing
        entry = self._entry(flight, response, now)
        landing.store = entry
        self._filling[fetch.id] = entry
        purged = self._purged_meanwhile(flight, entry)
        if purged is not None and not purged.soft:
            self._answer_waiters(flight, entry, landing, now, stored=False, share_always=True)
            return landing
        if purged is not None:
            entry.life = entry.life.made_stale(now)
        if self.room.admit(entry):
            replaced = self.index.add(entry)
            if replaced is not None:
                self.room.pop(replaced.id, None)
                landing.dropped.append(replaced.id)
        landing.dropped += self._make_room()
        if standing(entry.life, now) in (Standing.FRESH, Standing.REFRESHABLE):
            self._alone_until.pop(fetch.key, None)
        else:
            # Every use of it asks the parent, so nobody should wait for somebody else's answer.
            self._alone_until[fetch.key] = now + self.profile.hit_for_pass
        self._answer_waiters(flight, entry, landing, now, stored=True, share_always=False)
        return landing

    def _answer_waiters(
        self, flight: Flight, entry: Entry, landing: Landing, now: float, *, stored: bool, share_always: bool
    ) -> None:
        fetch = flight.fetch
        for waiter in flight.waiters:
            if waiter.plan is fetch:
                landing.answers[waiter.ticket] = self._answering.after_fetch(
                    entry,
                    waiter.request,
                    fetch,
                    waiter.behavior,
                    Outcome.MISS,
                    fetch.cause,
                    now,
                    stored=stored,
                )
            else:
                self._share(waiter, entry, fetch, landing, now, share_always=share_always)

    def _share(
        self,
        waiter: Waiter,
        entry: Entry,
        fetch: Fetch,
        landing: Landing,
        now: float,
        *,
        share_always: bool = False,
    ) -> None:
        """Answer one who joined: with what landed if it may be reused for it, else on its own."""
        selected = not entry.selecting or entry.selecting == selecting_fields(
            (name for name, _ in entry.selecting), waiter.request.headers
        )
        if selected and (share_always or standing(entry.life, now) in (Standing.FRESH, Standing.REFRESHABLE)):
            landing.answers[waiter.ticket] = self._answering.after_fetch(
                entry, waiter.request, fetch, waiter.behavior, Outcome.COLLAPSED, waiter.plan.cause, now
            )
        else:
            self._decide_for(waiter, landing, now)

    def _decide_again(self, flight: Flight, landing: Landing, now: float) -> None:
        for waiter in flight.waiters:
            self._decide_for(waiter, landing, now)

    def _decide_for(self, waiter: Waiter, landing: Landing, now: float) -> None:
        """A second decision for one who waited in vain, under the same ticket; a `Join` simply waits on."""
        plan = self._plan(waiter.request, waiter.behavior, waiter.ticket, now)
        if not isinstance(plan, Join):
            landing.answers[waiter.ticket] = plan

    def on_body_end(self, fetch: Fetch, size_bytes: int, now: float) -> Landing:
        """The body of a landed response is complete: `size_bytes` came. `Landing.dropped` made room for it."""
        self.events += 1
        landing = Landing()
        entry = self._filling.pop(fetch.id, None)
        if entry is None:
            return landing
        entry.complete, entry.length = True, size_bytes
        if not entry.indexed:
            landing.dropped.append(entry.id)
        elif entry.size_bytes != size_bytes:
            entry.size_bytes = size_bytes
            if not self.room.admit(entry):
                landing.dropped.append(self._take_out(entry, Cause.EVICTED))
            landing.dropped += self._make_room()
        return landing

    def on_failure(self, fetch: Fetch, why: Failure, now: float) -> Landing:
        """The exchange failed: before its head came (everyone gets an answer) or in mid-body (nothing is kept)."""
        self.events += 1
        flight = self.flights.close(fetch)
        if flight is None:
            entry = self._filling.pop(fetch.id, None)
            if entry is None:
                return Landing()
            if entry.indexed:
                self._take_out(entry, Cause.UNCACHEABLE if why is Failure.TOO_LARGE else Cause.ABORTED)
            return Landing(dropped=[entry.id])
        landing = self._land_failure(flight, f"origin: {why.value}", why.status, now, None)
        self._forget_purges()
        return landing

    def _land_failure(
        self, flight: Flight, reason: str, status: int, now: float, forward_status: int | None
    ) -> Landing:
        fetch, landing = flight.fetch, Landing()
        stale = fetch.entry if self._stale_stands_in(fetch, now) else None
        for waiter in flight.waiters:
            if stale is not None:
                self.room.touch(stale)
                landing.answers[waiter.ticket] = self._answering.after_fetch(
                    stale, waiter.request, fetch, waiter.behavior, Outcome.HIT_STALE, waiter.plan.cause, now,
                    forward_status=forward_status, detail="stale-if-error",
                )  # fmt: skip
            else:
                landing.answers[waiter.ticket] = self._refuse(status, reason, waiter.behavior, now, Outcome.FAILED)
        return landing

    def _stale_stands_in(self, fetch: Fetch, now: float) -> bool:
        entry = fetch.entry
        return entry is not None and entry.indexed and now < entry.life.fallback_until

    # ---- storing -----------------------------------------------------------------------------------------------

    def _entry(self, flight: Flight, response: ResponseHead, now: float) -> Entry:
        headers = stored_headers(response)
        entry = Entry(
            id=self._next_id(),
            key=flight.fetch.key,
            status=response.status,
            headers=headers,
            life=lifetime_of(response, flight.fetch.behavior, self.profile, asked_at=flight.fetch.sent_at, now=now),
            length=content_length(headers),
        )
        entry.size_bytes = entry.length or 0
        self._read_stored(entry, response, flight, now)
        return entry

    def _read_stored(self, entry: Entry, response: ResponseHead, flight: Flight, now: float) -> None:
        """Everything a later request will compare, read once (again after a 304)."""
        headers = response.headers
        entry.life = lifetime_of(response, flight.fetch.behavior, self.profile, asked_at=flight.fetch.sent_at, now=now)
        entry.etag, entry.last_modified = headers.first("etag"), headers.first("last-modified")
        names = vary_names(headers)
        self.varying.update(names)
        entry.selecting = selecting_fields(names, flight.fetch.request.headers)
        keys = surrogate_keys_of(headers)
        if entry.indexed:
            self.index.retag(entry, keys)
        else:
            entry.surrogate_keys = keys

    def _largest(self) -> int:
        return min(self.service.largest, self.service.room)

    def _make_room(self) -> list[int]:
        gone = self.room.take_pushed_out()
        for entry in gone:
            self.index.remove(entry, Cause.EVICTED)
        return [entry.id for entry in gone]

    def _take_out(self, entry: Entry, why: Cause) -> int:
        self.index.remove(entry, why)
        self.room.pop(entry.id, None)
        return entry.id

    def _retire(self, fetch: Fetch) -> list[int]:
        entry = fetch.entry
        return [self._take_out(entry, Cause.UNCACHEABLE)] if entry is not None and entry.indexed else []

    # ---- purging -----------------------------------------------------------------------------------------------

    def on_purge(self, order: PurgeOrder, now: float) -> Purged:
        """Take away, or make stale, what the order names; what is in flight is bound by it too."""
        self.events += 1
        if len(self.flights):
            self._purges.append((self.events, order))
        match order.kind:
            case PurgeKind.URL:
                entries = list(self.index.variants(self._purge_key(order.value)))
            case PurgeKind.SURROGATE_KEY:
                entries = self.index.tagged(order.value)
            case PurgeKind.EVERYTHING:
                entries = list(self.index)
        if order.soft:
            for entry in entries:
                entry.life = entry.life.made_stale(now)
            return Purged(len(entries), [])
        return Purged(len(entries), [self._take_out(entry, Cause.PURGED) for entry in entries])

    def _purge_key(self, url: str) -> str:
        request = target_of(url)
        return cache_key(request, self.matcher.behavior_of(request.path))

    def _purged_meanwhile(self, flight: Flight, entry: Entry) -> PurgeOrder | None:
        """The purge, if any, that was ordered after this flight began and names what it brings; hard ones first."""
        bound = [
            order
            for at, order in self._purges
            if at > flight.opened_at
            and (
                order.kind is PurgeKind.EVERYTHING
                or (order.kind is PurgeKind.SURROGATE_KEY and order.value in entry.surrogate_keys)
                or (order.kind is PurgeKind.URL and self._purge_key(order.value) == entry.key)
            )
        ]
        return min(bound, key=lambda order: order.soft, default=None)

    def _forget_purges(self) -> None:
        if self._purges and not len(self.flights):
            self._purges.clear()


def target_of(url: str) -> RequestHead:
    """A GET for a URL or a path, without header fields, as the key function wants it."""
    rest = url.partition("://")[2]
    if rest:
        host, slash, target = rest.partition("/")
        target = slash + target or "/"
    else:
        host, target = "", url
    path, mark, query = target.partition("?")
    return RequestHead("GET", "http", host, path, query if mark else None, Headers())
