"""One node in virtual time: a live run's events told to a fresh `EdgeMachine`, its answers held against the log."""

from collections.abc import Callable, Iterable
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


@dataclass(slots=True, order=True)
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
    """In the order of the live run."""
    not_compared: int = 0
    """Requests whose answer depends on what the records do not tell."""


class ReplayNode:
    """The shell of a machine in virtual time."""

    def __init__(self, service: Service, profile: Profile, fresh_room: Callable[[], Room] | None = None) -> None:
        """`fresh_room`: as a machine takes it."""
        self._gate = RecordedGate()
        # Request ids are random live and in no record: one for all is as good, and costs nothing to make. Whichever
        # coding was put on a body, its record has the size that came of it.
        self.machine = EdgeMachine(
            service, profile, gate=self._gate, fresh_id=lambda: "replayed",
            codings=("br", "gzip"), fresh_room=fresh_room,
        )  # fmt: skip
        self._fetches: dict[int, Fetch] = {}
        self._waiting: dict[int, Requested] = {}
        self._result = Replayed(0, {}, [])

    def tell(self, event: Event) -> None:
        match event:
            case Requested():
                self._request(event)
            case Landed():
                self._landed(event)
            case Ended():
                self._ended(event)
            case Ordered():
                self.machine.on_purge(PurgeOrder(event.what, event.value, event.soft), event.at)
            case Gap():
                self._gap(event)

    def _gap(self, gap: Gap) -> None:
        """Nothing is made of it here: `cdnkit.replay.late` does."""

    def finish(self) -> Replayed:
        """Requests that never got an answer in the replay, though they got one live, are differences too."""
        for record in self._waiting.values():
            if record.status:
                self._differs(record, "no answer")
        self._waiting.clear()
        self._result.differences.sort()
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
            # Its blocks are requests with lines of their own; the viewer's line says what came of them together.
            self._count(record.outcome)
            return
        if isinstance(plan, Fetch):
            self._begin(plan)
        if record.status == 0:
            self._compare(record, plan)  # the viewer left before an answer: the plan is all there is to compare
        else:
            self._waiting[plan.ticket] = record

    def _begin(self, fetch: Fetch) -> None:
        """The machine asks its parent; the log has what came."""
        self._fetches[fetch.id] = fetch

    def _unasked(self, event: Landed) -> None:
        """Live, the parent was asked for what the replay did not ask."""
        exchange = event.exchange
        missing = Difference(event.seq, exchange.url, f"fetch {exchange.fetch}", "no such fetch")
        self._result.differences.append(missing)

    def _landed(self, event: Landed) -> None:
        exchange = event.exchange
        fetch = self._fetches.get(exchange.fetch)
        if fetch is None:
            self._unasked(event)
            return
        if exchange.shared:
            found = self.machine.on_found(fetch, exchange.shared, exchange.size_bytes, event.at)
            if found is None:
                no_use = Difference(event.seq, exchange.url, "found in the shared tier", "of no use")
                self._result.differences.append(no_use)
                return
            self._settle(found)
        elif exchange.status:
            head = ResponseHead(exchange.status, Headers(exchange.headers))
            self._settle(self.machine.on_response(fetch, head, event.at))
        else:
            self._settle(self.machine.on_failure(fetch, Failure(exchange.failure), event.at))

    def _ended(self, event: Ended) -> None:
        exchange = event.exchange
        fetch = self._fetches.pop(exchange.fetch, None)
        if fetch is None:
            return
        if exchange.failure:
            self._settle(self.machine.on_failure(fetch, Failure(exchange.failure), event.at))
        else:
            self._settle(self.machine.on_body_end(fetch, exchange.size_bytes, event.at))

    def _settle(self, landing: Landing) -> None:
        for ticket, answer in landing.answers.items():
            if isinstance(answer, Fetch):
                self._begin(answer)
                continue
            if isinstance(answer, Serve) and answer.refresh is not None:
                self._begin(answer.refresh)
            record = self._waiting.pop(ticket, None)
            if record is not None:
                self._compare(record, answer)

    def _compare(self, record: Requested, answer: Decision | Relay) -> None:
        outcome = answer.outcome
        self._count(outcome)
        cause = None if isinstance(answer, Refuse) else answer.cause
        status = answer.status if isinstance(answer, Serve | Refuse | Relay) else 0
        live_cause = None if isinstance(answer, Refuse) else record.cause
        # Status 0: the viewer left before there was one.
        if (outcome, cause) != (record.outcome, live_cause) or record.status not in (0, status):
            self._differs(record, brief(outcome, cause, status if record.status else 0))

    def _count(self, outcome: Outcome, times: int = 1) -> None:
        self._result.outcomes[outcome] = self._result.outcomes.get(outcome, 0) + times

    def _differs(self, record: Requested, replayed: str) -> None:
        live = brief(record.outcome, record.cause, record.status)
        self._result.differences.append(Difference(record.seq, record.url, live, replayed))


def brief(outcome: Outcome, cause: Cause | None, status: int) -> str:
    """An answer in a few words: "miss/cold 200"."""
    return f"{outcome.value}/{cause.value if cause else '-'} {status}"


def tell_each(events: Iterable[Event], service: Service, profile: Profile) -> Replayed:
    """Tell a fresh machine everything a live one was told; `service` and `profile` as the live node had them.

    What `replay_node` does sooner; here because it is plain, and for tests to hold the other against.
    """
    node = ReplayNode(service, profile)
    for event in events:
        node.tell(event)
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
