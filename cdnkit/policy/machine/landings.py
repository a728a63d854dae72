"""What comes from the parent (heads, ends of bodies, failures), and what the waiting requests get of it.

See `cdnkit/policy/machine/machine.py` for the theory and the table.
"""

from typing import Any

from cdnkit.policy.answer.compression import compressed
from cdnkit.policy.freshness.lifetime import lifetime_of
from cdnkit.policy.freshness.storable import content_length, received, stored_headers
from cdnkit.policy.gate.limits import object_over, response_over
from cdnkit.policy.http.dates import format_date
from cdnkit.policy.http.messages import ResponseHead
from cdnkit.policy.http.ranges import Span, content_range, within
from cdnkit.policy.machine.fallback import Fallback
from cdnkit.policy.machine.fills import Fills
from cdnkit.policy.machine.flights import Flight
from cdnkit.policy.machine.key_facts import KeyFact
from cdnkit.policy.machine.purge_marks import may_ask_tier, may_be_used, url_mark
from cdnkit.policy.machine.purges import Purges
from cdnkit.policy.machine.requests import Requests
from cdnkit.policy.machine.state import NodeState
from cdnkit.policy.outcomes import Cause, Failure, Outcome, Purpose
from cdnkit.policy.plan import Fetch, Join, Landing
from cdnkit.policy.store.index import Entry
from cdnkit.policy.store.parts import continues, covers, whole_fields
from cdnkit.policy.store.revalidate import freshened, same_representation, validators_differ
from cdnkit.policy.store.serialise import from_values
from cdnkit.policy.upstream.invalidation import invalidates, related_targets
from cdnkit.policy.upstream.request import has_range, mismatch, same_part

NOT_PRIVATE = frozenset({"no-lifetime", "status"})
"""Reasons not to store a response with which it may still be shared with those who wait."""

PASSED_ON = frozenset({102, 103})
"""Interim responses that are for the viewer; 100 and 101 are of one connection (RFC 9110 §15.2, RFC 8297)."""


class Landings:
    """How a flight ends."""

    def __init__(self, state: NodeState, requests: Requests, purges: Purges, fills: Fills, fallback: Fallback) -> None:
        self._state, self._requests, self._purges = state, requests, purges
        self._responder = state.responder
        self._service = state.service
        self._profile = state.profile
        self._fills, self._fallback = fills, fallback

    def on_interim(self, fetch: Fetch, head: ResponseHead) -> list[int]:
        """An interim response came: the tickets of those to whom it is passed on. It is never stored, nor repeated."""
        flight = self._state.flights.flight_of(fetch)
        if flight is None or head.status not in PASSED_ON or not self._profile.interim_passed_on:
            return []
        return [waiter.ticket for waiter in flight.waiters]

    def on_response(self, fetch: Fetch, head: ResponseHead, now: float) -> Landing:
        """The parent's final response head came. Called at most once per fetch; 1xx never come here."""
        self._state.events += 1
        flight = self._state.flights.close(fetch)
        if flight is None:
            return Landing()
        response = received(head, fetch.rule.behavior, self._profile)
        if "date" not in response.headers and self._profile.date_of_responses == "origin":
            # A recipient with a clock adds it when it stores or forwards (RFC 9110 §6.6.1).
            response.headers.lines.append(("date", format_date(now)))
        self._responder.mark_fetched(response, now)
        limits = self._profile.quotas
        over = None if limits is None else response_over(head, limits)
        if over is not None:
            landing = self._fallback.land_failure(flight, over.reason, over.status, now, head.status, over.words)
        elif response.status in self._profile.failed_statuses and self._fallback.has_stand_in(flight, now):
            landing = self._fallback.land_failure(flight, f"origin: {response.status}", 502, now, response.status)
        elif fetch.purpose is Purpose.PASS:
            landing = self._land_pass(flight, response, now)
        elif (why := mismatch(fetch.request, response)) is not None:
            landing = self._fallback.land_mismatch(flight, why, response.status, now)
        elif response.status == 304 and fetch.entry is not None:
            landing = self._land_not_modified(flight, fetch.entry, response, now)
        elif response.status == 206 and fetch.request.method != "HEAD":
            landing = self._land_part(flight, response, now)
        elif response.status == 416 and self._fallback.requested_rest(flight):
            landing = self._land_unkept_part(flight, response, now)
        elif response.status == 304:
            landing = self._land_for_leader(flight, response, now)
        else:
            landing = self._land_full(flight, response, now)
        replaced = fetch.entry
        if replaced is not None and not replaced.indexed and landing.store is None:
            landing.marks.append(url_mark(replaced.key.partition("\n")[0]))
        self._apply_error_pages(flight, landing, now)
        self._purges.forget_purges()
        return landing

    def on_found(self, fetch: Fetch, values: dict[str, Any], size_bytes: int, now: float) -> Landing | None:
        """A shared tier has a response (`cdnkit.policy.store.serialise` values). None: it is of no use here; the fetch
        goes to the parent.

        It lands with the lifetime it has, in place of the parent's response; `on_body_end` follows as always.
        """
        flight = self._state.flights.flight_of(fetch)
        if flight is None or not may_ask_tier(fetch) or size_bytes > min(self._service.largest, self._service.room):
            return None
        entry = from_values(0, values, size_bytes)
        if not may_be_used(entry, fetch, now, vary_as_sent=self._profile.vary_as_sent):
            return None
        self._state.events += 1
        self._state.flights.close(fetch)
        entry.id, entry.complete = self._state.next_id(), False
        self._state.vary_fields.update(name for name, _ in entry.selecting)
        head = ResponseHead(entry.status, entry.headers)
        landing = self._fills.keep(flight, entry, head, now, detail="shared-tier")
        self._apply_error_pages(flight, landing, now)
        self._purges.forget_purges()
        return landing

    def _land_pass(self, flight: Flight, response: ResponseHead, now: float) -> Landing:
        fetch, landing = flight.fetch, Landing()
        request = fetch.request
        if self._profile.unsafe_invalidates and invalidates(request, response):
            for target in (request.target, *related_targets(request, response)):
                landing.dropped += self._purges.invalidate(target)
                landing.marks.append(url_mark(self._purges.purge_key(target)))
        if (
            request.method == "POST"
            and fetch.rule.behavior.cache
            and self._fills.why_not_store(flight, response, now) is None
        ):
            kept = self._fills.store(flight, response, now)
            kept.dropped += landing.dropped
            kept.marks += landing.marks
            return kept
        if request.method == "HEAD" and fetch.entry is not None:
            landing.dropped += self._learn_from_head(flight, fetch.entry, response, now)
            if fetch.entry.indexed:
                landing.changed.append(fetch.entry)
                if fetch.entry.life.fresh_until <= now:
                    landing.marks.append(url_mark(fetch.entry.key.partition("\n")[0]))
        for waiter in flight.waiters:
            landing.answers[waiter.ticket] = self._responder.relayed(
                waiter.request, response, fetch, Outcome.PASS, fetch.cause, now
            )
        return landing

    def _learn_from_head(self, flight: Flight, entry: Entry, response: ResponseHead, now: float) -> list[int]:
        """A HEAD's 200 updates the stored GET: the same representation is freshened, another makes it stale.

        Source: RFC 9111 §4.3.5.
        """
        if not entry.indexed or response.status != entry.status or entry.coding:
            return []  # compressed here: the origin's length and tag are of another body
        if not same_representation(entry, response.headers):
            entry.life = entry.life.made_stale(now)
            self._state.index.changed(entry)
            return []
        return self._freshen(flight, entry, response, now)

    def _land_not_modified(self, flight: Flight, entry: Entry, response: ResponseHead, now: float) -> Landing:
        fetch = flight.fetch
        landing = Landing()
        another = self._profile.renewed_by_304 == "fields" and validators_differ(response.headers, entry)
        if not entry.indexed or another:
            # The stored body is gone (purged or evicted meanwhile), or the 304 is about another: fetch a new one.
            if entry.indexed:
                landing.dropped.append(self._state.take_out(entry, Cause.EXPIRED))
            for waiter in flight.waiters:
                self._fills.decide_again(waiter, landing, now)
            return landing
        # It may no longer be shared now: then the leader gets it, and the others get fetches of their own.
        landing.dropped += self._freshen(flight, entry, response, now)
        landing.changed += [entry] if entry.indexed else []
        self._state.room.touch(entry)
        if entry.indexed:
            self._fills.record_sharing(flight, entry, now)
        for waiter in flight.waiters:
            if waiter.plan is fetch:
                landing.answers[waiter.ticket] = self._responder.after_fetch(
                    entry, waiter.request, fetch, waiter.rule, Outcome.REVALIDATED, fetch.cause, now,
                    forward_status=304,
                )  # fmt: skip
            elif entry.indexed:
                self._fills.share(waiter, entry, fetch, landing, now)
            else:
                self._fills.decide_again(waiter, landing, now)
        return landing

    def _land_for_leader(self, flight: Flight, response: ResponseHead, now: float) -> Landing:
        """A response to the leader's own condition is for the leader alone.

        The others are decided again, without conditions: otherwise a thousand viewers with copies of their own would
        get their 304s one after the other.
        """
        landing = Landing()
        for waiter in flight.waiters:
            if waiter.plan is flight.fetch:
                landing.answers[waiter.ticket] = self._responder.relayed(
                    waiter.request, response, flight.fetch, Outcome.PASS, flight.fetch.cause, now
                )
            else:
                self._fills.decide_again(waiter, landing, now, conditions=False)
        return landing

    def _freshen(self, flight: Flight, entry: Entry, update: ResponseHead, now: float) -> list[int]:
        """Freshen a stored response by a 304 or HEAD; its id, if it may no longer be stored.

        If a purge came after the upstream request was made, the response is stale all the same.
        """
        purged = self._purges.purged_meanwhile(flight, entry)  # by the surrogate keys that it had
        merged = freshened(entry.headers, update.headers)
        if entry.coding:
            merged = compressed(ResponseHead(entry.status, merged), entry.coding).headers
        head = ResponseHead(entry.status, stored_headers(ResponseHead(entry.status, merged), self._profile))
        if self._profile.renewed_by_304 == "fields":
            entry.headers = head.headers
        else:
            # The 304 renews its lifetime and Age alone; its other fields stay.
            age = [line for line in head.headers.lines if line[0] == "age"]
            entry.headers = entry.headers.without(("age",)).plus(*age)
        entry.life = lifetime_of(head, flight.fetch.rule.behavior, self._profile, sent_at=flight.fetch.sent_at, now=now)
        head = ResponseHead(entry.status, entry.headers)
        self._fills.read_stored(entry, head, flight)
        self._state.index.changed(entry)
        if self._fills.why_not_store(flight, head, now, part=entry.part is not None, entry=entry) is None:
            if purged is not None or self._purges.purged_meanwhile(flight, entry) is not None:
                entry.life = entry.life.made_stale(now)
            return []
        return [self._state.take_out(entry, Cause.UNCACHEABLE)]

    def _land_part(self, flight: Flight, response: ResponseHead, now: float) -> Landing:
        """A 206 is stored as a part, joined to the part it continues, and never taken for the whole."""
        fetch = flight.fetch
        came = content_range(response.headers.first("content-range"))
        asked_for = fetch.request.headers.first("range")
        fits = came is not None and asked_for is not None and within(asked_for, came.span, came.total) is not None
        if came is not None and content_length(response.headers) not in (None, came.span.stop - came.span.start):
            fits = False  # its length contradicts its range: it is not stored
        if came is None or not fits or self._fills.why_not_store(flight, response, now, part=True) is not None:
            return self._land_unkept_part(flight, response, now)
        entry = self._fills.entry(flight, response, now)
        entry.part, entry.total = came.span, came.total
        entry.size_bytes = entry.length = came.span.stop - came.span.start
        prefix = None
        if fetch.entry is not None and continues(fetch.entry, came, response):
            assert fetch.entry.part is not None
            prefix = fetch.entry.id
            entry.part = Span(fetch.entry.part.start, came.span.stop)
            entry.headers = freshened(fetch.entry.headers, entry.headers)
            entry.size_bytes = entry.length = entry.part.stop - entry.part.start
        if entry.part == Span(0, came.total or 0):
            entry.status, entry.part, entry.total = 200, None, None
            entry.headers = whole_fields(entry.headers, entry.length)
        if entry.size_bytes > min(self._service.largest, self._service.room):
            return self._land_unkept_part(flight, response, now)
        if entry.part is not None and any(not covers(entry, w.request.headers.first("range")) for w in flight.waiters):
            # A request that waits wants bytes outside this part and the one it continues: start over, without the old
            # part.
            return self._land_unkept_part(flight, response, now)
        landing = self._fills.keep(flight, entry, ResponseHead(entry.status, entry.headers), now)
        landing.prefix = prefix
        return landing

    def _land_unkept_part(self, flight: Flight, response: ResponseHead, now: float) -> Landing:
        """A 206 that is not stored goes to the leader, if it wants that part; the others are decided again."""
        fetch, landing = flight.fetch, Landing()
        landing.dropped = self._fills.retire(fetch)
        for waiter in flight.waiters:
            if waiter.plan is fetch and same_part(fetch.request, waiter.request):
                landing.answers[waiter.ticket] = self._responder.relayed(
                    waiter.request, response, fetch, Outcome.PASS, Cause.UNCACHEABLE, now, detail="part-not-kept"
                )
            elif waiter.plan is not fetch and has_range(waiter.request):
                self._fills.pass_for(waiter, landing, now)
            else:
                self._fills.decide_again(waiter, landing, now)
        return landing

    def _land_full(self, flight: Flight, response: ResponseHead, now: float) -> Landing:
        fetch, landing = flight.fetch, Landing()
        why_not = self._fills.why_not_store(flight, response, now)
        limits = self._profile.quotas
        if limits is not None and why_not in (None, "too-large") and fetch.request.method != "HEAD":
            over = object_over(content_length(response.headers), limits)
            if over is not None:
                return self._fallback.land_failure(flight, over.reason, over.status, now, response.status, over.words)
        if why_not is not None:
            beyond = response.status == 416 and fetch.cause is Cause.PARTIAL
            if response.status not in self._profile.failed_statuses and not beyond:
                # The new answer must be used, and the old one with it goes (RFC 9111 §4.3.3). An error is passed on and
                # says nothing of what is stored: its validator may yet spare the body. So does a range beyond the end
                # of what is stored in part.
                landing.dropped = self._fills.retire(fetch)
            if response.status in self._profile.failed_statuses and why_not in NOT_PRIVATE:
                # One error for all who waited, and no further requests to an origin in trouble.
                shared = self._fills.entry(flight, response, now)
                landing.store = shared
                self._fills.answer_waiters(flight, shared, response, landing, now, stored=False, share_always=True)
                return landing
            one_error = response.status in self._profile.failed_statuses and why_not == "no-store"
            marked = why_not not in self._profile.no_hit_for_pass
            if marked and not one_error and response.status != 412:
                # A 412 is about one request's condition, a 416 about its range; anything else about all requests for
                # the key.
                subject = fetch.flight_key if response.status == 416 else fetch.key
                self._state.uncollapsed.add(
                    subject, KeyFact(now + self._profile.hit_for_pass, why_not, flight.opened_at)
                )
            for waiter in flight.waiters:
                if one_error and waiter.plan is not fetch:
                    # The same status, generated here: the response that came may be used for nobody else.
                    landing.answers[waiter.ticket] = self._requests.refuse(
                        response.status,
                        f"origin: {response.status}",
                        waiter.rule,
                        waiter.request,
                        now,
                        Outcome.FAILED,
                    )
                elif not marked and waiter.plan is not fetch:
                    self._fills.decide_again(waiter, landing, now)
                elif waiter.plan is fetch:
                    landing.answers[waiter.ticket] = self._responder.relayed(
                        waiter.request, response, fetch, Outcome.PASS, Cause.UNCACHEABLE, now, detail=why_not
                    )
                else:
                    self._fills.pass_for(waiter, landing, now)
            return landing
        return self._fills.store(flight, response, now)

    def on_body_end(self, fetch: Fetch, size_bytes: int, now: float) -> Landing:
        """The body of a landed response is complete: `size_bytes` came. `Landing.dropped` made room for it."""
        self._state.events += 1
        landing = Landing()
        entry = self._state.filling.pop(fetch.id, None)
        if entry is None:
            return landing
        promised, entry.length, entry.complete = entry.length, None if entry.is_head else size_bytes, True
        entry.forget_prepared()
        if not entry.indexed:
            landing.dropped.append(entry.id)
        elif promised is not None and promised != size_bytes:
            # A part whose body was not the bytes it named (a whole body's length is the reader's to check).
            landing.dropped.append(self._state.take_out(entry, Cause.ABORTED))
        elif entry.size_bytes != size_bytes:
            entry.size_bytes = size_bytes
            if not self._state.room.admit(entry):
                landing.dropped.append(self._state.take_out(entry, Cause.EVICTED))
            landing.dropped += self._fills.make_room()
        return landing

    def counts_as_whole(self, why: Failure, head: ResponseHead) -> bool:
        """Whether a body that broke off like this counts as complete: then it ends with `on_body_end`.

        With a Content-Length it does not: viewers wait for that many bytes, and notice what is missing.
        """
        stalled = why is Failure.BETWEEN_BYTES_TIMEOUT and "content-length" not in head.headers
        return stalled and self._profile.stalled_body_counts

    def on_failure(self, fetch: Fetch, why: Failure, now: float) -> Landing:
        """The exchange failed: before its head came (everyone gets an answer) or in mid-body (nothing is stored)."""
        self._state.events += 1
        flight = self._state.flights.close(fetch)
        if flight is None:
            entry = self._state.filling.pop(fetch.id, None)
            if entry is None:
                return Landing()
            if entry.indexed:
                self._state.take_out(entry, Cause.UNCACHEABLE if why is Failure.TOO_LARGE else Cause.ABORTED)
            return Landing(dropped=[entry.id])
        held = fetch.entry
        response = self._responder.failure(why, must_revalidate=held is not None and not held.life.may_be_stale)
        sick = why is Failure.SICK
        landing = self._fallback.land_failure(flight, why.reason, response.status, now, None, response.words, sick=sick)
        self._apply_error_pages(flight, landing, now)
        self._purges.forget_purges()
        return landing

    def _apply_error_pages(self, flight: Flight, landing: Landing, now: float) -> None:
        """Errors with an error page become requests for that page; pages that came get the status to send with them."""
        if not self._state.pages:
            return
        for waiter in flight.waiters:
            answer = landing.answers.get(waiter.ticket)
            if answer is None or isinstance(answer, Fetch):
                continue
            substitution = self._state.substitutions.pop(waiter.ticket, None)
            if substitution is not None:
                substitution.apply_to(answer)
                continue
            instead = self._requests.with_error_page(answer, waiter.request, waiter.ticket, now)
            if isinstance(instead, Join):
                del landing.answers[waiter.ticket]
            else:
                landing.answers[waiter.ticket] = instead
