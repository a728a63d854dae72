"""A trace replayed by jumps: what decides something is told to the machine, the hits between are counted.

Theory. Nothing but an event that is no plain request changes what plain requests for a key get: a landing or the end of
a body (its own key), an eviction (the entry's key), a purge or an unsafe method's landing (any key). So when a stored
response answers a plain request it answers all that follow in its run (`runs.py`), until it is fresh no more or
such an event breaks the run off. The next request of each run that is to be looked at waits in a heap; the trace is
gone through from one event that decides to the next, in its order:

    next is                              then
    -----------------------------------  -------------------------------------------------------------------------------
    a run's request, the key answers     the run jumps to the first request at or after `fresh_until`
    a run's request, the key does not    it is told; the run's next request waits
    any other event                      the runs it may change are broken off before it; it is told

A run that is broken off, or arrives where it jumped to, is settled: its hits are counted, and those requests that were
no hit live are compared. Every jumped event is a plain hit, so the machine's event number is known at every position;
the order of uses, by which room is made, is kept exactly (`recency.py`).
"""

import heapq
from collections.abc import Callable
from functools import partial

from cdnkit.policy.outcomes import Outcome
from cdnkit.policy.plan import Fetch
from cdnkit.policy.record.lines import Requested
from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.service import Service
from cdnkit.policy.store.index import Entry
from cdnkit.policy.upstream.invalidation import SAFE_METHODS
from cdnkit.replay.late import tell_late
from cdnkit.replay.node import Replayed, ReplayNode, brief, tell_each
from cdnkit.replay.recency import LateRoom
from cdnkit.replay.runs import Run, runs_of
from cdnkit.replay.trace import Ended, Landed, Ordered, Trace

REPORT_EVERY = 1 << 10
"""Told events between two reports of progress."""


class JumpingNode(ReplayNode):
    """Replays one trace, in the same way as `ReplayNode.tell` for each of its events, to the same end."""

    def __init__(self, trace: Trace, service: Service, profile: Profile) -> None:
        late_room = partial(LateRoom, service.room, service.block, used=self._used, leaves=self._leaves)
        super().__init__(service, profile, late_room)
        self._events = trace.events
        self._runs, self._others = runs_of(trace, self.machine.view.plain_key_of)
        self._waits: dict[int, Run] = {}
        """Position -> the run whose request there is to be looked at, if it still waits there."""
        self._ahead: list[int] = []
        """These positions, a heap."""
        self._answered: set[Run] = set()
        """Runs that jump, as far as they are not settled."""
        self._next = 0
        """The position behind the last event that was told."""

    def run(self, progress: Callable[[int], None] | None = None) -> Replayed:
        """Replay to the end. `progress` is told now and then how many events are done."""
        for run in self._runs.values():
            self._wait(run)
        end = len(self._events)
        others = iter(self._others)
        other = next(others, end)
        steps = 0
        while True:
            ahead = self._ahead[0] if self._ahead else end
            if other < ahead:
                self._tell_other(other)
                other = next(others, end)
            elif ahead < end:
                self._look(heapq.heappop(self._ahead))
            else:
                break
            steps += 1
            if progress is not None and steps % REPORT_EVERY == 0:
                progress(self._next)
        for run in list(self._answered):
            self._settle_run(run, end)
        self._pass_over(end)
        if progress is not None:
            progress(end)
        return self.finish()

    def _look(self, position: int) -> None:
        """At a request of a run: does what is stored answer it, and as many after it?"""
        run = self._waits.pop(position)
        if run.stop == len(run.positions) or run.positions[run.stop] != position:
            return  # it was broken off, and waits elsewhere or for nothing
        self._settle_run(run, position)
        event = self._events[position]
        assert isinstance(event, Requested)
        entry = self.machine.view.plain_answer(run.key, event.at)
        if entry is not None:
            run.entry, run.stop = entry, run.first_at(entry.life.fresh_until, run.done)
            self._answered.add(run)
        else:
            self._tell(position)
            run.done = run.stop = run.done + 1
        self._wait(run)

    def _tell_other(self, position: int) -> None:
        match self._events[position]:
            case Landed(exchange=exchange) | Ended(exchange=exchange):
                fetch = self._fetches.get(exchange.fetch)
                if fetch is not None:
                    self._break_off_for(fetch, position)
            case Ordered():
                self._break_off_all(position)
        self._tell(position)

    def _tell(self, position: int) -> None:
        self._pass_over(position)
        self._room.position = position
        self._next = position + 1
        self.tell(self._events[position])

    def _pass_over(self, position: int) -> None:
        """What lies between was jumped: plain hits, of which the machine would have counted each."""
        jumped = position - self._next
        self.machine.skip(jumped)
        self._result.requests += jumped
        self._next = position

    def _break_off_for(self, fetch: Fetch, position: int) -> None:
        if fetch.request.method not in SAFE_METHODS:
            self._break_off_all(position)  # it may invalidate more than its own target
            return
        run = self._runs.get(fetch.key)
        if run is not None and run.entry is not None:
            self._break_off(run, position)

    def _break_off_all(self, position: int) -> None:
        for run in list(self._answered):
            self._break_off(run, position)

    def _break_off(self, run: Run, position: int) -> None:
        self._settle_run(run, position)
        self._wait(run)

    def _wait(self, run: Run) -> None:
        if run.stop == len(run.positions):
            return
        position = run.positions[run.stop]
        if position not in self._waits:
            heapq.heappush(self._ahead, position)
        self._waits[position] = run

    def _settle_run(self, run: Run, position: int) -> None:
        """Count the requests before that position that the run's entry answers; none is answered any more."""
        entry, stop = run.entry, run.before(position)
        if entry is not None and stop > run.done:
            entry.hits += stop - run.done
            self._count(Outcome.HIT, stop - run.done)
            for index in run.suspects(stop, entry.status):
                record = self._events[run.positions[index]]
                assert isinstance(record, Requested)
                live = (record.outcome, record.cause)
                if live != (Outcome.HIT, None) or record.status not in (0, entry.status):
                    self._differs(record, brief(Outcome.HIT, None, entry.status if record.status else 0))
            self._room.used(entry, run.positions[stop - 1])
        run.done = run.stop = stop
        run.entry = None
        self._answered.discard(run)

    @property
    def _room(self) -> LateRoom:
        """A purge of everything puts a new one in its place."""
        room = self.machine.room
        assert isinstance(room, LateRoom)
        return room

    # ---- what the room asks ------------------------------------------------------------------------------------

    def _used(self, entry: Entry) -> int | None:
        """Position of the last jumped request up to now that the entry answered, of those not settled."""
        run = self._runs.get(entry.key)
        if run is None or run.entry is not entry:
            return None
        stop = run.before(self._room.position)
        return run.positions[stop - 1] if stop > run.done else None

    def _leaves(self, entry: Entry) -> None:
        run = self._runs.get(entry.key)
        if run is not None and run.entry is entry:
            self._break_off(run, self._room.position)


def replay_node(
    trace: Trace, service: Service, profile: Profile, progress: Callable[[int], None] | None = None
) -> Replayed:
    """Tell a fresh machine what a live one was told; `service` and `profile` as the live node had them.

    Exactly as `cdnkit.replay.node.tell_each`, sooner; but by it for a node whose room is not LRU's, whose order no late
    word tells, and by `cdnkit.replay.late.tell_late` for a trace with gaps. `progress` is told now and then how many of
    the events are done.
    """
    if trace.gaps:
        return tell_late(trace.events, service, profile)
    if service.eviction != "lru":
        return tell_each(trace.events, service, profile)
    return JumpingNode(trace, service, profile).run(progress)
