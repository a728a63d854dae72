"""A trace with gaps, replayed where the records suffice.

Theory. What a request gets depends on what happened to its cache key before, and on the room, which all keys share.
After missing records (their file was deleted, the disk was full) no key is known: neither what is stored for it, nor
what the node remembers of it. A key is known again from its first *cold* miss of the live run: then nothing was stored
for it, and nothing remembered. From there on its requests go to the machine and are compared, until

- the machine makes an upstream request whose exchange is not recorded, or an exchange is recorded for which it made no
  upstream request: a record of this path is missing;
- the live node evicted the key and the replay did not, or the other way round: fewer keys share the room here.

Then its path is not compared any more, up to the next gap. Exchanges are found by the instant at which they were sent,
since their ids count from the machine's first fetch. Refusals at the gate and requests with unsafe methods do not
depend on the store: they always go to the machine.
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


class NodeWithGaps(ReplayNode):
    """Replays a trace with gaps: as `ReplayNode` for the keys that are known."""

    def __init__(self, events: Iterable[Event], service: Service, profile: Profile) -> None:
        super().__init__(service, profile)
        self._live: dict[tuple[float, str], int | None] = {}
        """(when an exchange was sent, its path) -> its live id; None where there are several."""
        for event in events:
            if isinstance(event, Landed):
                sent = (event.exchange.sent_at, get_for_url(event.exchange.url).path)
                self._live[sent] = None if sent in self._live else event.exchange.fetch
        self._gap_until = 0
        self._known: set[str] = set()
        """Cache keys whose state is known."""
        self._left: set[str] = set()
        """Paths that are not compared any more."""

    def finish(self) -> Replayed:
        self._result.not_compared += len(self._waiting)  # the records of their fills are missing
        self._waiting.clear()
        return super().finish()

    def _gap(self, gap: Gap) -> None:
        fresh = ReplayNode(self.machine.service, self.machine.profile)
        self.machine, self._gate = fresh.machine, fresh._gate
        self._gap_until = max(self._gap_until, gap.until)
        self._result.not_compared += len(self._waiting)
        for table in (self._waiting, self._fetches, self._known, self._left):
            table.clear()

    def _request(self, record: Requested) -> None:
        request = request_of(record)
        if self._is_known(record, request):
            super()._request(record)
        else:
            self._result.requests += 1
            self._result.not_compared += 1

    def _is_known(self, record: Requested, request: RequestHead) -> bool:
        if record.outcome is Outcome.REFUSED or request.method not in SAFE_METHODS:
            return True
        if record.seq <= self._gap_until or request.path in self._left:
            return False
        behavior = self.machine.view.rule_of(request).behavior
        key = cache_key(self.machine.view.normalized(request, behavior), behavior)
        if record.outcome is Outcome.MISS and record.cause is Cause.COLD:
            self._known.add(key)
        return key in self._known

    def _begin(self, fetch: Fetch) -> None:
        live = self._live.get((fetch.sent_at, fetch.request.path))
        if live is None:
            self._left.add(fetch.request.path)
        else:
            self._fetches[live] = fetch

    def _unexpected(self, event: Landed) -> None:
        self._left.add(get_for_url(event.exchange.url).path)
        # It may be the response to an unsafe method, which invalidates other URLs, too (RFC 9111 section 4.4).
        named = (value for name, value in event.exchange.headers if name.lower() in ("location", "content-location"))
        self._left.update(get_for_url(url).path for url in named)

    def _differs(self, record: Requested, replayed: str) -> None:
        path = get_for_url(record.url).path
        if record.cause is Cause.EVICTED or f"/{Cause.EVICTED} " in replayed:
            self._left.add(path)
        if record.outcome is Outcome.FAILED and replayed.startswith(Outcome.HIT_STALE):
            self._left.add(path)  # evicted live while the parent failed: no cause says so
        if replayed.startswith(Outcome.COLLAPSED):
            self._left.add(path)  # live, a marker may have said that requests for this key are not collapsed
        if path in self._left:
            self._result.not_compared += 1
        else:
            super()._differs(record, replayed)


def replay_with_gaps(events: Iterable[Event], service: Service, profile: Profile) -> Replayed:
    """As `cdnkit.replay.node.replay_each`, for a trace with gaps."""
    known = list(events)
    node = NodeWithGaps(known, service, profile)
    for event in known:
        node.on_event(event)
    return node.finish()
