"""What happened at a node, as record lines: the machine's decisions joined with bytes and times."""

from collections.abc import Callable
from typing import Any

from cdnkit.policy.http.hops import last_node
from cdnkit.policy.http.messages import Headers, RequestHead, ResponseHead
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.outcomes import Outcome
from cdnkit.policy.plan import Assemble, Fetch, Join, Plan, PurgeOrder, Refuse, Serve
from cdnkit.policy.record.lines import FetchRecord, FieldLines, PurgeRecord, RequestRecord
from cdnkit.policy.record.object_class import ObjectClass, classify
from edge.blind import Blind
from edge.log import RecordLog
from edge.response import Response

READ_BY_POLICY = frozenset(
    {
        "cache-control",
        "pragma",
        "if-none-match",
        "if-modified-since",
        "if-range",
        "range",
        "via",
        "authorization",
        "accept-encoding",
        "content-length",
        "transfer-encoding",
    }
)
"""Request fields the policy reads whatever the settings; those of keys and of Vary come on top."""

OF_THE_OBJECT = (200, 206, 304)
"""Statuses whose content type is that of the object: an error's page says nothing of it."""


class Recorder:
    """Writes the records of one node, or of one of its services. Secrets are blinded."""

    def __init__(self, machine: EdgeMachine, log: RecordLog, clock: Callable[[], float]) -> None:
        self._machine = machine
        self._log = log
        self._clock = clock
        self._node = machine.service.name
        self._gate = machine.service.gate
        self._blind = Blind(machine.gate)
        self._fields = _fields_recorded(machine)

    def request(self, request: RequestHead, plan: Plan, now: float) -> RequestRecord:
        """A record as the plan leaves it; `responded` and `write` complete it. The request is without its token."""
        return RequestRecord(
            node=self._node,
            seq=self._machine.events,
            at=now,
            method=request.method,
            url=f"{request.scheme}://{request.host}{self._blind.target(request.target)}",
            status=0,
            outcome=plan.outcome,
            cause=None if isinstance(plan, Refuse) else plan.cause,
            behavior=plan.rule.path,
            object_class=ObjectClass.OTHER,
            rendition="",
            bytes_sent=0,
            ttfb_ms=0.0,
            duration_ms=0.0,
            client_ip=request.client_ip,
            client_port=request.client_port,
            country=request.place.country,
            region=request.place.region,
            asn=request.place.asn,
            version=request.version,
            from_node="" if self._gate else last_node(request),
            fetch=plan.id if isinstance(plan, Fetch) else plan.fetch_id if isinstance(plan, Join | Serve) else 0,
            session=_session(request.headers),
            block=request.block,
            head_bytes=request.head_bytes,
            head_fields=request.head_fields,
            refusal=None if isinstance(plan, Assemble) or plan.refusal is None else plan.refusal.kind,
        )

    def responded(self, record: RequestRecord, response: Response, path: str) -> None:
        """The head goes out now; `path` is the request's, without a token."""
        head = response.head
        record.status = head.status
        record.outcome = head.outcome
        record.ttfb_ms = round((self._clock() - record.at) * 1000, 3)
        record.reason = head.reason
        record.refusal = None if head.refusal is None else head.refusal.kind
        content_type = ""
        if not isinstance(head, Refuse):
            record.cause = head.cause
            record.fetch = head.fetch_id
            content_type = response.content_type() if head.status in OF_THE_OBJECT else ""
        record.object_class, record.rendition = classify(path, content_type)

    def write(self, record: RequestRecord, request: RequestHead) -> None:
        """The request is over; it is without its token."""
        if not record.status:  # the client left before there was a head
            record.object_class, record.rendition = classify(request.path)
        record.headers = self.kept(request)
        record.duration_ms = round((self._clock() - record.at) * 1000, 3)
        self._log.add(record)

    def hit(self, request: RequestHead, served: Serve, now: float) -> RequestRecord:
        """As `request` and `responded`, of a plain hit that goes out at once."""
        entry, record = served.entry, self.template(request)
        record.seq, record.at, record.status = self._machine.state.events, now, entry.status
        record.url = f"{request.scheme}://{request.host}{self._blind.target(request.target)}"
        record.behavior = served.rule.behavior.path
        content_type = entry.content_type if entry.status in OF_THE_OBJECT else ""
        record.object_class, record.rendition = classify(request.path, content_type)
        return record

    def shown(self, target: str) -> str:
        """A target without its secrets."""
        return self._blind.target(target)

    def template(self, request: RequestHead) -> RequestRecord:
        """A hit's record, but for what follows from target, response and time; the head's size without the target."""
        return RequestRecord(
            node=self._node,
            seq=0,
            at=0.0,
            method=request.method,
            url="",
            status=0,
            outcome=Outcome.HIT,
            cause=None,
            behavior="",
            object_class=ObjectClass.OTHER,
            rendition="",
            bytes_sent=0,
            ttfb_ms=0.0,
            duration_ms=0.0,
            client_ip=request.client_ip,
            client_port=request.client_port,
            country=request.place.country,
            region=request.place.region,
            asn=request.place.asn,
            version=request.version,
            from_node="" if self._gate else last_node(request),
            session=_session(request.headers),
            headers=self.kept(request),
            head_bytes=request.head_bytes,
            head_fields=request.head_fields,
        )

    def sent(self, record: RequestRecord, sent: int, why: str | None) -> None:
        """A response that went out at once is over: the client took so many bytes, and (`why`) left before the end."""
        record.duration_ms = round((self._clock() - record.at) * 1000, 3)
        record.ttfb_ms = record.ttfb_ms or record.duration_ms
        record.bytes_sent = sent
        if why is not None:
            record.aborted, record.reason = True, why or record.reason
        self._log.add(record)

    def kept(self, request: RequestHead) -> FieldLines:
        """The fields that the record keeps."""
        facts, vary = request.headers.facts, self._machine.state.vary_fields
        if facts is None:
            return self._blind.kept(request, self._fields | vary)
        if facts.recorded is None or facts.recorded[0] != len(vary):
            facts.recorded = len(vary), self._blind.kept(request, self._fields | vary)
        return facts.recorded[1]

    def fetch(self, fetch: Fetch, now: float, head: ResponseHead | None = None, failure: str = "") -> FetchRecord:
        """An exchange as its head (or its failure) leaves it; whoever reads the body adds its end, and then `add`s."""
        return FetchRecord(
            node=self._node,
            fetch=fetch.id,
            url=self._blind.target(fetch.request.target),
            purpose=fetch.purpose.value,
            sent_at=fetch.sent_at,
            landed_seq=self._machine.events,
            landed_at=now,
            status=head.status if head else 0,
            headers=self._blind.lines(head.headers) if head else (),
            failure=failure,
        )

    def found(self, fetch: Fetch, now: float, status: int, values: dict[str, Any]) -> FetchRecord:
        """As `fetch`, where the shared tier had the response."""
        record = self.fetch(fetch, now)
        record.purpose, record.status = "shared", status
        record.shared = self._blind.shared(values)
        return record

    def add(self, record: FetchRecord) -> None:
        self._log.add(record)

    def purge(self, order: PurgeOrder, now: float, count: int) -> None:
        """An order was carried out; `count` responses were concerned."""
        value = self._blind.order(order)
        self._log.add(PurgeRecord(self._node, self._machine.events, now, order.kind.value, value, order.soft, count))


def _fields_recorded(machine: EdgeMachine) -> frozenset[str]:
    """Names of the request fields that a record keeps, so that a replay decides the same."""
    behaviors = machine.service.behaviors
    names = READ_BY_POLICY | machine.decisive | {name.lower() for one in behaviors for name in one.key.headers}
    if any(one.key.cookies != "none" for one in behaviors):
        names |= {"cookie"}
    if machine.service.gate:
        # What viewers write there nobody reads: the machine makes them up from the place.
        names -= machine.profile.viewer_fields.keys()
    return names


def _session(headers: Headers) -> str:
    """The session that a player names (CTA-5004)."""
    facts = headers.facts
    if facts is None:
        return _session_in(headers)
    if facts.session is None:
        facts.session = _session_in(headers)
    return facts.session


def _session_in(headers: Headers) -> str:
    session = ""
    for part in (headers.first("cmcd-session") or "").split(","):
        name, _, value = part.strip().partition("=")
        if name == "sid":
            session = value.strip('"')
    return session
