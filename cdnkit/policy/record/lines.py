"""One request, one line; one fill, one line; one purge, one line: and back. Lines that got lost are told by one, too.

The lines of a node, sorted by their `seq` numbers, are everything that node's `EdgeMachine` was told, so
`cdnkit/replay/` can tell it all again; `kind = "request"` lines alone are what the report counts.

A request line carries no secret: the token parameter is gone from `url`, and of the request's fields only those
the policy reads are kept.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from cdnkit.policy.outcomes import Cause, Outcome
from cdnkit.policy.record.object_class import ObjectClass


@dataclass(slots=True)
class RequestRecord:
    """One request at one node. Times are Unix seconds on the node's clock; durations are milliseconds."""

    node: str
    seq: int
    """Place of the request's arrival among all that happened at this node."""
    at: float
    """When it arrived."""
    method: str
    url: str
    """Scheme, host, path and query as received, without the token."""
    status: int
    """As sent to the client; 0 if the client left before any was."""
    outcome: Outcome
    cause: Cause | None
    behavior: str
    """`path` of the behavior that ruled it, or "-"."""
    object_class: ObjectClass
    rendition: str
    """Track of the ladder, such as "720p"; "" for what belongs to none."""
    bytes_sent: int
    """Body bytes sent to the client."""
    ttfb_ms: float
    """From arrival to the response head handed to the server."""
    duration_ms: float
    client_ip: str
    country: str
    """ISO 3166-1 code, or "" when unknown or not looked up."""
    reason: str = ""
    """For refusals and failures: the gate's or the upstream reader's word."""
    fetch: int = 0
    """Id of the fill that answered it, 0 if none."""
    from_node: str = ""
    """Name of the child node that asked, "" for a viewer."""
    aborted: bool = False
    """The client left, or the upstream broke off, before the whole body was sent."""
    head_bytes: int = 0
    """Size of the request's head."""
    head_fields: int = 0
    """Field lines of the request, of which `headers` keeps some."""
    block: int | None = None
    """Of a request the node made of itself for a slice of what a viewer asked for: which block."""
    session: str = ""
    """The player's session id, where it sends one (`CMCD sid`)."""
    region: str = ""
    """ISO 3166-2 subdivision without its country, "" when unknown."""
    asn: int = 0
    """Autonomous system of the client's address, 0 when unknown."""
    client_port: int = 0
    """Source port of the client's connection, 0 when unknown: `CloudFront-Viewer-Address` tells it."""
    version: str = "1.1"
    """HTTP version the request came by."""
    headers: list[tuple[str, str]] = field(default_factory=list)
    """Request fields the policy read. Secret values are blinded: equal if and only if they were equal."""
    kind: str = "request"


@dataclass(slots=True)
class FetchRecord:
    """One exchange with the parent."""

    node: str
    fetch: int
    url: str
    purpose: str
    """`miss`, `revalidate`, `refresh` or `pass`; `shared` where a tier that nodes share answered, and no parent."""
    sent_at: float
    landed_seq: int
    landed_at: float
    status: int
    """0 when it failed before a response head."""
    headers: list[tuple[str, str]]
    ended_seq: int = 0
    ended_at: float = 0.0
    size_bytes: int = 0
    shared: dict[str, Any] = field(default_factory=dict)
    """What a tier that nodes share answered in the parent's place (`cdnkit/policy/store/serialise.py`); empty: the
    parent was asked."""
    failure: str = ""
    """Why it failed, at `landed_*` (no head came) or at `ended_*` (the body broke off)."""
    parent: str = ""
    """URL of the parent that answered, where the node has several."""
    kind: str = "fetch"


@dataclass(slots=True)
class PurgeRecord:
    """One purge order carried out."""

    node: str
    seq: int
    at: float
    what: str
    """A `PurgeKind`: `url`, `surrogate-key`, `surrogate-keys`, `prefix` or `everything`."""
    value: str
    soft: bool
    purged: int
    """Stored responses it touched."""
    kind: str = "purge"


@dataclass(slots=True)
class LostRecord:
    """Records that could not be written, as on a full disk: what stands here in their place."""

    node: str
    lines: int
    since: int
    """The lowest `seq` that any of them told of; everything between may be missing."""
    until: int
    """The highest."""
    kind: str = "lost"


@dataclass(slots=True)
class PartRecord:
    """The first line of every file of a life but the first: what earlier files hold, in case they are gone."""

    node: str
    part: int
    lines: int
    """Records in all earlier files together."""
    until: int
    """The highest `seq` that any of them told of."""
    kind: str = "part"


Told = RequestRecord | FetchRecord | PurgeRecord
"""What happened."""

Record = Told | LostRecord | PartRecord

_KINDS: dict[str, type[Any]] = {
    "request": RequestRecord, "fetch": FetchRecord, "purge": PurgeRecord, "lost": LostRecord, "part": PartRecord,
}  # fmt: skip


def first_seq(record: Told) -> int:
    return record.landed_seq if isinstance(record, FetchRecord) else record.seq


def last_seq(record: Told) -> int:
    return max(record.landed_seq, record.ended_seq) if isinstance(record, FetchRecord) else record.seq


def lost_of(records: Sequence[Told], before: LostRecord | None) -> LostRecord:
    """What tells that these are lost, and those `before` them."""
    lines, since, until = len(records), min(map(first_seq, records)), max(map(last_seq, records))
    if before is not None:
        lines, since, until = lines + before.lines, min(since, before.since), max(until, before.until)
    return LostRecord(records[0].node, lines, since, until)


class Unreadable(ValueError):
    """A line that is no record; says which and why."""

    def __init__(self, line_number: int, why: str) -> None:
        super().__init__(f"line {line_number}: {why}")
        self.line_number = line_number


def to_json(record: Record) -> dict[str, Any]:
    return asdict(record)


def from_json(values: dict[str, Any], line_number: int = 0) -> Record:
    """The record a line held; `Unreadable` names the field that is missing or unknown."""
    kind = _KINDS.get(str(values.get("kind")))
    if kind is None:
        raise Unreadable(line_number, f"kind {values.get('kind')!r}, wanted one of {', '.join(_KINDS)}")
    try:
        record: Record = kind(**values)
        if isinstance(record, RequestRecord):
            record.outcome = Outcome(record.outcome)
            record.cause = None if record.cause is None else Cause(record.cause)
            record.object_class = ObjectClass(record.object_class)
        if isinstance(record, RequestRecord | FetchRecord):
            record.headers = [(name, value) for name, value in record.headers]
    except (TypeError, ValueError) as error:
        raise Unreadable(line_number, str(error)) from error
    return record
