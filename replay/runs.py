"""The plain requests of a trace, by key: what can be counted where it need not be told.

A *run* is all plain requests for one key, in the order of the trace: GETs without a field that may decide something, of
a behavior whose keys hold path, query and host at most. While a stored response answers them, they are all answered
alike, so how many there are says all.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from policy.deciding import DECISIVE
from policy.index import Entry
from policy.messages import RequestHead
from policy.record import Outcome
from replay.node import request_of
from replay.trace import Event, Requested


@dataclass(slots=True, eq=False)
class Run:
    """The plain requests for one key. Requests are named by their index here, events by their position in the trace."""

    key: str
    positions: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    status: int = 0
    """The status that hits had live: of the first that had one."""
    odd: list[int] = field(default_factory=list)
    """Requests that were no hit with that status live (or with none: the viewer left)."""

    done: int = 0
    """So many requests are told or counted."""
    stop: int = 0
    """The first request that is to be looked at; those from `done` on before it, `entry` answers."""
    entry: Entry | None = None

    def note(self, record: Requested) -> None:
        """The next request is one that was perhaps no such hit."""
        hit = record.outcome is Outcome.HIT and record.cause is None
        if hit and self.status == 0:
            self.status = record.status
        elif not hit or record.status != 0:
            self.odd.append(len(self.positions))

    def before(self, position: int) -> int:
        """How many of the requests up to `stop` arrived before that event."""
        return bisect_left(self.positions, position, self.done, self.stop)

    def first_at(self, instant: float, start: int) -> int:
        """The first request from `start` on that arrived at that instant or later."""
        return bisect_left(self.times, instant, start)

    def suspects(self, stop: int, status: int) -> Sequence[int]:
        """Of the requests from `done` to `stop`, all that were not answered live by a hit with that status."""
        if self.status not in (0, status):
            return range(self.done, stop)
        return self.odd[bisect_left(self.odd, self.done) : bisect_left(self.odd, stop)]


def arranged(
    events: Iterable[Event], plain_key_of: Callable[[RequestHead], str | None]
) -> tuple[dict[str, Run], list[int]]:
    """Runs by key, and the positions of all other events. `plain_key_of`: `EdgeMachine.plain_key_of`."""
    runs: dict[str, Run] = {}
    by_url: dict[str, Run | None] = {}
    others: list[int] = []
    hit, refused, decisive, asked = Outcome.HIT, Outcome.REFUSED, DECISIVE, Requested
    for position, event in enumerate(events):  # the cost of a replay is mostly this loop
        if type(event) is not asked or event.method != "GET" or event.block is not None:
            others.append(position)
            continue
        try:
            run = by_url[event.url]
        except KeyError:
            key = plain_key_of(request_of(event))
            run = by_url[event.url] = None if key is None else runs.setdefault(key, Run(key))
        if run is not None:
            for name, _ in event.headers:
                if name.lower() in decisive:
                    run = None
                    break
        if run is None:
            others.append(position)
            continue
        if event.status != run.status or event.outcome is not hit or event.cause is not None:
            if event.outcome is refused:  # the gate's to say, and it is asked request by request
                others.append(position)
                continue
            run.note(event)
        run.positions.append(position)
        run.times.append(event.at)
    return _in_order(runs, others)


def _in_order(runs: dict[str, Run], others: list[int]) -> tuple[dict[str, Run], list[int]]:
    """A live clock never steps back. Should a trace's do so, the runs in which it does are told event by event."""
    for run in [run for run in runs.values() if run.times != sorted(run.times)]:
        others += run.positions
        del runs[run.key]
    others.sort()
    return runs, others
