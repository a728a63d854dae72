"""What a request gets: the half of the machine that is told of requests and holds its state.

See `cdnkit/policy/machine/machine.py` for the theory and the table.
"""

from collections.abc import Callable, Collection
from functools import partial
from math import ceil
from typing import TypeVar

from cachetools import LRUCache

from cdnkit.policy.answer.error_pages import Instead, Pages, request_for
from cdnkit.policy.answer.respond import Answering
from cdnkit.policy.answer.response_policy import Decoration
from cdnkit.policy.gate.checks import Screening
from cdnkit.policy.gate.gate import Gate, ServiceGate
from cdnkit.policy.gate.limits import UNLIMITED, with_short_cookies
from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.machine.fast_path import DECISIVE, KeyOf, ShortWays, is_plain
from cdnkit.policy.machine.flights import Flight, FlightTable, Waiter
from cdnkit.policy.machine.notes import Notes
from cdnkit.policy.outcomes import Cause, Outcome, Refusal
from cdnkit.policy.plan import Answer, Assemble, Decision, Fetch, Join, Plan, PurgeOrder, Purpose, Refuse, Relay, Serve
from cdnkit.policy.rules.matching import Matcher
from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.resolve import settled
from cdnkit.policy.rules.service import Behavior, ErrorPage, Service
from cdnkit.policy.store.eviction import Room, room_for
from cdnkit.policy.store.index import Entry, EntryIndex
from cdnkit.policy.store.key import HEADS, cache_key, has_cookies_in_pairs, with_viewer_fields
from cdnkit.policy.store.lookup import Judgement, Way, judge
from cdnkit.policy.store.slices import Assembly, Versions
from cdnkit.policy.token.scheme import path_proper
from cdnkit.policy.upstream.request import Asking

A = TypeVar("A", bound=Decision | Relay)


class Deciding:
    """State of one cache node, and its decisions about requests."""

    def __init__(
        self,
        service: Service,
        profile: Profile = RFC9111,
        *,
        gate: Gate | None = None,
        excess: Callable[[RequestHead], Refusal | None] = UNLIMITED.excess,
        fresh_id: Callable[[], str] | None = None,
        codings: Collection[str] = ("gzip",),
    ) -> None:
        """`fresh_id`: a new request id at every call, for profiles that send one; None: ids that count up.

        `excess`: why a request is larger than this node takes (`RequestLimits`; `cdnkit/replay/` repeats what was
        said). `codings`: content codings that the shell can put on a body.
        """
        # What a behavior leaves open, the profile settles: once, here.
        policies = {**profile.response_headers_policies, **service.response_headers}
        behaviors = tuple(settled(behavior, profile, policies) for behavior in service.behaviors)
        service = service.model_copy(update={"behaviors": behaviors})
        self.service = service
        self.profile = profile
        self.decisive = DECISIVE | profile.asks_more
        self.codings = frozenset(codings)
        self.gate: Gate = (
            gate if gate is not None else ServiceGate(service, {}, redirect_others=profile.redirect_others)
        )
        self.index = EntryIndex(vary_as_sent=profile.vary_as_sent)
        self.fresh_room: Callable[[], Room] = partial(room_for, service.eviction, service.room, service.block)
        self.room = self.fresh_room()
        self.flights = FlightTable()
        self.matcher = Matcher(service.behaviors, settled(Behavior(path="*"), profile))
        self._pages = Pages(service)
        self._short = ShortWays(service, (*service.behaviors, self.matcher.otherwise), paged=bool(self._pages))
        self._paging: dict[int, Instead] = {}
        """Tickets that wait for a page in place of an error -> what to tell with it. Each goes when its flight lands:
        one that was forgotten sooner would be shown a page in place of the page's own error, and so on."""
        decorations = {
            id(behavior): Decoration(policies[behavior.response_headers_policy])
            for behavior in behaviors
            if behavior.response_headers_policy != "none"
        }
        self._answering = Answering(
            service.name, profile, decorations=decorations, faces_viewers=service.gate, fresh_id=fresh_id
        )
        self._asking = Asking(service, profile, self._answering.fresh_id)
        self.screening = Screening(
            service, profile, self.matcher, excess=excess, answers_preflight=self._answering.answers_preflight
        )
        self._filling: dict[int, Entry] = {}
        self._alone_until: Notes[str] = Notes(65_536)
        """Keys, and ranges of them, whose last answer could not be shared, until when, and why: requests for them do
        not wait for one another."""
        self._varies: LRUCache[int, tuple[str, ...]] = LRUCache(65_536)
        """By the hash of a key whose last answer varied: on what. Requests for different variants do not wait for one
        another."""
        self._failing: Notes[Refuse] = Notes(4096)
        """Keys whose fill failed, until when the parent is left alone, and what is said meanwhile."""
        self._versions = Versions()
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
        path = path_proper(request.path, self.gate.prefixes)
        behavior = self.matcher.behavior_of(path)
        over = self.screening.outright(request)
        if over is not None:
            refused = self._refuse(over[0].status, over[0].reason, behavior, request, now, words=over[1])
            if over[0].ends and request.version.startswith("1"):
                refused.headers.append(("connection", "close"))  # a field of HTTP/1.1 alone (RFC 9113 §8.2.2)
            return refused
        plain = is_plain(request, self.decisive)
        if plain and path is request.path and (key_of := self._short.unguarded.get(id(behavior))) is not None:
            served = self._plain_hit(request, behavior, key_of, now)
            if served is not None:
                return served
        if request.block is not None:
            # A request of our own for a block of what a viewer asked for: he has passed all that stands before.
            ticket = self._next_id()
            return self._paged(self._plan(request, behavior, ticket, now), request, ticket, now)
        refusal = (
            self.screening.barred(request, path, behavior, plain=plain)
            or self.gate.hurried(request, behavior, now)
            or self.gate.refusal(request, behavior, now)
        )
        if refusal is not None:
            return self._turned_away(refusal, request, behavior, now)
        request = self.gate.stripped(request, behavior)
        # Without a token it may be plain where with one in Authorization it was not.
        if (plain or is_plain(request, self.decisive)) and (
            key_of := self._short.guarded.get(id(behavior))
        ) is not None:
            served = self._plain_hit(request, behavior, key_of, now)
            if served is not None:
                return served
        request = self.seen(request)
        if behavior.slice is not None and behavior.cache and request.method in ("GET", "HEAD"):
            return Assemble(Assembly(request, behavior, behavior.slice), behavior)
        ticket = self._next_id()
        return self._paged(self._plan(request, behavior, ticket, now), request, ticket, now)

    def _turned_away(self, refusal: Refusal, request: RequestHead, behavior: Behavior, now: float) -> Decision:
        """What one who is refused is told: a line, where to come instead, when to come again, or a page."""
        if refusal.retry_after is not None:
            return self._slowed(refusal, refusal.retry_after, request, behavior, now)
        refused = self._refuse(refusal.status, refusal.reason, behavior, request, now, page=refusal.page)
        if refusal.location is not None:
            refused.headers.append(("location", refusal.location))
        if not (refusal.paged and self._pages):
            return refused
        return self._paged(refused, self.seen(request), self._next_id(), now, refused=refusal.reason)

    def _slowed(self, refusal: Refusal, wait: float, request: RequestHead, behavior: Behavior, now: float) -> Refuse:
        """What one who asks too often is told, in the profile's way."""
        said = self.profile.too_many
        refused = self._refuse(said.status, refusal.reason, behavior, request, now, words=said.words)
        if said.status == 429:
            refused.headers.append(("retry-after", str(max(1, ceil(wait)))))  # RFC 6585 section 4
        return refused

    def behavior_of(self, request: RequestHead) -> Behavior:
        """The behavior that rules a request, by its path proper."""
        return self.matcher.behavior_of(path_proper(request.path, self.gate.prefixes))

    def seen(self, request: RequestHead) -> RequestHead:
        """The request as key, rules and origin see it: cookies that are not too long and in their form, its codings
        reduced, what it says of its viewer this node's own.

        A shield leaves the latter as its edges wrote it.
        """
        if self.profile.limits is not None:
            request = with_short_cookies(request, self.profile.limits)
        if self.profile.cookies_in_pairs and not has_cookies_in_pairs(request):
            request = request.with_fields(request.headers.without(("cookie",)))
        if request.version == "1.0" and not self.profile.codings_over_http_1_0:
            request = request.with_fields(request.headers.without(("accept-encoding",)))
        if self.profile.normalized is not None:
            request = self.profile.normalized(request)
        if self.service.gate and self.profile.viewer_fields:
            request = with_viewer_fields(request, self.profile.viewer_fields)
        return request

    def page_for(self, status: int, request: RequestHead, refusal: Refusal | None = None) -> ErrorPage | None:
        """The page that this request is shown instead of such a status, or of this refusal."""
        if refusal is not None and not refusal.paged:
            return None
        return self._pages.instead_of(status, request)

    def alone(self, key: str, now: float) -> tuple[float, str] | None:
        """(until when, why) requests for this key go to the parent each by itself; None: they wait for one another."""
        return self._alone_until.get(key, now)

    def failing(self, key: str, now: float) -> tuple[float, Refuse] | None:
        """(until when, what is said) of a parent that failed for this key and is left alone; None where it is asked."""
        return self._failing.get(key, now)

    def unreadable(self, status: int, reason: str, now: float) -> Refuse:
        """What is answered to one whose request could not be read, and so is none. Nothing is changed."""
        return self._refuse(status, reason, self.matcher.otherwise, None, now)

    def _plain_hit(self, request: RequestHead, behavior: Behavior, key_of: KeyOf, now: float) -> Serve | None:
        """The usual case, short: a plain request, and a fresh response that varies on nothing.

        None: not that case; the long way decides, and would decide the same.
        """
        entry = self.plain_answer(key_of(request), now)
        if entry is None:
            return None
        entry.hits += 1
        self.room.touch(entry)
        return self._answering.plain_hit(entry, request, behavior, now)

    def plain_answer(self, key: str, now: float) -> Entry | None:
        """What every plain GET for the key gets that the gate lets by, from `now` until its `fresh_until`, if nothing
        but such requests is told meanwhile; None: each is to be decided."""
        entries = self.index.variants(key)
        if len(entries) != 1:
            return None
        entry = entries[0]
        life = entry.life
        if now >= life.fresh_until or life.revalidate_always or entry.selecting or entry.part is not None:
            return None
        return entry

    def plain_key_of(self, request: RequestHead) -> str | None:
        """The key of a GET that is plain if it has no `DECISIVE` field; None where none is."""
        return self._short.key_of(request, self.matcher.behavior_of(request.path)) if request.method == "GET" else None

    def assembled(self, assembly: Assembly, opening: Answer, now: float) -> Serve | Relay | Refuse | None:
        """The viewer's answer, from what the opening block of an assembly was answered with; nothing is changed.

        None: it cannot be sliced, so the machine is to be asked for `Assembly.whole_request`.
        """
        assert not isinstance(opening, Fetch)
        if isinstance(opening, Serve):
            return self._answering.assembled(assembly, opening, now)
        if isinstance(opening, Relay):
            # No block of it: not to be kept (206), or (416) an empty object, or an origin that takes no range beyond
            # the end of what is smaller than a block. Of a later block a 416 answers the viewer's own range.
            first = assembly.opening_request().block == 0
            if opening.status == 206 or (opening.status == 416 and (first or not assembly.ranged)):
                return None
            opening.body = opening.body and assembly.request.method != "HEAD"
        return opening

    def _paged(self, answer: A, request: RequestHead, ticket: int, now: float, refused: str = "") -> A | Decision:
        """The answer, or what gets the page that stands in for it; `refused`: the reason of a gate that is polite."""
        if not self._pages or isinstance(answer, Fetch | Join):
            return answer
        if answer.outcome is Outcome.REFUSED and not refused:
            return answer
        page = self._pages.instead_of(answer.status, request)
        if page is None or (isinstance(answer, Serve) and answer.refresh is not None):
            return answer
        behavior = self.matcher.behavior_of(page.page)
        plan = self._plan(request_for(page, request), behavior, ticket, now)
        instead = Instead(page.response_status, refused)
        if isinstance(plan, Fetch | Join):
            self._paging[ticket] = instead
            plan.reason = refused
        else:
            instead.told_with(plan)
        return plan

    def judged(self, request: RequestHead, behavior: Behavior, now: float) -> Judgement:
        """What the request would get now; nothing is touched."""
        judgement = self._judged(cache_key(request, behavior), request, behavior, now)
        if request.method != "HEAD" or not self.profile.head_answers_kept:
            return judgement
        if judgement.way is not Way.ASK or judgement.entry is not None:
            return judgement
        if not judgement.alone and self.flights.to_join(judgement.flight_key) is not None:
            return judgement
        # Nothing is there or on its way that a GET could have, so that only another HEAD's answer may do.
        return self._judged(judgement.key + HEADS, request, behavior, now)

    def _judged(self, key: str, request: RequestHead, behavior: Behavior, now: float) -> Judgement:
        return judge(
            request, behavior, index=self.index, profile=self.profile, key=key, versions=self._versions, now=now,
            mark_on=lambda asked: (self.alone(asked, now) or (0.0, ""))[1], varies=self._varies.get(hash(key), ()),
        )  # fmt: skip

    def _plan(
        self,
        request: RequestHead,
        behavior: Behavior,
        ticket: int,
        now: float,
        *,
        alone: bool = False,
        conditions: bool = True,
        asks: int = 0,
    ) -> Decision:
        """`alone`: it waits for nobody, whatever the store says. `conditions` False: what must be asked is asked
        without the client's own conditions. `asks`: how often it has asked before."""
        judgement = self.judged(request, behavior, now)
        judgement.alone = judgement.alone or alone
        entry, cause = judgement.entry, judgement.cause
        if cause is None:
            assert entry is not None
            return self._hit(judgement, entry, request, behavior, now)
        if judgement.way is Way.NOT_CACHED_ONLY:
            return self._refuse(504, f"only-if-cached: {judgement.way.value}", behavior, request, now, Outcome.FAILED)
        if judgement.way is Way.PASS:
            return self._pass(request, behavior, ticket, cause, now, asks=asks)
        held = self._held(judgement.key, entry, request, behavior, now)
        if held is not None:
            return held
        if not judgement.alone:
            flight = self.flights.to_join(judgement.flight_key)
            if flight is not None:
                join = Join(ticket, flight.fetch.id, behavior, cause)
                flight.waiters.append(Waiter(ticket, request, behavior, join, asks))
                return join
        if request.method == "HEAD" and not self.profile.head_as_get and not judgement.key.endswith(HEADS):
            # A HEAD's answer has no body to store: it goes as it is, alone, and tells of the stored GET (§4.3.5).
            return self._pass(request, behavior, ticket, cause, now, entry, asks=asks)
        return self._fetch(request, behavior, ticket, judgement, now, conditions=conditions, asks=asks)

    def _hit(self, judgement: Judgement, entry: Entry, request: RequestHead, behavior: Behavior, now: float) -> Serve:
        entry.hits += 1
        self.room.touch(entry)
        outcome = Outcome.HIT if now < entry.life.fresh_until else Outcome.HIT_STALE
        served = self._answering.from_store(entry, request, behavior, outcome, now)
        if judgement.way is Way.REFRESH and self.flights.to_join(judgement.flight_key) is None:
            ranged = entry.part is not None
            behind = Judgement(Way.ASK, entry.key, entry, None, ranged=ranged, flight_key=judgement.flight_key)
            served.refresh = self._fetch(request, behavior, 0, behind, now)
        return served

    def _held(
        self, key: str, entry: Entry | None, request: RequestHead, behavior: Behavior, now: float
    ) -> Serve | Refuse | None:
        """What stands in for a parent that failed a moment ago and is not asked again so soon."""
        failing = self.failing(key, now)
        if failing is None:
            return None
        said = failing[1]
        if entry is not None and self.stands_in_while_held(entry, said, now):
            self.room.touch(entry)
            return self._answering.from_store(entry, request, behavior, Outcome.HIT_STALE, now)
        return self._refuse(said.status, said.reason, behavior, request, now, Outcome.FAILED, said.words)

    def stands_in_while_held(self, entry: Entry, said: Refuse, now: float) -> bool:
        """Whether a stored response is served while the parent is left alone, of which that was said."""
        if entry.part is not None:
            return False
        if entry.life.revalidate_always:
            return said.silent and self.profile.no_cache_stands_in and now < entry.life.unreachable_until
        return now < entry.life.fallback_until

    def _refuse(
        self,
        status: int,
        reason: str,
        behavior: Behavior,
        request: RequestHead | None,
        now: float,
        outcome: Outcome = Outcome.REFUSED,
        words: str = "",
        page: tuple[str, str] | None = None,
        member: str | None = None,
    ) -> Refuse:
        return self._answering.refusal(status, reason, behavior, request, outcome, now, words, page, member)

    def _pass(
        self,
        request: RequestHead,
        behavior: Behavior,
        ticket: int,
        cause: Cause,
        now: float,
        entry: Entry | None = None,
        *,
        asks: int = 0,
    ) -> Fetch:
        """Open a flight for one viewer's request as he asks it."""
        upstream = self._asking.as_asked(request, behavior)
        key = cache_key(request, behavior)
        fetch = Fetch(self._next_id(), ticket, Purpose.PASS, upstream, key, behavior, cause, entry, False, now)
        return self._open(fetch, request, behavior, asks)

    def _fetch(
        self,
        request: RequestHead,
        behavior: Behavior,
        ticket: int,
        judgement: Judgement,
        now: float,
        *,
        conditions: bool = True,
        asks: int = 0,
    ) -> Fetch:
        """Open a flight for what the judgement found missing; ticket 0: nobody waits, it refreshes."""
        upstream, purpose = self._asking.for_missing(
            judgement, request, behavior, conditions=conditions and ticket != 0, plainly=asks > 0
        )
        fetch = Fetch(
            id=self._next_id(),
            ticket=ticket,
            purpose=purpose if ticket else Purpose.REFRESH,
            request=upstream,
            key=judgement.key,
            behavior=behavior,
            cause=judgement.cause,
            entry=judgement.entry,
            collapsible=not judgement.alone,
            sent_at=now,
            flight_key=judgement.flight_key,
        )
        return self._open(fetch, request, behavior, asks)

    def _open(self, fetch: Fetch, request: RequestHead, behavior: Behavior, asks: int) -> Fetch:
        """The one place where a question is made; `asks`: those that its request has cost before."""
        waiters = [Waiter(fetch.ticket, request, behavior, fetch, asks + 1)] if fetch.ticket else []
        self.flights.open(Flight(fetch, self.events, waiters))
        return fetch

    def _next_id(self) -> int:
        self._ids += 1
        return self._ids
