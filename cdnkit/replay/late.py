"""A trace with gaps, replayed as far as it can be judged.

Theory. What a request gets depends on what happened to its cache key before, and on the room, which all keys share.
Where records are missing (their file had to make room, the disk was full), no key is known any more: neither what is
stored for it, nor what is remembered of it. A key is known again from a miss on that was *cold* live: nothing was
stored for it, nor remembered. From there on its requests are told to the machine and compared, until

- an exchange is not found that the machine asks for, or one is found that it did not ask for: a record of this path is
  missing;
- one of live and replay has let it go for room and the other has not: the room holds less here, so keys go later.

Then its path is not compared any more, up to the next gap. Exchanges are found by the instant at which they were sent,
since their ids count what a machine was asked from its beginning on. Refusals at the gate and unsafe methods depend on
nothing that is stored: they are always told.
"""

from collections.abc import Iterable

from cdnkit.policy.http.messages import RequestHead, get_for_url
from cdnkit.policy.outcomes import Cause, Outcome
from cdnkit.policy.plan import Fetch
from cdnkit.policy.record.lines import Requested
from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.service import Service
from cdnkit.policy.store.key import cache_key
from cdnkit.policy.upstream.invalidation import SAFE_METHODS
from cdnkit.replay.node import Replayed, ReplayNode, request_of
from cdnkit.replay.trace import Event, Gap, Landed


class LateNode(ReplayNode):
    """Replays a trace with gaps, in the way of `ReplayNode` where it knows enough."""

    def __init__(self, events: Iterable[Event], service: Service, profile: Profile) -> None:
        super().__init__(service, profile)
        self._live: dict[tuple[float, str], int | None] = {}
        """When an exchange was sent, and its path -> its id live; None where there are several."""
        for event in events:
            if isinstance(event, Landed):
                sent = (event.exchange.sent_at, get_for_url(event.exchange.url).path)
                self._live[sent] = None if sent in self._live else event.exchange.fetch
        self._blind_until = 0
        self._known: set[str] = set()
        self._left: set[str] = set()
        """Paths that are not compared any more."""

    def finish(self) -> Replayed:
        self._result.not_compared += len(self._waiting)  # what would answer them is missing
        self._waiting.clear()
        return super().finish()

    def _gap(self, gap: Gap) -> None:
        fresh = ReplayNode(self.machine.service, self.machine.profile)
        self.machine, self._gate = fresh.machine, fresh._gate
        self._blind_until = max(self._blind_until, gap.until)
        self._result.not_compared += len(self._waiting)
        for held in (self._waiting, self._fetches, self._known, self._left):
            held.clear()

    def _request(self, record: Requested) -> None:
        request = request_of(record)
        if self._is_told(record, request):
            super()._request(record)
        else:
            self._result.requests += 1
            self._result.not_compared += 1

    def _is_told(self, record: Requested, request: RequestHead) -> bool:
        if record.outcome is Outcome.REFUSED or request.method not in SAFE_METHODS:
            return True
        if record.seq <= self._blind_until or request.path in self._left:
            return False
        key = cache_key(self.machine.view.normalized(request), self.machine.view.rule_of(request).behavior)
        if record.outcome is Outcome.MISS and record.cause is Cause.COLD:
            self._known.add(key)
        return key in self._known

    def _begin(self, fetch: Fetch) -> None:
        live = self._live.get((fetch.sent_at, fetch.request.path))
        if live is None:
            self._left.add(fetch.request.path)
        else:
            self._fetches[live] = fetch

    def _unasked(self, event: Landed) -> None:
        self._left.add(get_for_url(event.exchange.url).path)
        # It may have been asked for by an unsafe method, and then takes more with it (RFC 9111 section 4.4).
        named = (value for name, value in event.exchange.headers if name.lower() in ("location", "content-location"))
        self._left.update(get_for_url(url).path for url in named)

    def _differs(self, record: Requested, replayed: str) -> None:
        path = get_for_url(record.url).path
        if record.cause is Cause.EVICTED or f"/{Cause.EVICTED} " in replayed:
            self._left.add(path)
        if record.outcome is Outcome.FAILED and replayed.startswith(Outcome.HIT_STALE):
            self._left.add(path)  # let go for room while the parent was asked in vain: no cause says so
        if replayed.startswith(Outcome.COLLAPSED):
            self._left.add(path)  # of what is not stored, a note may say that nobody waits for it
        if path in self._left:
            self._result.not_compared += 1
        else:
            super()._differs(record, replayed)


def tell_late(events: Iterable[Event], service: Service, profile: Profile) -> Replayed:
    """As `cdnkit.replay.node.tell_each`, for a trace with gaps."""
    told = list(events)
    node = LateNode(told, service, profile)
    for event in told:
        node.tell(event)
    return node.finish()
