"""One line for each request, each exchange with the parent, each purge order: the schema of a node's records.

The lines of a node, sorted by their `seq` numbers, are all events of its `EdgeMachine`, so `cdnkit/replay/` can replay
them. The report counts only the lines with `kind = "request"`. Both use this schema: a replay reads `Requested` from
a request line, and the types of the report's columns are those of the fields (`cdnlab/report/sql.py`).

A request line holds no secret: `url` is without the token's parameter, and `headers` has only the fields that the
policy reads.
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
    """What all records have in common: the tag `kind`, and no part in a cycle of references."""


class Requested(_Line, tag="request"):
    """One request and its outcome: the part of the line that a replay needs.

    Times are Unix seconds on the node's clock.
    """

    seq: int
    """The number of the request's arrival among all events of this node."""
    at: float
    """Its arrival."""
    method: str
    url: str
    """Scheme, host, path and query as received, without the token."""
    status: int
    """As sent to the client; 0 if the client left before."""
    outcome: Outcome
    cause: Cause | None
    client_ip: str = ""
    country: str = ""
    """ISO 3166-1 code, or "" when unknown or not looked up."""
    reason: str = ""
    """Of refusals and failures, for people: what the gate or the shell found."""
    headers: FieldLines = ()
    """The request fields that the policy read. Secret values are blinded: equal if and only if they were equal."""
    block: int | None = None
    """The number of the block, in a request that the node made itself for a slice of a large object."""
    region: str = ""
    """ISO 3166-2 subdivision without its country, "" when unknown."""
    asn: int = 0
    """Autonomous system of the client's address, 0 when unknown."""
    client_port: int = 0
    """Source port of the client's connection, 0 when unknown: `CloudFront-Viewer-Address` has it."""
    version: str = "1.1"
    """HTTP version of the request."""
    head_bytes: int = 0
    """Size of the request's head."""
    head_fields: int = 0
    """The number of the request's field lines; `headers` has some of them."""
    refusal: RefusalKind | None = None
    """For what the request was refused; None for all others, and in records of earlier versions."""


class RequestRecord(Requested, kw_only=True):
    """One request at one node: the part for a replay, and what the report counts. Durations are milliseconds."""

    node: str
    behavior: str
    """`path` of its behavior, or "-"."""
    object_class: ObjectClass
    rendition: str
    """Track of the ladder, such as "720p"; "" if the URL belongs to none."""
    bytes_sent: int
    """Body bytes sent to the client."""
    ttfb_ms: float
    """From arrival until the server got the response head."""
    duration_ms: float
    fetch: int = 0
    """Id of the fill that served it, 0 if none."""
    from_node: str = ""
    """Name of the child node that sent it, "" for a viewer."""
    aborted: bool = False
    """The client left, or the parent's response was cut off, before the whole body was sent."""
    session: str = ""
    """The player's session id, if it sends one (`CMCD sid`)."""


class FetchRecord(_Line, tag="fetch"):
    """One exchange with the parent."""

    node: str
    fetch: int
    url: str
    purpose: str
    """`miss`, `revalidate`, `refresh` or `pass`; `shared` if the shared tier had it, and no parent was asked."""
    sent_at: float
    landed_seq: int
    landed_at: float
    status: int
    """0 if it failed before a response head."""
    headers: FieldLines
    ended_seq: int = 0
    ended_at: float = 0.0
    size_bytes: int = 0
    shared: dict[str, Any] = {}
    """What the shared tier had, in place of a parent's response (`cdnkit/policy/store/serialise.py`); empty: a parent
    was asked."""
    failure: str = ""
    """Why it failed, at `landed_*` (there was no head) or at `ended_*` (the body was cut off)."""
    parent: str = ""
    """URL of the parent that responded, if the node has several."""


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
    """The number of stored responses that it purged."""


class LostRecord(_Line, tag="lost"):
    """Stands for records that could not be written, as on a full disk."""

    node: str
    lines: int
    since: int
    """The lowest `seq` in any of them; all events from it to `until` may be missing."""
    until: int
    """The highest `seq` in any of them."""


class PartRecord(_Line, tag="part"):
    """The first line of each file of a life, except the first: what the earlier files hold, which may be deleted."""

    node: str
    part: int
    lines: int
    """Records in all earlier files together."""
    until: int
    """The highest `seq` in any of them."""


EventRecord = RequestRecord | FetchRecord | PurgeRecord
"""A record of something that happened."""

Record = EventRecord | LostRecord | PartRecord


def first_seq(record: EventRecord) -> int:
    return record.landed_seq if isinstance(record, FetchRecord) else record.seq


def last_seq(record: EventRecord) -> int:
    return max(record.landed_seq, record.ended_seq) if isinstance(record, FetchRecord) else record.seq


def lost_of(records: Sequence[EventRecord], before: LostRecord | None) -> LostRecord:
    """The record that stands for these lost ones and for those `before` them."""
    since, until = min(map(first_seq, records)), max(map(last_seq, records))
    lost = LostRecord(records[0].node, len(records), since, until)
    return lost if before is None else joined(before, lost)


class _Numbers(msgspec.Struct, gc=False):
    """What a loss needs of a line."""

    node: str
    seq: int = 0
    landed_seq: int = 0
    ended_seq: int = 0


_NUMBERS = msgspec.json.Decoder(_Numbers)


def node_of(line: bytes) -> str:
    return _NUMBERS.decode(line).node


def lost_lines(lines: bytes, before: LostRecord | None) -> LostRecord:
    """As `lost_of`, of records that are lines already."""
    found = _NUMBERS.decode_lines(lines)
    since = min(one.seq or one.landed_seq for one in found)
    lost = LostRecord(found[0].node, len(found), since, highest_seq(lines))
    return lost if before is None else joined(before, lost)


def joined(one: LostRecord, other: LostRecord) -> LostRecord:
    """The record that stands for both."""
    lines, since, until = one.lines + other.lines, min(one.since, other.since), max(one.until, other.until)
    return LostRecord(one.node, lines, since, until)


def highest_seq(lines: bytes) -> int:
    return max((max(one.seq, one.landed_seq, one.ended_seq) for one in _NUMBERS.decode_lines(lines)), default=0)


def to_json(record: Record) -> dict[str, Any]:
    """The record as plain values, `kind` among them."""
    values: dict[str, Any] = msgspec.to_builtins(record)
    return values


_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines


def line_of(record: Record) -> bytes:
    """One line of JSON in ASCII, whatever the record holds, so that any program can read it in any encoding."""
    try:
        line = _encode(record)
    except UnicodeEncodeError:  # half a surrogate pair, which UTF-8 cannot encode
        line = b"\xff"
    if not line.isascii():  # rare; `json` escapes such letters, but takes ten times as long
        line = json.dumps(to_json(record), separators=(",", ":")).encode("ascii")
    return line + b"\n"


def lines_of(records: Sequence[Record]) -> bytes:
    """As `line_of`, for several, and in half the time for each."""
    try:
        lines = _encode_lines(records)
    except UnicodeEncodeError:
        lines = b"\xff"
    return lines if lines.isascii() else b"".join(map(line_of, records))
