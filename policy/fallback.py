"""What those who waited get when the parent fails: what is stored by then, if it may be used, or an error and why.

A parent fails by no answer, by an error (RFC 5861 §4), or by an answer to something that was not asked
(`policy.asking.misfit`). See `policy/machine.py` for the theory and the table.
"""

from policy.asking import asks_whether, same_part
from policy.flights import Flight
from policy.keeping import Keeping
from policy.lifetime import error_ttl_of
from policy.notes import Note
from policy.plan import Landing, Purpose
from policy.record import Outcome
from policy.reuse import asked


class Fallback(Keeping):
    """How a fill that failed lands."""

    def _land_failure(
        self, flight: Flight, reason: str, status: int, now: float, forward_status: int | None, words: str = "",
        *, sick: bool = False,
    ) -> Landing:  # fmt: skip
        fetch, landing = flight.fetch, Landing()
        entry = fetch.entry if self._stale_stands_in(flight, now, silent=forward_status is None, sick=sick) else None
        if self.profile.failures_held and fetch.behavior.cache and fetch.purpose is not Purpose.PASS:
            said = self._refuse(status, reason, fetch.behavior, None, now, Outcome.FAILED, words)
            held = error_ttl_of(forward_status or status, fetch.behavior, self.profile) or 0.0
            self._failing.add(fetch.key, Note(now + held, said, flight.opened_at))
        for waiter in flight.waiters:
            if entry is not None and self._answers(entry, waiter, now):
                self.room.touch(entry)
                landing.answers[waiter.ticket] = self._answering.after_fetch(
                    entry, waiter.request, fetch, waiter.behavior, Outcome.HIT_STALE, waiter.plan.cause, now,
                    forward_status=forward_status, detail="stale-if-error",
                )  # fmt: skip
            else:
                landing.answers[waiter.ticket] = self._refuse(
                    status, reason, waiter.behavior, waiter.request, now, Outcome.FAILED, words,
                    member=None if sick else self._answering.failed(
                        fetch, waiter.plan.cause, reason, forward_status, collapsed=waiter.plan is not fetch
                    ),
                )  # fmt: skip
        return landing

    def _land_misfit(self, flight: Flight, why: str, status: int, now: float) -> Landing:
        """An answer to something that was not asked. Of a plain question, it is the parent's failure, for all: to ask
        once more would be to ask the same."""
        if not asks_whether(flight.fetch.request) and not self._asked_for_the_rest(flight):
            return self._land_failure(flight, f"origin: {why}", 502, now, status)
        landing = Landing()
        for waiter in flight.waiters:
            self._decide_for(waiter, landing, now)
        return landing

    @staticmethod
    def _asked_for_the_rest(flight: Flight) -> bool:
        """Whether the Range is this node's, to complete what is stored in part."""
        question = flight.fetch.request
        leaders = [waiter for waiter in flight.waiters if waiter.plan is flight.fetch]
        return "range" in question.headers and any(not same_part(question, leader.request) for leader in leaders)

    def _stale_stands_in(self, flight: Flight, now: float, *, silent: bool = False, sick: bool = False) -> bool:
        """Whether the stored response may cover for the origin: it answered with an error, (`silent`) not at all, or
        (`sick`) was not even asked."""
        entry = flight.fetch.entry
        if entry is None or not entry.indexed or entry.life.revalidate_always:
            return False
        if flight.fetch.purpose is Purpose.PASS and (flight.fetch.request.method != "HEAD" or entry.part is not None):
            return False
        life = entry.life
        if now < (life.sick_until if sick else life.unreachable_until if silent else life.fallback_until):
            return True
        # The request may allow it too (RFC 5861 §4), where the origin has not forbidden it.
        wish = asked(flight.waiters[0].request) if flight.waiters and self.profile.request_directives else None
        window = wish.stale_if_error if wish is not None else None
        return window is not None and life.may_be_stale and now < life.fresh_until + window
