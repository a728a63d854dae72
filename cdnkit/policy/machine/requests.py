"""What a request gets.

See `cdnkit/policy/machine/machine.py` for the theory and the table.
"""

from math import ceil
from typing import TypeVar

from cdnkit.policy.answer.error_pages import Substitution, request_for
from cdnkit.policy.gate.plain import is_plain
from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.machine.flights import Flight, Waiter
from cdnkit.policy.machine.state import NodeState, View
from cdnkit.policy.outcomes import Cause, Outcome, Purpose, Refusal
from cdnkit.policy.plan import Answer, Assemble, Decision, Fetch, Join, Plan, Refuse, Relay, Serve
from cdnkit.policy.rule import Rule
from cdnkit.policy.store.index import Entry
from cdnkit.policy.store.key import (
    HEAD_SUFFIX,
    KeyFunction,
    cache_key,
)
from cdnkit.policy.store.lookup import Lookup, LookupAction
from cdnkit.policy.store.slices import Assembly

A = TypeVar("A", bound=Decision | Relay)


class Requests:
    """Decides what each request gets."""

    def __init__(self, state: NodeState, view: View) -> None:
        self._state, self._view = state, view
        self._gate, self._matcher = state.gate, state.matcher
        self._decisive = state.decisive
        self._responder = state.responder
        self._profile = state.profile

    def on_request(self, request: RequestHead, now: float) -> Plan:
        """What to do with a request that arrived at `now`."""
        self._state.events += 1
        path = self._gate.path_proper(request.path)
        rule = self._matcher.match(path)
        # A request of our own for a block was checked as the viewer's that it is made of.
        ours = request.block is not None
        if not ours:
            for check in rule.first_checks:
                refusal = check.refusal(request, now)
                if refusal is not None:
                    return self.refused(refusal, request, rule, now)
        plain = is_plain(request, self._decisive)
        if plain and path is request.path and (key_of := rule.plain_key) is not None and not rule.guarded:
            served = self._plain_hit(request, rule, key_of, now)
            if served is not None:
                return served
        if ours:
            ticket = self._state.next_id()
            return self.with_error_page(self.plan(request, rule, ticket, now), request, ticket, now)
        for check in rule.plain_checks if plain else rule.other_checks:
            refusal = check.refusal(request, now)
            if refusal is not None:
                return self.refused(refusal, request, rule, now)
        admitted = None if rule.admission is None else rule.admission.admitted(request)
        if admitted is None:
            return self._admit(request, rule, now, plain=plain)
        # Without a token it may be plain where with one in Authorization it was not.
        plan = self._admit(admitted.public, rule, now, plain=plain or is_plain(admitted.public, self._decisive))
        plan.admitted = admitted
        return plan

    def _admit(self, request: RequestHead, rule: Rule, now: float, *, plain: bool) -> Plan:
        """What a request gets that has passed the gate."""
        if rule.guarded and plain and (key_of := rule.plain_key) is not None:
            served = self._plain_hit(request, rule, key_of, now)
            if served is not None:
                return served
        return self._missing(request, rule, now)

    def on_missing(self, request: RequestHead, rule: Rule, now: float) -> Plan:
        """As `on_request`, of a plain request without its token, which passes all checks and which no fresh response
        answers at once."""
        self._state.events += 1
        return self._missing(request, rule, now)

    def _missing(self, request: RequestHead, rule: Rule, now: float) -> Plan:
        request = self._view.normalized(request, rule.behavior)
        behavior = rule.behavior
        if behavior.slice is not None and behavior.cache and request.method in ("GET", "HEAD"):
            return Assemble(Assembly(request, behavior.slice), rule)
        ticket = self._state.next_id()
        return self.with_error_page(self.plan(request, rule, ticket, now), request, ticket, now)

    def refused(self, refusal: Refusal, request: RequestHead, rule: Rule, now: float) -> Decision:
        """What the client of a refused request is sent: a line, where to come instead, when to come again, or a
        page."""
        refused = self._responder.refused(refusal, rule, request, now)
        if refusal.location is not None:
            refused.headers.append(("location", refusal.location))
        if refusal.retry_after is not None:
            refused.headers.append(("retry-after", str(max(1, ceil(refusal.retry_after)))))
        if refusal.ends and request.version.startswith("1"):
            refused.headers.append(("connection", "close"))  # a field of HTTP/1.1 alone (RFC 9113 §8.2.2)
        plan: Decision = refused
        if refusal.paged and self._state.pages:
            ticket = self._state.next_id()
            plan = self.with_error_page(refused, self._view.normalized(request, rule.behavior), ticket, now, refusal)
        plan.admitted = None if rule.admission is None else rule.admission.admitted(request)
        return plan

    def unreadable(self, status: int, reason: str, now: float) -> Refuse:
        """What is answered to one whose request could not be read, and so is none. Nothing is changed."""
        return self.refuse(status, reason, self._matcher.default, None, now)

    def _plain_hit(self, request: RequestHead, rule: Rule, key_of: KeyFunction, now: float) -> Serve | None:
        """The usual case, short: a plain request, and a fresh response that varies on nothing.

        None: not that case; the long way decides, and would decide the same.
        """
        entry = self._view.plain_answer(key_of(request), now)
        if entry is None:
            return None
        entry.hits += 1
        self._state.room.touch(entry)
        return self._responder.plain_hit(entry, request, rule, now)

    def assembled(self, assembly: Assembly, opening: Answer, now: float) -> Serve | Relay | Refuse | None:
        """The viewer's answer, from what the opening block of an assembly was answered with; nothing is changed.

        None: it cannot be sliced, so the machine is to be asked for `Assembly.whole_request`.
        """
        assert not isinstance(opening, Fetch)
        if isinstance(opening, Serve):
            return self._responder.assembled(assembly, opening, now)
        if isinstance(opening, Relay):
            # No block of it: not to be kept (206), or (416) an empty object, or an origin that takes no range beyond
            # the end of what is smaller than a block. Of a later block a 416 answers the viewer's own range.
            first = assembly.opening_request().block == 0
            if opening.status == 206 or (opening.status == 416 and (first or not assembly.ranged)):
                return None
            opening.body = opening.body and assembly.request.method != "HEAD"
        return opening

    def with_error_page(
        self, answer: A, request: RequestHead, ticket: int, now: float, refusal: Refusal | None = None
    ) -> A | Decision:
        """The answer, or what gets the page that stands in for it; `refusal`: one that a page may stand in for."""
        if not self._state.pages or isinstance(answer, Fetch | Join):
            return answer
        if answer.outcome is Outcome.REFUSED and refusal is None:
            return answer
        page = self._state.pages.page_for(answer.status, request)
        if page is None or (isinstance(answer, Serve) and answer.refresh is not None):
            return answer
        rule = self._matcher.match(page.page)
        plan = self.plan(request_for(page, request), rule, ticket, now)
        instead = Substitution(page.response_status, refusal)
        if isinstance(plan, Fetch | Join):
            self._state.substitutions[ticket] = instead
            plan.refusal = refusal
        else:
            instead.apply_to(plan)
        return plan

    def plan(
        self,
        request: RequestHead,
        rule: Rule,
        ticket: int,
        now: float,
        *,
        alone: bool = False,
        conditions: bool = True,
        upstream_count: int = 0,
    ) -> Decision:
        """`alone`: it joins no fill, whatever the store says. `conditions` False: the upstream request goes without the
        client's conditions. `upstream_count`: the upstream requests that it has caused before."""
        lookup = self._view.lookup(request, rule, now)
        lookup.alone = lookup.alone or alone
        entry, cause = lookup.entry, lookup.cause
        if cause is None:
            assert entry is not None
            return self.hit(lookup, entry, request, rule, now)
        if lookup.action is LookupAction.ONLY_IF_CACHED:
            return self.refuse(504, f"only-if-cached: {lookup.action.value}", rule, request, now, Outcome.FAILED)
        if lookup.action is LookupAction.PASS:
            return self.fetch_alone(request, rule, ticket, cause, now, upstream_count=upstream_count)
        held = self._while_failing(lookup.key, entry, request, rule, now)
        if held is not None:
            return held
        if not lookup.alone:
            flight = self._state.flights.to_join(lookup.flight_key)
            if flight is not None:
                join = Join(ticket, flight.fetch.id, rule, cause)
                flight.waiters.append(Waiter(ticket, request, rule, join, upstream_count))
                return join
        if request.method == "HEAD" and not self._profile.head_as_get and not lookup.key.endswith(HEAD_SUFFIX):
            # A HEAD's response has no body to store: it goes as it is, alone, and updates the stored GET (§4.3.5).
            return self.fetch_alone(request, rule, ticket, cause, now, entry, upstream_count=upstream_count)
        return self._fetch(request, rule, ticket, lookup, now, conditions=conditions, upstream_count=upstream_count)

    def hit(self, lookup: Lookup, entry: Entry, request: RequestHead, rule: Rule, now: float) -> Serve:
        entry.hits += 1
        self._state.room.touch(entry)
        outcome = Outcome.HIT if now < entry.life.fresh_until else Outcome.HIT_STALE
        served = self._responder.from_store(entry, request, rule, outcome, now)
        if lookup.action is LookupAction.REFRESH and self._state.flights.to_join(lookup.flight_key) is None:
            ranged = entry.part is not None
            behind = Lookup(LookupAction.FETCH, entry.key, entry, None, ranged=ranged, flight_key=lookup.flight_key)
            served.refresh = self._fetch(request, rule, 0, behind, now)
        return served

    def _while_failing(
        self, key: str, entry: Entry | None, request: RequestHead, rule: Rule, now: float
    ) -> Serve | Refuse | None:
        """What stands in for a parent that failed a moment ago and gets no request for the key so soon."""
        failing = self._view.failing(key, now)
        if failing is None:
            return None
        refusal = failing[1]
        if entry is not None and self._view.may_stand_in(entry, refusal, now):
            self._state.room.touch(entry)
            return self._responder.from_store(entry, request, rule, Outcome.HIT_STALE, now)
        return self.refuse(refusal.status, refusal.reason, rule, request, now, Outcome.FAILED, refusal.words)

    def refuse(
        self,
        status: int,
        reason: str,
        rule: Rule,
        request: RequestHead | None,
        now: float,
        outcome: Outcome = Outcome.REFUSED,
        words: str = "",
        member: str | None = None,
    ) -> Refuse:
        return self._responder.refusal(status, reason, rule, request, outcome, now, words, member=member)

    def fetch_alone(
        self,
        request: RequestHead,
        rule: Rule,
        ticket: int,
        cause: Cause,
        now: float,
        entry: Entry | None = None,
        *,
        upstream_count: int = 0,
    ) -> Fetch:
        """Open a flight for one viewer's request as it is."""
        upstream = self._state.upstream_requests.for_viewer(request, rule.behavior)
        key = cache_key(request, rule.behavior)
        fetch = Fetch(self._state.next_id(), ticket, Purpose.PASS, upstream, key, rule, cause, entry, False, now)
        return self._open(fetch, request, rule, upstream_count)

    def _fetch(
        self,
        request: RequestHead,
        rule: Rule,
        ticket: int,
        lookup: Lookup,
        now: float,
        *,
        conditions: bool = True,
        upstream_count: int = 0,
    ) -> Fetch:
        """Open a flight for the response that is missing; ticket 0: nobody waits, it is a refresh."""
        upstream, purpose = self._state.upstream_requests.for_missing(
            lookup, request, rule.behavior, conditions=conditions and ticket != 0, plain=upstream_count > 0
        )
        fetch = Fetch(
            id=self._state.next_id(),
            ticket=ticket,
            purpose=purpose if ticket else Purpose.REFRESH,
            request=upstream,
            key=lookup.key,
            rule=rule,
            cause=lookup.cause,
            entry=lookup.entry,
            collapsible=not lookup.alone,
            sent_at=now,
            flight_key=lookup.flight_key,
        )
        return self._open(fetch, request, rule, upstream_count)

    def _open(self, fetch: Fetch, request: RequestHead, rule: Rule, upstream_count: int) -> Fetch:
        """The one place where upstream requests begin; `upstream_count`: those that its request has caused before."""
        waiters = [Waiter(fetch.ticket, request, rule, fetch, upstream_count + 1)] if fetch.ticket else []
        self._state.flights.open(Flight(fetch, self._state.events, waiters))
        return fetch
