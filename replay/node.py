"""One node in virtual time: a live run's events told to a fresh `EdgeMachine`, its answers held against the log."""

from collections.abc import Iterable
from dataclasses import dataclass

from policy.access import Refusal
from policy.machine import EdgeMachine
from policy.messages import Headers, RequestHead, ResponseHead, target_of
from policy.plan import Failure, Fetch, Landing, Plan, PurgeKind, PurgeOrder, Refuse, Relay, Serve
from policy.profile import Profile
from policy.record import Outcome, RequestRecord
from policy.service import Behavior, Service
from replay.trace import Ended, Event, Landed, Ordered, Requested


@dataclass(slots=True)
class Difference:
    """A line on which the replay and the live run disagree."""

    seq: int
    url: str
    live: str
    replayed: str

    def __str__(self) -> str:
        return f"seq {self.seq}: {self.url}: live {self.live}, replayed {self.replayed}"


@dataclass(slots=True)
class Replayed:
    """What came of it."""

    requests: int
    outcomes: dict[Outcome, int]
    differences: list[Difference]


class RecordedGate:
    """Says what the live gate said: the record holds its verdict, not the token."""

    prefixes: tuple[str, ...] = ()
    params: frozenset[str] = frozenset()
    headers: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.record: RequestRecord | None = None

    def refusal(self, request: RequestHead, behavior: Behavior, now: float) -> Refusal | None:
        record = self.record
        if record is None or record.outcome is not Outcome.REFUSED:
            return None
        return Refusal(record.status, record.reason)

    def stripped(self, request: RequestHead, behavior: Behavior) -> RequestHead:
        return request

    def propagation(self, request: RequestHead, behavior: Behavior) -> None:
        return None


class ReplayNode:
    """The shell of a machine in virtual time."""

    def __init__(self, service: Service, profile: Profile) -> None:
        self._gate = RecordedGate()
        self._machine = EdgeMachine(service, profile, gate=self._gate)
        self._fetches: dict[int, Fetch] = {}
        self._waiting: dict[int, RequestRecord] = {}
        self.result = Replayed(0, {}, [])

    def tell(self, event: Event) -> None:
        match event:
            case Requested():
                self._request(event)
            case Landed():
                self._landed(event)
            case Ended():
                self._ended(event)
            case Ordered():
                record = event.record
                self._machine.on_purge(PurgeOrder(PurgeKind(record.what), record.value, record.soft), event.at)

    def finish(self) -> Replayed:
        """Requests that never got an answer in the replay, though they got one live, are differences too."""
        for record in self._waiting.values():
            if record.status:
                self._differs(record, "no answer")
        return self.result

    def _request(self, event: Requested) -> None:
        record = event.record
        self.result.requests += 1
        self._gate.record = record
        plan = self._machine.on_request(_request_of(record), event.at)
        if isinstance(plan, Serve | Refuse):
            self._compare(record, plan)
            if isinstance(plan, Serve) and plan.refresh is not None:
                self._fetches[plan.refresh.id] = plan.refresh
            return
        if isinstance(plan, Fetch):
            self._fetches[plan.id] = plan
        if record.status == 0:
            self._compare(record, plan)  # the viewer left before an answer: the plan is all there is to compare
        else:
            self._waiting[plan.ticket] = record

    def _landed(self, event: Landed) -> None:
        record = event.record
        fetch = self._fetches.get(record.fetch)
        if fetch is None:
            self.result.differences.append(Difference(event.seq, record.url, f"fetch {record.fetch}", "no such fetch"))
            return
        if record.status:
            head = ResponseHead(record.status, Headers(record.headers))
            self._settle(self._machine.on_response(fetch, head, event.at))
        else:
            self._settle(self._machine.on_failure(fetch, Failure(record.failure), event.at))

    def _ended(self, event: Ended) -> None:
        record = event.record
        fetch = self._fetches.pop(record.fetch, None)
        if fetch is None:
            return
        if record.failure:
            self._settle(self._machine.on_failure(fetch, Failure(record.failure), event.at))
        else:
            self._settle(self._machine.on_body_end(fetch, record.size_bytes, event.at))

    def _settle(self, landing: Landing) -> None:
        for ticket, answer in landing.answers.items():
            if isinstance(answer, Fetch):
                self._fetches[answer.id] = answer
                continue
            if isinstance(answer, Serve) and answer.refresh is not None:
                self._fetches[answer.refresh.id] = answer.refresh
            record = self._waiting.pop(ticket, None)
            if record is not None:
                self._compare(record, answer)

    def _compare(self, record: RequestRecord, answer: Plan | Relay) -> None:
        outcome = answer.outcome
        self.result.outcomes[outcome] = self.result.outcomes.get(outcome, 0) + 1
        cause = None if isinstance(answer, Refuse) else answer.cause
        status = 0 if record.status == 0 or not isinstance(answer, Serve | Refuse | Relay) else answer.status
        live_cause = None if isinstance(answer, Refuse) else record.cause
        if (outcome, cause, status) != (record.outcome, live_cause, record.status):
            self._differs(record, f"{outcome.value}/{cause.value if cause else '-'} {status}")

    def _differs(self, record: RequestRecord, replayed: str) -> None:
        live = f"{record.outcome.value}/{record.cause.value if record.cause else '-'} {record.status}"
        self.result.differences.append(Difference(record.seq, record.url, live, replayed))


def replay_node(events: Iterable[Event], service: Service, profile: Profile) -> Replayed:
    """Tell a fresh machine everything a live one was told; `service` and `profile` as the live node had them."""
    node = ReplayNode(service, profile)
    for event in events:
        node.tell(event)
    return node.finish()


def _request_of(record: RequestRecord) -> RequestHead:
    request = target_of(record.url)
    request.method = record.method
    request.headers = Headers(record.headers)
    request.client_ip, request.country = record.client_ip, record.country
    return request
