"""One node in virtual time: a new `EdgeMachine` gets a live run's events; its results are compared with the records."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from cdnkit.policy.http.messages import Headers, RequestHead, ResponseHead, get_for_url
from cdnkit.policy.http.place import Place
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.outcomes import Cause, Failure, Outcome
from cdnkit.policy.plan import Assemble, Decision, Fetch, Landing, PurgeOrder, Refuse, Relay, Serve
from cdnkit.policy.record.lines import Requested
from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.service import Service
from cdnkit.policy.store.eviction import Room
from cdnkit.replay.gate import RecordedGate
from cdnkit.replay.trace import Ended, Event, Gap, Landed, Ordered

MOST_DIFFERENCES = 1000
"""Differences that are kept. With other rules than the live node had, every request may be one."""

SETTLED_AT_ONCE = 1024
"""Of what a soft purge of very many made stale."""


@dataclass(slots=True, order=True)
class Difference:
    """A record on which the replay and the live run disagree."""

    seq: int
    url: str
    live: str
    replayed: str

    def __str__(self) -> str:
        return f"seq {self.seq}: {self.url}: live {self.live}, replayed {self.replayed}"


@dataclass(slots=True)
class Replayed:
    """The result of a replay."""

    requests: int
    outcomes: dict[Outcome, int]
    differences: list[Difference]
    """The first MOST_DIFFERENCES, in the order of the live run."""
    differed: int = 0
    """The number of all differences."""
    not_compared: int = 0
    """Requests whose outcome depends on missing records."""


class ReplayNode:
    """The shell of a machine in virtual time."""

    def __init__(self, service: Service, profile: Profile, fresh_room: Callable[[], Room] | None = None) -> None:
        """`fresh_room`: as `EdgeMachine` has it."""
        self._gate = RecordedGate()
        # Live request ids are random, and no record has them: one id for all requests will do, and costs nothing.
        # Whichever coding a body was compressed with, its record has the resulting size.
        self.machine = EdgeMachine(
            service, profile, gate=self._gate, fresh_id=lambda: "replayed",
            codings=("br", "gzip"), fresh_room=fresh_room,
        )  # fmt: skip
        self._fetches: dict[int, Fetch] = {}
        self._waiting: dict[int, Requested] = {}
        self._result = Replayed(0, {}, [])

    def on_event(self, event: Event) -> None:
        match event:
            case Requested():
                self._request(event)
            case Landed():
                self._landed(event)
            case Ended():
                self._ended(event)
            case Ordered():
                self.machine.on_purge(PurgeOrder(event.what, event.value, event.soft), event.at)
                while self.machine.settle(SETTLED_AT_ONCE, self.machine.soft_purges) is not None:
                    pass  # nobody waits here
            case Gap():
                self._gap(event)

    def on_event_elsewhere(self, event: Event) -> None:
        """A request that was answered with a copy. The machine gave no id for it, as it does for conditional ones."""
        state, ids, fetches = self.machine.state, self.machine.state.ids, len(self._fetches)
        waiting = len(self._waiting)
        self.on_event(event)
        if (fetches, waiting) == (len(self._fetches), len(self._waiting)):
            state.ids = ids

    def _gap(self, gap: Gap) -> None:
        """Ignored here: `cdnkit.replay.gaps` overrides it."""

    def finish(self) -> Replayed:
        """The result. Requests that got a response live and none in the replay are differences, too."""
        for record in self._waiting.values():
            if record.status:
                self._differs(record, "no answer")
        self._waiting.clear()
        self._keep_the_first()
        return self._result

    def _request(self, record: Requested) -> None:
        self._result.requests += 1
        self._gate.record = record
        plan = self.machine.on_request(request_of(record), record.at)
        if isinstance(plan, Serve | Refuse):
            self._compare(record, plan)
            if isinstance(plan, Serve) and plan.refresh is not None:
                self._begin(plan.refresh)
            return
        if isinstance(plan, Assemble):
            # Each block is a request with a record of its own; the viewer's record has the outcome of all of them.
            self._count(record.outcome)
            return
        if isinstance(plan, Fetch):
            self._begin(plan)
        if record.status == 0:
            self._compare(record, plan)  # the viewer left before a response: only the plan can be compared
        else:
            self._waiting[plan.ticket] = record

    def _begin(self, fetch: Fetch) -> None:
        """The machine makes an upstream request; the records have its exchange."""
        self._fetches[fetch.id] = fetch

    def _unexpected(self, event: Landed) -> None:
        """The live node made an upstream request that the replay did not make."""
        exchange = event.exchange
        missing = Difference(event.seq, exchange.url, f"fetch {exchange.fetch}", "no such fetch")
        self._add(missing)

    def _landed(self, event: Landed) -> None:
        exchange = event.exchange
        fetch = self._fetches.get(exchange.fetch)
        if fetch is None:
            self._unexpected(event)
            return
        if exchange.shared:
            found = self.machine.on_found(fetch, exchange.shared, exchange.size_bytes, event.at)
            if found is None:
                no_use = Difference(event.seq, exchange.url, "found in the shared tier", "of no use")
                self._add(no_use)
                return
            self._resolve(found)
        elif exchange.status:
            head = ResponseHead(exchange.status, Headers(exchange.headers))
            self._resolve(self.machine.on_response(fetch, head, event.at))
        else:
            self._resolve(self.machine.on_failure(fetch, Failure(exchange.failure), event.at))

    def _ended(self, event: Ended) -> None:
        exchange = event.exchange
        fetch = self._fetches.pop(exchange.fetch, None)
        if fetch is None:
            return
        if exchange.failure:
            self._resolve(self.machine.on_failure(fetch, Failure(exchange.failure), event.at))
        else:
            self._resolve(self.machine.on_body_end(fetch, exchange.size_bytes, event.at))

    def _resolve(self, landing: Landing) -> None:
        for ticket, decision in landing.answers.items():
            if isinstance(decision, Fetch):
                self._begin(decision)
                continue
            if isinstance(decision, Serve) and decision.refresh is not None:
                self._begin(decision.refresh)
            record = self._waiting.pop(ticket, None)
            if record is not None:
                self._compare(record, decision)

    def _compare(self, record: Requested, decision: Decision | Relay) -> None:
        outcome = decision.outcome
        self._count(outcome)
        cause = None if isinstance(decision, Refuse) else decision.cause
        status = decision.status if isinstance(decision, Serve | Refuse | Relay) else 0
        live_cause = None if isinstance(decision, Refuse) else record.cause
        # Status 0: the viewer left before a response.
        if (outcome, cause) != (record.outcome, live_cause) or record.status not in (0, status):
            self._differs(record, brief(outcome, cause, status if record.status else 0))

    def _count(self, outcome: Outcome, times: int = 1) -> None:
        self._result.outcomes[outcome] = self._result.outcomes.get(outcome, 0) + times

    def _differs(self, record: Requested, replayed: str) -> None:
        live = brief(record.outcome, record.cause, record.status)
        self._add(Difference(record.seq, record.url, live, replayed))

    def _add(self, difference: Difference) -> None:
        self._result.differed += 1
        self._result.differences.append(difference)
        if len(self._result.differences) >= 2 * MOST_DIFFERENCES:
            self._keep_the_first()

    def _keep_the_first(self) -> None:
        self._result.differences.sort()
        del self._result.differences[MOST_DIFFERENCES:]


def brief(outcome: Outcome, cause: Cause | None, status: int) -> str:
    """Outcome, cause and status in short: "miss/cold 200"."""
    return f"{outcome.value}/{cause.value if cause else '-'} {status}"


def replay_each(
    events: Iterable[Event], service: Service, profile: Profile, elsewhere: Collection[int] = frozenset()
) -> Replayed:
    """Replay every event through a new machine; `service` and `profile` as the live node had them. `elsewhere`:
    positions of requests that were answered with copies.

    `replay_node` gives the same result sooner. Tests compare it with this one, which is simple.
    """
    node = ReplayNode(service, profile)
    for position, event in enumerate(events):
        if position in elsewhere:
            node.on_event_elsewhere(event)
        else:
            node.on_event(event)
    return node.finish()


def request_of(record: Requested) -> RequestHead:
    request = get_for_url(record.url)
    request.method = record.method
    request.scheme = record.url.partition("://")[0]
    request.headers = Headers(record.headers)
    request.client_ip, request.client_port = record.client_ip, record.client_port
    request.place = Place(record.country, record.region, record.asn)
    request.version, request.block = record.version, record.block
    request.head_bytes, request.head_fields = record.head_bytes, record.head_fields
    return request
