"""A node's record file as the events of its machine, in their order, with the plain requests grouped by URL.

A request is *plain* if it is a GET without a decisive field (`DECISIVE`). Whatever the rules, plain requests for one
URL get the same while one stored response serves them. So a trace is grouped by URL once, when it is read, and can then
be replayed by any number of rules.

Only the part of a request record that a replay needs is read (`Requested` in `cdnkit/policy/record/lines.py`): reading
costs more than replaying, and msgspec makes an object of a line in one step, without a dictionary between.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from operator import attrgetter
from pathlib import Path

import msgspec

from cdnkit.policy.gate.plain import DECISIVE
from cdnkit.policy.outcomes import Failure, Outcome
from cdnkit.policy.plan import PurgeKind
from cdnkit.policy.record.lines import FetchRecord, FieldLines, LostRecord, PartRecord, PurgeRecord, Requested

CHUNK_BYTES = 1 << 22
"""Bytes per read: about 10,000 lines, so that progress is visible and a long file is not twice in memory."""


class BadTrace(Exception):
    """A record file that cannot be replayed: says where and why."""


class Exchange(FetchRecord):
    """One exchange with the parent, which is two events."""

    def __post_init__(self) -> None:
        if self.failure or not self.status:
            Failure(self.failure)  # ValueError, which msgspec raises as its ValidationError


class Ordered(PurgeRecord):
    """A purge order was carried out."""

    what: PurgeKind


class Torn(msgspec.Struct, gc=False):
    """A line that is not JSON: cut off because the disk was full or the node was killed."""


@dataclass(slots=True)
class Landed:
    """The head of a fetch's response arrived, or the fetch failed without one."""

    seq: int
    at: float
    exchange: Exchange


@dataclass(slots=True)
class Ended:
    """The body of a landed fetch ended, completely or not."""

    seq: int
    at: float
    exchange: Exchange


class Missing(Enum):
    """Why records are missing."""

    OLD = "are not kept any more"
    LOST = "could not be written"
    TORN = "cannot be read"


@dataclass(slots=True)
class Gap:
    """Between two events, some records are missing."""

    seq: int
    until: int
    lines: int
    why: Missing


Line = Requested | Exchange | Ordered | LostRecord | PartRecord
Event = Requested | Landed | Ended | Ordered | Gap

_LINES: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


@dataclass(slots=True, eq=False)
class Alike:
    """Plain requests for one URL or key, in the order of the trace; the lists have one item per request."""

    positions: list[int] = field(default_factory=list)
    """Positions in the trace."""
    times: list[float] = field(default_factory=list)
    """Arrivals, in Unix seconds."""
    status: int = 0
    """The status of the first live hit that has one."""
    odd: list[int] = field(default_factory=list)
    """Indices of the requests that were no live hit with that status (or with 0: the viewer left)."""

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
    """By URL, the plain requests that the gate did not refuse: refusals are replayed one by one."""
    others: list[int]
    """Positions of all other events, ascending."""

    def __len__(self) -> int:
        return len(self.events)

    @property
    def gaps(self) -> list[Gap]:
        """Where records are missing; if empty, every event of the machine is known."""
        return [event for event in map(self.events.__getitem__, self.others) if isinstance(event, Gap)]

    @property
    def begins(self) -> float | None:
        """Unix seconds of the first event; None if there is none."""
        return next((event.at for event in self.events if not isinstance(event, Gap)), None)

    def missing(self, why: Missing) -> int:
        """How many records are missing for this reason."""
        return sum(gap.lines for gap in self.gaps if gap.why is why)


def trace_of(events: Sequence[Event]) -> Trace:
    plain: dict[str, Alike] = {}
    others: list[int] = []
    hit, refused, decisive, requested = Outcome.HIT, Outcome.REFUSED, DECISIVE, Requested
    for position, event in enumerate(events):  # runs for every line of a trace, so `Alike.add` is inlined
        if type(event) is requested and event.method == "GET" and event.block is None and event.outcome is not refused:
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


def read_trace(*paths: Path, read: Callable[[int], None] | None = None) -> Trace:
    """All events of one life of a node, from its files in their order. BadTrace names the file and the line. `read` is
    called with the number of bytes of each read.

    Lines that are not JSON, as a full disk or a killed node leaves them, are skipped and counted.
    """
    return trace_of(events_of(line for path in paths for line in _lines(path, read)))


def _lines(path: Path, read: Callable[[int], None] | None) -> Iterator[Line | Torn]:
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
    if rest.strip():
        yield Torn()


def _decoded(lines: bytes, path: Path, first: int) -> Sequence[Line | Torn]:
    """All lines at once; if that fails, one by one: what is not JSON is torn, JSON that is no record is an error."""
    try:
        return _LINES.decode_lines(lines)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found: list[Line | Torn] = []
        for number, line in enumerate(lines.split(b"\n"), start=first):
            if not line.strip():
                continue  # `decode_lines` skips them, too
            try:
                found.append(_LINES.decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                if _is_json(line):
                    raise BadTrace(f"{path}: line {number}: no record: {error}") from error
                found.append(Torn())
        return found


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _sharing(lines: Sequence[Line | Torn]) -> Sequence[Line | Torn]:
    """Equal URLs and fields of neighbours become one object, which saves four tenths of a long trace's memory."""
    urls: dict[str, str] = {}
    fields: dict[FieldLines, FieldLines] = {}
    for line in lines:
        if type(line) is Requested:
            line.url = urls.setdefault(line.url, line.url)
            line.headers = fields.setdefault(line.headers, line.headers)
    return lines


def events_of(lines: Iterable[Line | Torn]) -> list[Event]:
    """The events in the order of the numbers that the live machine gave them; an exchange is two events."""
    events: list[Event] = []
    records = highest = 0
    for line in lines:
        if type(line) is Requested or isinstance(line, Ordered):
            events.append(line)
            highest = max(highest, line.seq)
        elif isinstance(line, Exchange):
            events.append(Landed(line.landed_seq, line.landed_at, line))
            if line.ended_seq:
                events.append(Ended(line.ended_seq, line.ended_at, line))
            highest = max(highest, line.landed_seq, line.ended_seq)
        elif isinstance(line, LostRecord):
            events.append(Gap(line.since, line.until, line.lines, Missing.LOST))
            continue
        elif isinstance(line, PartRecord):
            if line.lines > records:
                events.append(Gap(0, line.until, line.lines - records, Missing.OLD))
                records = line.lines
            continue
        else:
            events.append(Gap(highest, highest, 1, Missing.TORN))
            continue
        records += 1
    events.sort(key=attrgetter("seq"))
    return events
