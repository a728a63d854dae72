"""A node's record file as the events of its machine, in their order, with the plain requests grouped by URL.

A request is *plain* if it is a GET without a decisive field (`DECISIVE`). Whatever the rules, plain requests for one
URL get the same while one stored response serves them. So a trace is grouped by URL once, when it is read, and can then
be replayed by any number of rules.

Only the part of a request record that a replay needs is read (`Requested` in `cdnkit/policy/record/lines.py`): reading
costs more than replaying, and msgspec makes an object of a line in one step, without a dictionary between.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from operator import attrgetter

import msgspec

from cdnkit.policy.gate.plain import DECISIVE
from cdnkit.policy.outcomes import Failure, Outcome
from cdnkit.policy.plan import PurgeKind
from cdnkit.policy.record.lines import FetchRecord, FieldLines, LostRecord, PartRecord, PurgeRecord, Requested


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


@dataclass(slots=True, eq=False)
class Alike:
    """Plain requests for one URL or key, in the order of the trace; the lists have one item per request."""

    positions: "array[int]" = field(default_factory=lambda: array("q"))
    """Positions in the trace."""
    times: "array[float]" = field(default_factory=lambda: array("d"))
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
    several: bool = False
    """Several processes have answered: arrivals are not in the order of their times."""
    elsewhere: frozenset[int] = frozenset()
    """Positions of requests, other than plain ones, that were not answered by the process which has the machine."""

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
    for position, event in enumerate(events):
        if type(event) is Requested and is_plain(event):
            plain.setdefault(event.url, Alike()).add(position, event)
        else:
            others.append(position)
    return Trace(events, plain, others)


def is_plain(request: Requested) -> bool:
    if request.method != "GET" or request.block is not None or request.outcome is Outcome.REFUSED:
        return False
    return are_plain(request.headers)


def are_plain(headers: FieldLines) -> bool:
    return DECISIVE.isdisjoint([name.lower() for name, _ in headers])


def events_of(lines: Iterable[Line | Torn]) -> list[Event]:
    """The events in the order of the numbers that the live machine gave them; an exchange is two events."""
    events: list[Event] = []
    records = highest = 0
    for line in lines:
        found, records, highest = events_in(line, records, highest)
        events += found
    events.sort(key=attrgetter("seq"))
    return events


def events_in(line: Line | Torn, records: int, highest: int) -> tuple[Sequence[Event], int, int]:
    """The events of one line; and the records up to it, and the highest number of their events."""
    if type(line) is Requested or isinstance(line, Ordered):
        return (line,), records + 1, max(highest, line.seq)
    if isinstance(line, Exchange):
        landed = Landed(line.landed_seq, line.landed_at, line)
        events = (landed, Ended(line.ended_seq, line.ended_at, line)) if line.ended_seq else (landed,)
        return events, records + 1, max(highest, line.landed_seq, line.ended_seq)
    if isinstance(line, LostRecord):
        return (Gap(line.since, line.until, line.lines, Missing.LOST),), records, highest
    if isinstance(line, PartRecord):
        if line.lines <= records:
            return (), records, highest
        return (Gap(0, line.until, line.lines - records, Missing.OLD),), line.lines, highest
    return (Gap(highest, highest, 1, Missing.TORN),), records + 1, highest
