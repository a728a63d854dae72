"""Storing a response that landed, and sharing it with the requests that waited.

See `cdnkit/policy/machine/machine.py` for the theory and the table.
"""

from cdnkit.policy.answer.compression import coding_for, compressed
from cdnkit.policy.freshness.lifetime import lifetime_of
from cdnkit.policy.freshness.reuse import Standing, standing
from cdnkit.policy.freshness.storable import content_length, stored_headers, why_not_store
from cdnkit.policy.gate.plain import is_plain
from cdnkit.policy.http.messages import Headers, ResponseHead
from cdnkit.policy.machine.flights import Flight, Waiter
from cdnkit.policy.machine.key_facts import KeyFact
from cdnkit.policy.machine.purges import Purges
from cdnkit.policy.machine.requests import Requests
from cdnkit.policy.machine.state import NodeState
from cdnkit.policy.outcomes import Cause, Outcome, Purpose
from cdnkit.policy.plan import Decision, Fetch, Join, Landing, Serve
from cdnkit.policy.rule import Rule
from cdnkit.policy.store.entry import shared_lines
from cdnkit.policy.store.index import Entry, selecting_fields, surrogate_keys_of, vary_names
from cdnkit.policy.store.lookup import NOT_FRESH
from cdnkit.policy.store.parts import covers
from cdnkit.policy.store.revalidate import range_applies
from cdnkit.policy.upstream.request import MAX_UPSTREAM_REQUESTS

Alike = tuple[Rule, Cause | None, object]
"""Rule, cause, and the inputs of CORS: plain GETs that waited and agree in these get the same answer."""


class Fills:
    """How a response is stored, and which of the waiting requests may have it."""

    def __init__(self, state: NodeState, requests: Requests, purges: Purges) -> None:
        self._state, self._requests, self._purges = state, requests, purges
        self._responder = state.responder
        self._service = state.service
        self._profile = state.profile

    def why_not_store(
        self, flight: Flight, response: ResponseHead, now: float, *, part: bool = False, entry: Entry | None = None
    ) -> str | None:
        """Why `response` may not be stored; with `entry`, after a 304: why it may no longer be."""
        fetch = flight.fetch
        request = fetch.request
        if entry is not None:
            # As for the GET it is stored for: this may be a HEAD, and that GET may have had Authorization.
            authorization = [("authorization", "")] if entry.for_authorization else []
            request = request.with_fields(request.headers.plus(*authorization))
            request.method = "GET"
        largest = min(self._service.largest, self._service.room)
        return why_not_store(request, response, fetch.rule.behavior, self._profile, largest=largest, now=now, part=part)

    def store(self, flight: Flight, response: ResponseHead, now: float) -> Landing:
        """Store what came. If it was purged on its way, it is only shared with those who wait."""
        entry = self.entry(flight, response, now)
        rules = self._profile.compression
        if rules is None or not flight.fetch.rule.behavior.compress or entry.life.fresh_until <= now or entry.is_head:
            return self.keep(flight, entry, response, now)
        coding = coding_for(flight.fetch.request, response, rules, able=self._state.codings)
        if coding is None:
            return self.keep(flight, entry, response, now)
        response = compressed(response, coding)
        entry = self.entry(flight, response, now)
        entry.coding = coding
        landing = self.keep(flight, entry, response, now)
        landing.coding = coding
        return landing

    def keep(
        self, flight: Flight, entry: Entry, response: ResponseHead, now: float, *, detail: str | None = None
    ) -> Landing:
        fetch, landing = flight.fetch, Landing()
        landing.store = entry
        if entry.length is None and self._profile.quotas is not None and self._profile.quotas.object is not None:
            landing.cut_at = self._profile.quotas.object.most
        self._state.filling[fetch.id] = entry
        purged = self._purges.purged_meanwhile(flight, entry)
        if purged is not None and not purged.soft:
            self.answer_waiters(flight, entry, response, landing, now, stored=False, share_always=False, detail=detail)
            return landing
        if purged is not None:
            entry.life = entry.life.made_stale(now)
        if fetch.request.block is not None:
            self._state.versions.record(entry)
        self._state.index.release(self._state.room)
        if self._state.room.admit(entry):
            for one in self._state.index.beyond(entry, self._service.variants):
                detail = detail or "variant-dropped"
                landing.dropped.append(self._state.take_out(one, Cause.EVICTED))
            for replaced in self._state.index.add(entry):
                self._state.room.pop(replaced.id, None)
                landing.dropped.append(replaced.id)
        landing.dropped += self.make_room()
        self.record_sharing(flight, entry, now)
        self.answer_waiters(flight, entry, response, landing, now, stored=True, share_always=False, detail=detail)
        return landing

    def record_sharing(self, flight: Flight, entry: Entry, now: float) -> None:
        """Record whether the next requests for this key are to be collapsed."""
        if standing(entry.life, now) in (Standing.FRESH, Standing.REFRESHABLE):
            self._state.uncollapsed.drop(entry.key)
        else:
            # Every use of it needs the parent, so nobody should wait for another's response.
            fact = KeyFact(now + self._profile.hit_for_pass, NOT_FRESH, flight.opened_at)
            self._state.uncollapsed.add(entry.key, fact)

    def entry(self, flight: Flight, response: ResponseHead, now: float) -> Entry:
        headers = Headers.wrap(shared_lines(stored_headers(response, self._profile)))
        entry = Entry(
            id=self._state.next_id(),
            key=flight.fetch.key,
            status=response.status,
            headers=headers,
            life=lifetime_of(
                response, flight.fetch.rule.behavior, self._profile, sent_at=flight.fetch.sent_at, now=now
            ),
        )
        entry.length = None if entry.is_head else content_length(headers)
        entry.size_bytes = entry.length or 0
        entry.for_authorization = "authorization" in flight.fetch.request.headers
        self.read_stored(entry, response, flight)
        return entry

    def read_stored(self, entry: Entry, response: ResponseHead, flight: Flight) -> None:
        """Read all that later requests compare, except the lifetime: once, and again after a 304."""
        headers = response.headers
        entry.forget_prepared()
        entry.etag, entry.last_modified = headers.first("etag"), headers.first("last-modified")
        names = vary_names(headers) if self._profile.vary_selects else ()
        self._state.vary_fields.update(names)
        if names:
            self._state.varies[hash(entry.key)] = names
        else:
            self._state.varies.pop(hash(entry.key), None)
        selecting = selecting_fields(names, flight.fetch.request.headers, as_sent=self._profile.vary_as_sent)
        self._state.index.reselect(entry, selecting)
        keys = surrogate_keys_of(headers, self._profile.quotas)
        if entry.indexed:
            self._state.index.set_surrogate_keys(entry, keys)
        else:
            entry.surrogate_keys = keys

    def make_room(self) -> list[int]:
        gone = self._state.room.take_evicted()
        for entry in gone:
            self._state.index.remove(entry, Cause.EVICTED)
        return [entry.id for entry in gone]

    def retire(self, fetch: Fetch) -> list[int]:
        entry = fetch.entry
        if entry is None or not entry.indexed:
            return []
        return [self._state.take_out(one, Cause.UNCACHEABLE) for one in self._state.index.same_variant(entry)]

    def answer_waiters(
        self,
        flight: Flight,
        entry: Entry,
        response: ResponseHead,
        landing: Landing,
        now: float,
        *,
        stored: bool,
        share_always: bool,
        detail: str | None = None,
    ) -> None:
        fetch = flight.fetch
        outcome = Outcome.PASS if fetch.purpose is Purpose.PASS else Outcome.MISS
        alike: dict[Alike, Serve] = {}
        for waiter in flight.waiters:
            if waiter.plan is fetch:
                # The leader gets every field that came; the stored response lacks the fields that are for it alone.
                landing.answers[waiter.ticket] = self._responder.after_fetch(
                    entry, waiter.request, fetch, waiter.rule, outcome, fetch.cause, now,
                    stored=stored, headers=response.headers, detail=detail,
                )  # fmt: skip
            else:
                self.share(waiter, entry, fetch, landing, now, share_always=share_always, alike=alike)

    def share(
        self,
        waiter: Waiter,
        entry: Entry,
        fetch: Fetch,
        landing: Landing,
        now: float,
        *,
        share_always: bool = False,
        alike: dict[Alike, Serve] | None = None,
    ) -> None:
        """Answer a request that joined: with what landed, if that may be reused for it; otherwise decide again.

        `alike`: the answers to plain GETs that joined before; a thousand of them share one.
        """
        fits = self.answers(entry, waiter, now)
        if not (fits and (share_always or standing(entry.life, now) in (Standing.FRESH, Standing.REFRESHABLE))):
            # What may not be shared now could not be shared after another such wait either.
            self.decide_again(waiter, landing, now, alone=fits)
            return
        request, rule, cause = waiter.request, waiter.rule, waiter.plan.cause
        # With error pages, the status of one of the answers may yet change.
        plain = (
            alike is not None
            and self._responder.same_for_all
            and not self._state.pages
            and is_plain(request, self._state.decisive)
        )
        kind = (rule, cause, self._responder.cors_inputs(request, rule)) if plain else None
        answer = alike.get(kind) if alike is not None and kind is not None else None
        if answer is None:
            answer = self._responder.after_fetch(entry, request, fetch, rule, Outcome.COLLAPSED, cause, now)
            if alike is not None and kind is not None:
                alike[kind] = answer
        landing.answers[waiter.ticket] = answer

    def answers(self, entry: Entry, waiter: Waiter, now: float) -> bool:
        """Whether the entry is the one that this request selects, and holds the range it wants."""
        headers = waiter.request.headers
        if entry.part is not None and not covers(entry, headers.first("range")):
            return False
        if entry.part is not None and not range_applies(waiter.request, entry, now):
            return False
        selecting = entry.selecting
        return not selecting or selecting == selecting_fields(
            (name for name, _ in selecting), headers, as_sent=self._profile.vary_as_sent
        )

    def decide_again(
        self, waiter: Waiter, landing: Landing, now: float, *, alone: bool = False, conditions: bool = True
    ) -> None:
        """A second decision for a request that waited in vain, under the same ticket; after a `Join` it simply waits
        on."""
        plan: Decision
        if waiter.upstream_count >= MAX_UPSTREAM_REQUESTS:
            reason = f"origin: {waiter.upstream_count} answers, and none to the request"
            plan = self._requests.refuse(502, reason, waiter.rule, waiter.request, now, Outcome.FAILED)
        else:
            plan = self._requests.plan(
                waiter.request, waiter.rule, waiter.ticket, now,
                alone=alone, conditions=conditions, upstream_count=waiter.upstream_count,
            )  # fmt: skip
        if not isinstance(plan, Join):
            landing.answers[waiter.ticket] = plan

    def pass_for(self, waiter: Waiter, landing: Landing, now: float) -> None:
        """A request that waited gets a fetch of its own now: whatever comes is passed on to it."""
        landing.answers[waiter.ticket] = self._requests.fetch_alone(
            waiter.request, waiter.rule, waiter.ticket, Cause.UNCACHEABLE, now, upstream_count=waiter.upstream_count
        )
