"""What holds of the machine whatever happens, in whatever order: a hypothesis state machine plays shell and origin."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cdnkit.policy import (
    EdgeMachine,
    Failure,
    Fetch,
    Headers,
    Join,
    Landing,
    PurgeKind,
    PurgeOrder,
    RequestHead,
    ResponseHead,
    Serve,
    Service,
)
from cdnkit.policy.outcomes import Outcome
from cdnkit.policy.store.eviction import HEAD_COST_BYTES, Eviction

pytestmark = pytest.mark.long

ROOM = 6 * HEAD_COST_BYTES
PATHS = st.sampled_from(["/a", "/b", "/c"])
CONTROLS = st.sampled_from(
    [
        "max-age=10", "max-age=0", "no-store", "private", "no-cache, max-age=5", "max-age=3, stale-while-revalidate=5",
        "max-age=3, stale-if-error=9", "s-maxage=4",
    ]
)  # fmt: skip
SIZES = st.integers(0, 3 * HEAD_COST_BYTES)


class Shell(RuleBasedStateMachine):
    """Keeps the obligations, and a model of what may be served."""

    eviction: Eviction = "lru"

    def __init__(self) -> None:
        super().__init__()
        self.edge = EdgeMachine(Service(name="fra", room=ROOM, largest=ROOM, eviction=self.eviction))
        self.now = 1_795_000_000.0
        self.unsettled: dict[int, Fetch] = {}
        self.filling: dict[int, Fetch] = {}
        self.waiting: set[int] = set()
        self.clock = 0  # counts our own steps, to date fills and purges
        self.opened: dict[int, int] = {}  # fetch id -> step it was opened at
        self.brought: dict[int, int] = {}  # entry id -> step its fetch was opened at
        self.too_early: set[int] = set()  # fetches opened before a purge of their key: nobody may join them
        self.purged_at: dict[str, int] = {}  # path -> step of its last hard purge

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    def owe(self, fetch: Fetch) -> None:
        assert fetch.id not in self.opened, "an id is used once"
        self.opened[fetch.id] = self.tick()
        self.unsettled[fetch.id] = fetch

    def settle(self, landing: Landing, asked_before: set[int]) -> None:
        for ticket, answer in landing.answers.items():
            assert ticket in self.waiting and ticket in asked_before, "an answer for nobody"
            if isinstance(answer, Fetch):
                self.owe(answer)
                continue
            assert not isinstance(answer, Join)
            if isinstance(answer, Serve) and answer.refresh is not None:
                self.owe(answer.refresh)
            self.waiting.discard(ticket)

    @rule(
        path=PATHS,
        language=st.sampled_from([None, "de", "fr"]),
        control=st.sampled_from([None, "no-cache", "max-stale"]),
    )
    def request(self, path: str, language: str | None, control: str | None) -> None:
        fields = {"accept-language": language, "cache-control": control}
        headers = Headers((name, value) for name, value in fields.items() if value)
        plan = self.edge.on_request(RequestHead("GET", "http", "h", path, None, headers), self.now)
        if isinstance(plan, Serve):
            life = plan.entry.life
            if plan.outcome is Outcome.HIT:
                assert self.now < life.fresh_until and not life.revalidate_always
            else:
                assert self.now < life.refreshable_until or control == "max-stale"
            assert self.brought[plan.entry.id] > self.purged_at.get(path, 0), "a purged answer came back"
            if plan.refresh is not None:
                self.owe(plan.refresh)
            return
        if isinstance(plan, Fetch):
            self.owe(plan)
            self.waiting.add(plan.ticket)
        elif isinstance(plan, Join):
            assert plan.fetch_id in self.unsettled, "joined a flight that has landed"
            self.waiting.add(plan.ticket)

    @precondition(lambda self: self.unsettled)
    @rule(
        data=st.data(),
        control=CONTROLS,
        size=SIZES,
        known=st.booleans(),
        vary=st.booleans(),
        status=st.sampled_from([200, 200, 200, 404, 503]),
    )
    def respond(self, data: st.DataObject, control: str, size: int, known: bool, vary: bool, status: int) -> None:
        fetch = self.unsettled.pop(data.draw(st.sampled_from(sorted(self.unsettled))))
        fields = {"cache-control": control, "etag": '"1"', "surrogate-key": "all"}
        if known:
            fields["content-length"] = str(size)
        if vary:
            fields["vary"] = "accept-language"
        if fetch.entry is not None and status == 200 and data.draw(st.booleans()):
            status = 304
        before = set(self.waiting)
        landing = self.edge.on_response(fetch, ResponseHead(status, Headers(fields.items())), self.now)
        if landing.store is not None:
            self.brought[landing.store.id] = self.opened[fetch.id]
            if landing.store.indexed:
                self.filling[fetch.id] = fetch
        elif status == 304 and fetch.entry is not None and fetch.entry.indexed:
            assert self.brought[fetch.entry.id]  # freshened: still the same body
        self.settle(landing, before)

    @precondition(lambda self: self.unsettled)
    @rule(data=st.data(), why=st.sampled_from(list(Failure)))
    def fail(self, data: st.DataObject, why: Failure) -> None:
        fetch = self.unsettled.pop(data.draw(st.sampled_from(sorted(self.unsettled))))
        self.settle(self.edge.on_failure(fetch, why, self.now), set(self.waiting))

    @precondition(lambda self: self.filling)
    @rule(data=st.data(), size=SIZES, whole=st.booleans())
    def end(self, data: st.DataObject, size: int, whole: bool) -> None:
        fetch = self.filling.pop(data.draw(st.sampled_from(sorted(self.filling))))
        if whole:
            landing = self.edge.on_body_end(fetch, size, self.now)
        else:
            landing = self.edge.on_failure(fetch, Failure.TRUNCATED, self.now)
        assert not landing.answers

    @rule(path=PATHS, soft=st.booleans(), kind=st.sampled_from(list(PurgeKind)))
    def purge(self, path: str, soft: bool, kind: PurgeKind) -> None:
        one = {PurgeKind.URL: path, PurgeKind.PREFIX: path}  # no path begins another
        value = one.get(kind, "none all" if kind is PurgeKind.SURROGATE_KEYS else "")
        self.edge.on_purge(PurgeOrder(kind, value, soft), self.now)
        bound = self.unsettled.values()
        self.too_early |= {fetch.id for fetch in bound if kind is not PurgeKind.URL or fetch.key == path}
        if not soft:
            step = self.tick()
            for purged in [path] if kind in one else ["/a", "/b", "/c"]:
                self.purged_at[purged] = step

    @rule(seconds=st.floats(0.1, 20))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def the_room_holds(self) -> None:
        stored = sum(entry.size_bytes + HEAD_COST_BYTES for entry in self.edge.index)
        assert stored <= ROOM
        assert len(list(self.edge.index)) == len(self.edge.index) == len(self.edge.room)

    @invariant()
    def at_most_one_fill_others_can_join_is_in_flight_for_a_key(self) -> None:
        joinable = [fetch for fetch in self.unsettled.values() if fetch.collapsible and fetch.id not in self.too_early]
        shared = Counter(fetch.flight_key for fetch in joinable)
        assert all(count == 1 for count in shared.values())

    @invariant()
    def every_flight_is_owed(self) -> None:
        assert len(self.edge.flights) == len(self.unsettled)

    def teardown(self) -> None:
        """Whatever was left open, once everything has failed nobody waits any more."""
        while self.unsettled:
            fetch = self.unsettled.pop(min(self.unsettled))
            self.settle(self.edge.on_failure(fetch, Failure.RESET, self.now), set(self.waiting))
        assert not self.waiting


TestMachine = Shell.TestCase
TestMachine.settings = settings(
    max_examples=250, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


class SieveShell(Shell):
    eviction = "sieve"


class S3FifoShell(Shell):
    eviction = "s3-fifo"


TestMachineWithSieve = SieveShell.TestCase
TestMachineWithSieve.settings = settings(TestMachine.settings, max_examples=60)
TestMachineWithS3Fifo = S3FifoShell.TestCase
TestMachineWithS3Fifo.settings = settings(TestMachine.settings, max_examples=60)
