"""What the waiting requests get when the parent fails: a stored response, if one may be used, or an error with its
reason.

A parent fails by no response, by an error (RFC 5861 §4), or by a response to another kind of request
(`cdnkit.policy.upstream.request.mismatch`). See `cdnkit/policy/machine/machine.py` for the theory and the table.
"""

from cdnkit.policy.freshness.lifetime import error_ttl_of
from cdnkit.policy.freshness.reuse import request_control
from cdnkit.policy.machine.fills import Fills
from cdnkit.policy.machine.flights import Flight, Waiter
from cdnkit.policy.machine.key_facts import KeyFact
from cdnkit.policy.machine.requests import Requests
from cdnkit.policy.machine.state import NodeState, View
from cdnkit.policy.outcomes import Outcome, Purpose
from cdnkit.policy.plan import Landing
from cdnkit.policy.store.index import Entry
from cdnkit.policy.store.lookup import Lookup, LookupAction
from cdnkit.policy.upstream.request import is_conditional, same_part


class Fallback:
    """How a fill that failed lands."""

    def __init__(self, state: NodeState, view: View, requests: Requests, fills: Fills) -> None:
        self._state, self._view, self._requests, self._fills = state, view, requests, fills
        self._responder = state.responder
        self._profile = state.profile

    def land_failure(
        self, flight: Flight, reason: str, status: int, now: float, forward_status: int | None, words: str = "",
        *, sick: bool = False,
    ) -> Landing:  # fmt: skip
        fetch, landing = flight.fetch, Landing()
        if self._profile.failures_held and fetch.rule.behavior.cache and fetch.purpose is not Purpose.PASS:
            refusal = self._requests.refuse(status, reason, fetch.rule, None, now, Outcome.FAILED, words)
            refusal.silent = forward_status is None
            held = error_ttl_of(forward_status or status, fetch.rule.behavior, self._profile) or 0.0
            self._state.failing.add(fetch.key, KeyFact(now + held, refusal, flight.opened_at))
        for waiter in flight.waiters:
            found = self._usable(waiter, now, silent=forward_status is None, sick=sick)
            if found is None:
                landing.answers[waiter.ticket] = self._requests.refuse(
                    status, reason, waiter.rule, waiter.request, now, Outcome.FAILED, words,
                    member=None if sick else self._responder.failure_member(
                        fetch, waiter.plan.cause, reason, forward_status, collapsed=waiter.plan is not fetch
                    ),
                )  # fmt: skip
                continue
            entry, lookup = found
            if lookup.cause is None:
                landing.answers[waiter.ticket] = self._requests.hit(lookup, entry, waiter.request, waiter.rule, now)
                continue
            self._state.room.touch(entry)
            landing.answers[waiter.ticket] = self._responder.after_fetch(
                entry, waiter.request, fetch, waiter.rule, Outcome.HIT_STALE, waiter.plan.cause, now,
                forward_status=forward_status, detail="stale-if-error",
            )  # fmt: skip
        return landing

    def land_mismatch(self, flight: Flight, why: str, status: int, now: float) -> Landing:
        """A response that does not fit the request. If the request was plain, the parent has failed for all who wait: a
        second one would be the same."""
        if not is_conditional(flight.fetch.request) and not self.requested_rest(flight):
            return self.land_failure(flight, f"origin: {why}", 502, now, status)
        landing = Landing()
        for waiter in flight.waiters:
            self._fills.decide_again(waiter, landing, now)
        return landing

    @staticmethod
    def requested_rest(flight: Flight) -> bool:
        """Whether the Range is this node's own, to complete a stored part."""
        upstream = flight.fetch.request
        leaders = [waiter for waiter in flight.waiters if waiter.plan is flight.fetch]
        return "range" in upstream.headers and any(not same_part(upstream, leader.request) for leader in leaders)

    def has_stand_in(self, flight: Flight, now: float) -> bool:
        """Whether the store has something better than the parent's error for any request that waits. In a background
        refresh: whether the error would replace it."""
        if flight.waiters:
            return any(self._usable(waiter, now) is not None for waiter in flight.waiters)
        found = self._state.index.select(flight.fetch.key, flight.fetch.request.headers)
        return isinstance(found, Entry) and self._may_stand_in(found, now)

    def _usable(
        self, waiter: Waiter, now: float, *, silent: bool = False, sick: bool = False
    ) -> tuple[Entry, Lookup] | None:
        """What the store has by now for a request that waited in vain, fresh or allowed to be stale, and the
        look-up."""
        lookup = self._view.lookup(waiter.request, waiter.rule, now)
        entry = lookup.entry
        if entry is None or lookup.action is LookupAction.PASS:
            return None
        if lookup.cause is None:
            return entry, lookup
        if not self._fills.answers(entry, waiter, now) or (entry.part is not None and waiter.request.method == "HEAD"):
            return None
        control = request_control(waiter.request) if self._profile.request_directives else None
        window = control.stale_if_error if control is not None else None
        usable = self._may_stand_in(entry, now, window, silent=silent, sick=sick)
        return (entry, lookup) if usable else None

    def _may_stand_in(
        self, entry: Entry, now: float, window: float | None = None, *, silent: bool = False, sick: bool = False
    ) -> bool:
        """Whether a stored response may stand in for the origin, which answered with an error, (`silent`) not at all,
        or (`sick`) was sent nothing. `window`: the request's own `stale-if-error`, which counts unless the origin
        forbids it (RFC 5861 §4)."""
        life = entry.life
        if life.revalidate_always and not ((silent or sick) and self._profile.no_cache_stands_in):
            return False
        if now < (life.sick_until if sick else life.unreachable_until if silent else life.fallback_until):
            return True
        return window is not None and life.may_be_stale and now < life.fresh_until + window
