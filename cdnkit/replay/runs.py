"""The plain requests of a trace, by key: hits among them can be counted without the machine.

A *run* is all plain requests for one key, in the order of the trace, of behaviors whose keys have at most path, query
and host. While one stored response serves them, they all get the same, so their number is enough.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import cast

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.record.lines import Requested
from cdnkit.policy.store.index import Entry
from cdnkit.replay.node import request_of
from cdnkit.replay.trace import Alike, Event, Trace


class Run:
    """The plain requests for one key, and how many of them a replay has done.

    A request's number is its index in this run; an event's number is its position in the trace.
    """

    __slots__ = ("done", "entry", "key", "odd", "positions", "status", "stop", "times")

    def __init__(self, key: str, alike: Alike) -> None:
        self.key = key
        self.positions, self.times, self.status, self.odd = alike.positions, alike.times, alike.status, alike.odd
        self.done = 0
        """The number of requests that went to the machine or were counted."""
        self.stop = 0
        """The next request to look up; `entry` serves those from `done` up to it."""
        self.entry: Entry | None = None
        """The stored response that serves the run at present."""

    def before(self, position: int) -> int:
        """How many of the requests up to `stop` arrived before that event."""
        return bisect_left(self.positions, position, self.done, self.stop)

    def first_at(self, instant: float, start: int) -> int:
        """The first request from `start` on that arrived at that instant or later."""
        return bisect_left(self.times, instant, start)

    def suspects(self, stop: int, status: int) -> Sequence[int]:
        """The requests from `done` to `stop` that were no hit with that status live."""
        if self.status not in (0, status):
            return range(self.done, stop)
        return self.odd[bisect_left(self.odd, self.done) : bisect_left(self.odd, stop)]


def runs_of(trace: Trace, plain_key_of: Callable[[RequestHead], str | None]) -> tuple[dict[str, Run], list[int]]:
    """Runs by key, and the positions of all other events. `plain_key_of`: that of the machine's view."""
    by_key: dict[str, list[Alike]] = {}
    others = list(trace.others)
    for alike in trace.plain.values():
        first = cast(Requested, trace.events[alike.positions[0]])
        key = plain_key_of(request_of(first))
        if key is None:
            others += alike.positions
        else:
            by_key.setdefault(key, []).append(alike)
    runs = {key: Run(key, some[0] if len(some) == 1 else _merged(some, trace.events)) for key, some in by_key.items()}
    for run in [run for run in runs.values() if any(late < early for early, late in pairwise(run.times))]:
        # A live clock never steps back. If a trace's does, the requests of that run go to the machine one by one.
        others += run.positions
        del runs[run.key]
    others.sort()
    return runs, others


def _merged(some: Iterable[Alike], events: Sequence[Event]) -> Alike:
    """The requests for several URLs that have one key, in the order of the trace."""
    merged = Alike()
    for position in sorted(position for alike in some for position in alike.positions):
        merged.add(position, cast(Requested, events[position]))
    return merged
