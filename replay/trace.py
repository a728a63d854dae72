"""A node's record file as the events its machine was told, in their order; and which of them are alike.

A request is *plain* if it is a GET without a field that may decide something. Plain requests for one URL are alike to
any rules, as long as one stored response answers them; so a trace is put in order by URL once, when it is read, and
replayed by as many rules as wanted.

Of a line, only what a replay needs is read (`policy/record.py` has the whole): reading costs more than replaying, and
msgspec makes the line into its object in one step, without a dictionary between.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec

from policy.plain import DECISIVE
from policy.plan import Failure, PurgeKind
from policy.record import Cause, Outcome

FieldLines = tuple[tuple[str, str], ...]

CHUNK_BYTES = 1 << 22
"""Read at once: about 10,000 lines, so that progress moves and a long file is never twice in memory."""


class BadTrace(Exception):
    """A record file that cannot be replayed: says where and why."""


class Requested(msgspec.Struct, tag_field="kind", tag="request", gc=False):
    """A request arrived; and what came of it live. Fields as in `RequestRecord`."""

    seq: int
    at: float
    method: str
    url: str
    status: int
    outcome: Outcome
    cause: Cause | None
    client_ip: str = ""
    country: str = ""
    reason: str = ""
    headers: FieldLines = ()
    block: int | None = None
    region: str = ""
    asn: int = 0
    client_port: int = 0
    version: str = "1.1"
    head_bytes: int = 0
    head_fields: int = 0


class Exchange(msgspec.Struct, tag_field="kind", tag="fetch", gc=False):
    """One exchange with the parent, which is two events. Fields as in `FetchRecord`."""

    fetch: int
    url: str
    landed_seq: int
    landed_at: float
    status: int
    headers: FieldLines
    ended_seq: int = 0
    ended_at: float = 0.0
    size_bytes: int = 0
    failure: str = ""
    shared: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if self.failure or not self.status:
            Failure(self.failure)  # ValueError, which msgspec tells as its own


class Ordered(msgspec.Struct, tag_field="kind", tag="purge", gc=False):
    """A purge order was carried out. Fields as in `PurgeRecord`."""

    seq: int
    at: float
    what: PurgeKind
    value: str
    soft: bool


@dataclass(slots=True)
class Landed:
    """A fetch's head came, or it failed without one."""

    seq: int
    at: float
    exchange: Exchange


@dataclass(slots=True)
class Ended:
    """A landed fetch's body came to its end, good or bad."""

    seq: int
    at: float
    exchange: Exchange


Line = Requested | Exchange | Ordered
Event = Requested | Landed | Ended | Ordered

_LINES: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


@dataclass(slots=True, eq=False)
class Alike:
    """Plain requests in the order of the trace: each is named by its index here, and has a position in the trace."""

    positions: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    status: int = 0
    """The status that hits had live: of the first that had one."""
    odd: list[int] = field(default_factory=list)
    """Requests that were no hit with that status live (or with none: the viewer left)."""

    def add(self, position: int, record: Requested) -> None:
        hit = record.outcome is Outcome.HIT and record.cause is None
        if hit and self.status == 0:
            self.status = record.status
        elif not hit or record.status not in (0, self.status):
            self.odd.append(len(self.positions))
        self.positions.append(position)
        self.times.append(record.at)


@dataclass(slots=True, eq=False)
class Trace:
    """All events of one node, in order."""

    events: Sequence[Event]
    plain: dict[str, Alike]
    """By URL, the plain requests that the gate let in: what it refuses is its to say, request by request."""
    others: list[int]
    """Positions of all other events, ascending."""

    def __len__(self) -> int:
        return len(self.events)


def trace_of(events: Sequence[Event]) -> Trace:
    plain: dict[str, Alike] = {}
    others: list[int] = []
    hit, refused, decisive, asked = Outcome.HIT, Outcome.REFUSED, DECISIVE, Requested
    for position, event in enumerate(events):  # once for every line of a trace: `Alike.add` is written out
        if type(event) is asked and event.method == "GET" and event.block is None and event.outcome is not refused:
            for name, _ in event.headers:
                if name.lower() in decisive:
                    break
            else:
                try:
                    alike = plain[event.url]
                except KeyError:
                    alike = plain[event.url] = Alike()
                if event.status == alike.status and event.outcome is hit and event.cause is None:
                    alike.positions.append(position)
                    alike.times.append(event.at)
                else:
                    alike.add(position, event)
                continue
        others.append(position)
    return Trace(events, plain, others)


def read_trace(path: Path, *, read: Callable[[int], None] | None = None) -> Trace:
    """All events of one node's file, in order. BadTrace names the line. `read` is told of bytes as they are read.

    A last line without its newline was being written when the node was killed: it is left out.
    """
    return trace_of(events_of(_lines(path, read)))


def _lines(path: Path, read: Callable[[int], None] | None) -> Iterator[Line]:
    first, rest = 1, b""
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                if read is not None:
                    read(len(chunk))
                whole, newline, rest_of_chunk = chunk.rpartition(b"\n")
                if not newline:
                    rest += chunk
                    continue
                whole, rest = rest + whole, rest_of_chunk
                yield from _sharing(_decoded(whole, path, first))
                first += whole.count(b"\n") + 1
    except OSError as error:
        raise BadTrace(f"{path}: {error.strerror}") from error


def _decoded(lines: bytes, path: Path, first: int) -> list[Line]:
    """All at once; when that fails, one by one to find the line that is none."""
    try:
        return _LINES.decode_lines(lines)
    except (msgspec.DecodeError, UnicodeDecodeError):
        for number, line in enumerate(lines.split(b"\n"), start=first):
            if not line.strip():
                continue  # passed over before, too
            try:
                _LINES.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                kind = "no record" if isinstance(error, msgspec.ValidationError) else "not JSON"
                raise BadTrace(f"{path}: line {number}: {kind}: {error}") from error
        raise


def _sharing(lines: list[Line]) -> list[Line]:
    """Equal URLs and fields of neighbours are one object: four tenths of the memory of a long trace less."""
    urls: dict[str, str] = {}
    fields: dict[FieldLines, FieldLines] = {}
    for line in lines:
        if type(line) is Requested:
            line.url = urls.setdefault(line.url, line.url)
            line.headers = fields.setdefault(line.headers, line.headers)
    return lines


def events_of(lines: Iterable[Line]) -> list[Event]:
    """An exchange is two events; everything is ordered by the number the live machine gave it."""
    events: list[Event] = []
    for line in lines:
        if isinstance(line, Exchange):
            events.append(Landed(line.landed_seq, line.landed_at, line))
            if line.ended_seq:
                events.append(Ended(line.ended_seq, line.ended_at, line))
        else:
            events.append(line)
    events.sort(key=attrgetter("seq"))
    return events
