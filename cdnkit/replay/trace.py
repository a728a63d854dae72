"""A node's record file as the events its machine was told, in their order; and which of them are alike.

A request is *plain* if it is a GET without a field that may decide something. Plain requests for one URL are alike to
any rules, as long as one stored response answers them; so a trace is put in order by URL once, when it is read, and
replayed by as many rules as wanted.

Of a request's line, only what a replay needs is read (`Requested` in `cdnkit/policy/record/lines.py`): reading costs
more than replaying, and msgspec makes the line into its object in one step, without a dictionary between.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from operator import attrgetter
from pathlib import Path

import msgspec

from cdnkit.policy.machine.fast_path import DECISIVE
from cdnkit.policy.outcomes import Failure, Outcome
from cdnkit.policy.plan import PurgeKind
from cdnkit.policy.record.lines import FetchRecord, FieldLines, LostRecord, PartRecord, PurgeRecord, Requested

CHUNK_BYTES = 1 << 22
"""Read at once: about 10,000 lines, so that progress moves and a long file is never twice in memory."""


class BadTrace(Exception):
    """A record file that cannot be replayed: says where and why."""


class Exchange(FetchRecord):
    """One exchange with the parent, which is two events."""

    def __post_init__(self) -> None:
        if self.failure or not self.status:
            Failure(self.failure)  # ValueError, which msgspec tells as its own


class Ordered(PurgeRecord):
    """A purge order was carried out."""

    what: PurgeKind


class Torn(msgspec.Struct, gc=False):
    """A line that is not JSON: it was being written when the disk was full, or the node was killed."""


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


class Missing(Enum):
    """Why records are not there."""

    OLD = "are not kept any more"
    LOST = "could not be written"
    TORN = "cannot be read"


@dataclass(slots=True)
class Gap:
    """From one event to another, what happened is not all known."""

    seq: int
    until: int
    lines: int
    why: Missing


Line = Requested | Exchange | Ordered | LostRecord | PartRecord
Event = Requested | Landed | Ended | Ordered | Gap

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

    @property
    def gaps(self) -> list[Gap]:
        """Where records are missing; without any, all that the machine was told is known."""
        return [event for event in map(self.events.__getitem__, self.others) if isinstance(event, Gap)]

    @property
    def begins(self) -> float | None:
        """Unix seconds of the first event that is told; None without any."""
        return next((event.at for event in self.events if not isinstance(event, Gap)), None)

    def missing(self, why: Missing) -> int:
        """How many records are."""
        return sum(gap.lines for gap in self.gaps if gap.why is why)


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


def read_trace(*paths: Path, read: Callable[[int], None] | None = None) -> Trace:
    """All events of one life of a node, which these files tell of in their order. BadTrace names the file and the line.
    `read` is told of bytes as they are read.

    Lines that are no JSON, as a full disk and a killed node leave them, are passed over and counted.
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
    """All at once; when that fails, one by one: what is no JSON is torn, what is no record is an error."""
    try:
        return _LINES.decode_lines(lines)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found: list[Line | Torn] = []
        for number, line in enumerate(lines.split(b"\n"), start=first):
            if not line.strip():
                continue  # passed over before, too
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
    """Equal URLs and fields of neighbours are one object: four tenths of the memory of a long trace less."""
    urls: dict[str, str] = {}
    fields: dict[FieldLines, FieldLines] = {}
    for line in lines:
        if type(line) is Requested:
            line.url = urls.setdefault(line.url, line.url)
            line.headers = fields.setdefault(line.headers, line.headers)
    return lines


def events_of(lines: Iterable[Line | Torn]) -> list[Event]:
    """An exchange is two events; everything is ordered by the number the live machine gave it."""
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
