"""One request, one line; one fill, one line; one purge, one line: the schema of a node's records.

The lines of a node, sorted by their `seq` numbers, are everything that node's `EdgeMachine` was told, so
`cdnkit/replay/` can tell it all again; `kind = "request"` lines alone are what the report counts. Both read their part
of what stands here: a replay makes `Requested` of a request line, and the types of the report's columns are those of
the fields (`cdnlab/report/sql.py`).

A request line carries no secret: the token parameter is gone from `url`, and of the request's fields only those
the policy reads are kept.
"""

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from cdnkit.policy.outcomes import Cause, Outcome, RefusalKind
from cdnkit.policy.record.object_class import ObjectClass

FieldLines = tuple[tuple[str, str], ...]
"""Names and values."""


class _Line(msgspec.Struct, tag_field="kind", gc=False):
    """What all records have: `kind`, which says which one a line is, and no part in a cycle of references."""


class Requested(_Line, tag="request"):
    """One request, and what the machine made of it: as much of the line as a replay needs.

    Times are Unix seconds on the node's clock.
    """

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
    client_ip: str = ""
    country: str = ""
    """ISO 3166-1 code, or "" when unknown or not looked up."""
    reason: str = ""
    """For refusals and failures, for people: what the gate or the upstream reader found."""
    headers: FieldLines = ()
    """Request fields the policy read. Secret values are blinded: equal if and only if they were equal."""
    block: int | None = None
    """Of a request the node made of itself for a slice of what a viewer asked for: which block."""
    region: str = ""
    """ISO 3166-2 subdivision without its country, "" when unknown."""
    asn: int = 0
    """Autonomous system of the client's address, 0 when unknown."""
    client_port: int = 0
    """Source port of the client's connection, 0 when unknown: `CloudFront-Viewer-Address` tells it."""
    version: str = "1.1"
    """HTTP version the request came by."""
    head_bytes: int = 0
    """Size of the request's head."""
    head_fields: int = 0
    """Field lines of the request, of which `headers` keeps some."""
    refusal: RefusalKind | None = None
    """What of a refused request was refused; None for all others, and in records of earlier versions."""


class RequestRecord(Requested, kw_only=True):
    """One request at one node: beside what a replay needs, what the report counts. Durations are milliseconds."""

    node: str
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
    fetch: int = 0
    """Id of the fill that answered it, 0 if none."""
    from_node: str = ""
    """Name of the child node that asked, "" for a viewer."""
    aborted: bool = False
    """The client left, or the upstream broke off, before the whole body was sent."""
    session: str = ""
    """The player's session id, where it sends one (`CMCD sid`)."""


class FetchRecord(_Line, tag="fetch"):
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
    headers: FieldLines
    ended_seq: int = 0
    ended_at: float = 0.0
    size_bytes: int = 0
    shared: dict[str, Any] = {}
    """What a tier that nodes share answered in the parent's place (`cdnkit/policy/store/serialise.py`); empty: the
    parent was asked."""
    failure: str = ""
    """Why it failed, at `landed_*` (no head came) or at `ended_*` (the body broke off)."""
    parent: str = ""
    """URL of the parent that answered, where the node has several."""


class PurgeRecord(_Line, tag="purge"):
    """One purge order carried out."""

    node: str
    seq: int
    at: float
    what: str
    """A `PurgeKind`: `url`, `surrogate-keys`, `prefix` or `everything`; in earlier versions also `surrogate-key`."""
    value: str
    soft: bool
    purged: int
    """Stored responses it touched."""


class LostRecord(_Line, tag="lost"):
    """Records that could not be written, as on a full disk: what stands here in their place."""

    node: str
    lines: int
    since: int
    """The lowest `seq` that any of them told of; everything between may be missing."""
    until: int
    """The highest."""


class PartRecord(_Line, tag="part"):
    """The first line of every file of a life but the first: what earlier files hold, in case they are gone."""

    node: str
    part: int
    lines: int
    """Records in all earlier files together."""
    until: int
    """The highest `seq` that any of them told of."""


Told = RequestRecord | FetchRecord | PurgeRecord
"""What happened."""

Record = Told | LostRecord | PartRecord


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


def to_json(record: Record) -> dict[str, Any]:
    """As plain values; `kind` says which record it is."""
    values: dict[str, Any] = msgspec.to_builtins(record)
    return values


_encode = msgspec.json.Encoder().encode


def line_of(record: Record) -> bytes:
    """One line of JSON, in ASCII whatever the record holds: any program can read it, in any encoding."""
    try:
        line = _encode(record)
    except UnicodeEncodeError:  # half a surrogate pair, which UTF-8 has no bytes for
        line = b"\xff"
    if not line.isascii():  # rare; json escapes such letters, and takes ten times as long
        line = json.dumps(to_json(record), separators=(",", ":")).encode("ascii")
    return line + b"\n"
