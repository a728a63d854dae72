"""A trace replayed by jumps: the machine gets the events that can change something; the hits between them are counted.

Theory. What plain requests for a key get is changed only by other events: a landing or the end of a body (for its own
key), an eviction (for the entry's key), a purge or the landing of an unsafe method (for any key). So a stored response
that serves one plain request serves all that follow in its run (`runs.py`), until it is stale or such an event
interrupts the run. A heap holds the position of each run's next request to look up. The replay takes the events at
these positions and all other events in the order of the trace:

    next event                           then
    -----------------------------------  -------------------------------------------------------------------------------
    a run's request, served by its key   the run jumps to the first request at or after `fresh_until`
    a run's request, not served          it goes to the machine; the run's next request goes into the heap
    any other event                      the runs that it may change are interrupted; then it goes to the machine

When a run is interrupted, or reaches the request that it jumped to, its hits are counted, and the requests that were no
hit live are compared. Every event that was jumped is a plain hit, so the machine's event number is known at every
position. The order of uses, which eviction follows, is exact (`recency.py`).
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
from cdnkit.replay.gaps import replay_with_gaps
from cdnkit.replay.node import Replayed, ReplayNode, brief, replay_each
from cdnkit.replay.recency import LateRoom
from cdnkit.replay.runs import Run, runs_of
from cdnkit.replay.trace import Ended, Landed, Ordered, Trace

REPORT_EVERY = 1 << 10
"""Events at the machine between two reports of progress."""


class JumpingNode(ReplayNode):
    """Replays one trace, with the same result as `ReplayNode.on_event` for each of its events."""

    def __init__(self, trace: Trace, service: Service, profile: Profile) -> None:
        late_room = partial(LateRoom, service.room, service.block, used=self._used, leaves=self._leaves)
        super().__init__(service, profile, late_room)
        self._events = trace.events
        self._runs, self._others = runs_of(trace, self.machine.view.plain_key_of)
        self._waits: dict[int, Run] = {}
        """Position -> the run whose request there is the next to look up."""
        self._ahead: list[int] = []
        """A heap of these positions, and of some where no run waits any more."""
        self._jumping: set[Run] = set()
        """Runs that have jumped, and whose hits are not counted yet."""
        self._next = 0
        """The position after the last event that went to the machine."""

    def run(self, progress: Callable[[int], None] | None = None) -> Replayed:
        """Replay to the end. `progress` is called now and then with the number of events done."""
        for run in self._runs.values():
            self._wait(run)
        end = len(self._events)
        others = iter(self._others)
        other = next(others, end)
        steps = 0
        while True:
            ahead = self._ahead[0] if self._ahead else end
            if other < ahead:
                self._take_other(other)
                other = next(others, end)
            elif ahead < end:
                self._look_up(heapq.heappop(self._ahead))
            else:
                break
            steps += 1
            if progress is not None and steps % REPORT_EVERY == 0:
                progress(self._next)
        for run in list(self._jumping):
            self._count_run(run, end)
        self._pass_over(end)
        if progress is not None:
            progress(end)
        return self.finish()

    def _look_up(self, position: int) -> None:
        """The request of a run at this position: jump if a stored response serves it, else give it to the machine."""
        run = self._waits.pop(position)
        if run.stop == len(run.positions) or run.positions[run.stop] != position:
            return  # the run was interrupted: it waits elsewhere, or has ended
        self._count_run(run, position)
        event = self._events[position]
        assert isinstance(event, Requested)
        entry = self.machine.view.plain_answer(run.key, event.at)
        if entry is not None:
            run.entry, run.stop = entry, run.first_at(entry.life.fresh_until, run.done)
            self._jumping.add(run)
        else:
            self._take(position)
            run.done = run.stop = run.done + 1
        self._wait(run)

    def _take_other(self, position: int) -> None:
        match self._events[position]:
            case Landed(exchange=exchange) | Ended(exchange=exchange):
                fetch = self._fetches.get(exchange.fetch)
                if fetch is not None:
                    self._interrupt_for(fetch, position)
            case Ordered():
                self._interrupt_all(position)
        self._take(position)

    def _take(self, position: int) -> None:
        self._pass_over(position)
        self._room.position = position
        self._next = position + 1
        self.on_event(self._events[position])

    def _pass_over(self, position: int) -> None:
        """Count the events up to this position: plain hits, each of which the machine would have counted."""
        jumped = position - self._next
        self.machine.skip(jumped)
        self._result.requests += jumped
        self._next = position

    def _interrupt_for(self, fetch: Fetch, position: int) -> None:
        if fetch.request.method not in SAFE_METHODS:
            self._interrupt_all(position)  # it may invalidate more than its own target
            return
        run = self._runs.get(fetch.key)
        if run is not None and run.entry is not None:
            self._interrupt(run, position)

    def _interrupt_all(self, position: int) -> None:
        for run in list(self._jumping):
            self._interrupt(run, position)

    def _interrupt(self, run: Run, position: int) -> None:
        self._count_run(run, position)
        self._wait(run)

    def _wait(self, run: Run) -> None:
        if run.stop == len(run.positions):
            return
        position = run.positions[run.stop]
        if position not in self._waits:
            heapq.heappush(self._ahead, position)
        self._waits[position] = run

    def _count_run(self, run: Run, position: int) -> None:
        """Count the hits of the run's entry before that position; then the run has no entry."""
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
        self._jumping.discard(run)

    @property
    def _room(self) -> LateRoom:
        """The machine's room of now: a purge of everything replaces it."""
        room = self.machine.room
        assert isinstance(room, LateRoom)
        return room

    # ---- called by the room ------------------------------------------------------------------------------------

    def _used(self, entry: Entry) -> int | None:
        """Position of the entry's last hit up to now, among those that are not counted yet."""
        run = self._runs.get(entry.key)
        if run is None or run.entry is not entry:
            return None
        stop = run.before(self._room.position)
        return run.positions[stop - 1] if stop > run.done else None

    def _leaves(self, entry: Entry) -> None:
        run = self._runs.get(entry.key)
        if run is not None and run.entry is entry:
            self._interrupt(run, self._room.position)


def replay_node(
    trace: Trace, service: Service, profile: Profile, progress: Callable[[int], None] | None = None
) -> Replayed:
    """Replay a trace through a new machine; `service` and `profile` as the live node had them.

    The result is that of `cdnkit.replay.node.replay_each`, but sooner. A node whose eviction is not LRU is replayed by
    `replay_each` itself, since only LRU's order can be found out afterwards; so is a node of several workers, whose
    requests are not in the order of their times; a trace with gaps by
    `cdnkit.replay.gaps.replay_with_gaps`. `progress` is called now and then with the number of events done.
    """
    if trace.gaps:
        return replay_with_gaps(trace.events, service, profile)
    if service.eviction != "lru" or trace.several:
        return replay_each(trace.events, service, profile, trace.elsewhere)
    return JumpingNode(trace, service, profile).run(progress)
