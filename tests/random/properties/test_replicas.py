"""Whatever happens at the lead, a worker answers only with what the lead would answer with at that very moment.

The same shell and origin as in `test_machine`; beside them three workers with replicas, each of which looks whenever it
is its turn, learns from asides that may be under way for any time, and holds no more than fits in its room.
"""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from cdnkit.policy import EdgeMachine, Headers, ResponseHead
from cdnkit.policy.store.changes import Changes, Seen, cells_needed
from cdnkit.policy.store.entry import Entry
from cdnkit.policy.store.eviction import HEAD_COST_BYTES
from edge.workers.asides import aside_of, read_aside
from edge.workers.replica import Replica, ReplicaRoom, Replicas, ReplicaStore, Uses
from tests.kit.machine import NOW, fetched, fill, get, machine, says
from tests.random.properties.test_machine import PATHS, ROOM, LaterShell, Shell

pytestmark = pytest.mark.long

WORKERS = st.integers(0, 2)


class Bodies(ReplicaStore):
    """Without a loop, on which memory would be given back later."""

    def empty(self) -> None:
        self._whole.clear()


class Worker:
    """Its replica, and the asides that are on their way to it, in their order."""

    def __init__(self, lead: EdgeMachine, cells: memoryview) -> None:
        uses: Uses = {}
        room = 3 * HEAD_COST_BYTES
        self.machine = EdgeMachine(lead.service, fresh_room=lambda: ReplicaRoom(room, uses))
        self.store = Bodies()
        self.replicas = Replicas([Replica(self.machine, self.store, uses)], Seen(cells, 1))
        self.coming: list[bytes] = []

    def found(self, key: str, now: float) -> Entry | None:
        self.replicas.catch_up(0)
        return self.machine.view.plain_answer(key, now)


class Workers(Shell):
    """The lead, with its workers."""

    def __init__(self) -> None:
        super().__init__()
        self.lead = self.node.machine
        cells = memoryview(bytearray(8 * cells_needed(1))).cast("Q")
        self.changes = Changes(cells, 1)
        self.lead.index.observer = self.changes.of(0)
        self.workers = [Worker(self.lead, cells) for _ in range(3)]

    @rule(path=PATHS, control=st.sampled_from(["max-age=60", "max-age=60", "max-age=5"]), vary=st.booleans())
    def fill(self, path: str, control: str, vary: bool) -> None:
        """A request, the response to it, or a 304, and its body, with nothing in between."""
        before = set(self.node.open)
        self.request(path, None, "no-cache")
        for fetch in self.node.open.keys() - before:
            exchange = self.node.open[fetch]
            fields = {"cache-control": control, "etag": '"1"', "surrogate-key": "all"}
            if vary and control == "max-age=5":
                fields["vary"] = "accept-language"
            status = 304 if exchange.fetch.entry is not None and vary else 200
            self.node.respond(exchange, ResponseHead(status, Headers(fields.items())), None)
            if fetch in self.node.filling:
                self.node.end(self.node.filling[fetch], 10)
        for number in range(3):
            self.ask_a_worker(number, path, late=vary and number == 0)

    @rule(number=WORKERS, path=PATHS, late=st.booleans())
    def ask_a_worker(self, number: int, path: str, late: bool) -> None:
        worker = self.workers[number]
        if not late:
            self.an_aside_comes(number, fast=True)
        if not self.holds_against_the_lead(worker, path) and (true := self.true_answer(path)) is not None:
            worker.coming.append(aside_of(self.lead, 0, true, b"%d" % true.id, self.changes))
            if not late:
                self.an_aside_comes(number, fast=True)

    def true_answer(self, path: str) -> Entry | None:
        """What the lead would answer with, if all of it is there."""
        true = self.lead.view.plain_answer(path, self.now)
        return true if true is not None and true.complete else None

    def holds_against_the_lead(self, worker: Worker, path: str) -> bool:
        """Whether the worker has a copy."""
        copy, true = worker.found(path, self.now), self.lead.view.plain_answer(path, self.now)
        if copy is not None:
            assert true is not None, "it is not the answer any more"
            assert (copy.id, copy.status, copy.life, copy.etag) == (true.id, true.status, true.life, true.etag)
            assert copy.headers.lines == true.headers.lines
            assert copy.surrogate_keys == true.surrogate_keys
            assert worker.store.whole(copy) == b"%d" % true.id
            worker.machine.room.touch(copy)
        return copy is not None

    @invariant()
    def nobody_answers_with_what_is_gone(self) -> None:
        for worker in self.workers[1:]:  # the first one looks later
            for path in ("/a", "/b", "/c"):
                self.holds_against_the_lead(worker, path)

    @rule(number=WORKERS, fast=st.booleans())
    def an_aside_comes(self, number: int, fast: bool) -> None:
        worker = self.workers[number]
        while worker.coming:
            worker.replicas.learn(read_aside(worker.coming.pop(0)))
            if not fast:
                return

    @rule(number=WORKERS)
    def the_lead_learns_what_was_used(self, number: int) -> None:
        for used in self.workers[number].replicas.take_uses():
            assert used.count > 0
        assert self.workers[number].replicas.take_uses() == []

    def teardown(self) -> None:
        for worker in self.workers:
            assert worker.machine.room.currsize <= 3 * HEAD_COST_BYTES <= ROOM
            worker.replicas.catch_up(0)
            assert {entry.id for entry in worker.machine.index} == worker.store._whole.keys()
            assert len(worker.replicas) == len(worker.machine.room)
        super().teardown()


class LaterWorkers(Workers, LaterShell):
    """What many entries share is purged without a look at each."""


TestWorkers = Workers.TestCase
TestWorkersWithLaterReleases = LaterWorkers.TestCase
TestWorkers.settings = settings(
    max_examples=250, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestWorkersWithLaterReleases.settings = settings(TestWorkers.settings, max_examples=100)


def test_a_head_that_shows_another_representation_ends_the_copies() -> None:
    lead = machine()
    cells = memoryview(bytearray(8 * cells_needed(1))).cast("Q")
    changes = Changes(cells, 1)
    lead.index.observer = changes.of(0)
    worker = Worker(lead, cells)
    fill(lead, get(), says(cache_control="max-age=60", etag='"1"'))
    true = lead.view.plain_answer("/a", NOW)
    assert true is not None
    assert worker.replicas.learn(read_aside(aside_of(lead, 0, true, b"", changes)))
    fetch = fetched(lead, lead.on_request(get(method="HEAD", cache_control="no-cache"), NOW))
    lead.on_response(fetch, says(cache_control="max-age=60", etag='"2"'), NOW)
    assert lead.view.plain_answer("/a", NOW) is None
    assert worker.found("/a", NOW) is None
