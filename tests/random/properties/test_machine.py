"""What holds of the machine whatever happens, in whatever order: a hypothesis state machine plays shell and origin."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cdnkit.policy import EdgeMachine, Failure, Headers, RequestHead, ResponseHead, Service
from cdnkit.policy.outcomes import Outcome
from cdnkit.policy.plan import Landing, PurgeKind, PurgeOrder, Refuse, Relay, Serve
from cdnkit.policy.store import index
from cdnkit.policy.store.eviction import HEAD_COST_BYTES, Eviction
from tests.kit.virtual_node import Exchange, VirtualNode

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


Who = tuple[str, str | None]
"""The path and the Cache-Control of a request."""


class Shell(RuleBasedStateMachine):
    """Decides what comes next, and keeps a model of what may be served."""

    eviction: Eviction = "lru"

    def __init__(self) -> None:
        super().__init__()
        edge = EdgeMachine(Service(name="fra", room=ROOM, largest=ROOM, eviction=self.eviction))
        self.node: VirtualNode[Who, None] = VirtualNode(edge, self)
        self.now = 1_795_000_000.0
        self.clock = 0  # counts our own steps, to date fills and purges
        self.opened: dict[int, int] = {}  # fetch id -> step it was opened at
        self.brought: dict[int, int] = {}  # entry id -> step its fetch was opened at
        self.purged_at: dict[str, int] = {}  # path -> step of its last hard purge

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    def on_fetch(self, exchange: Exchange[None], asker: Who) -> None:
        self.opened[exchange.fetch.id] = self.tick()

    def on_landing(self, exchange: Exchange[None], head: ResponseHead, landing: Landing, before: None) -> None:
        fetch = exchange.fetch
        if landing.store is not None:
            self.brought[landing.store.id] = self.opened[fetch.id]
        elif head.status == 304 and fetch.entry is not None and fetch.entry.indexed:
            assert self.brought[fetch.entry.id]  # freshened: still the same body

    def on_answer(self, asker: Who, answer: Serve | Relay | Refuse, exchange: Exchange[None] | None) -> None:
        if not isinstance(answer, Serve) or exchange is not None:
            return
        path, control = asker
        life = answer.entry.life
        if answer.outcome is Outcome.HIT:
            assert self.now < life.fresh_until and not life.revalidate_always
        else:
            assert self.now < life.refreshable_until or control == "max-stale"
        assert self.brought[answer.entry.id] > self.purged_at.get(path, 0), "a purged answer came back"

    @rule(
        path=PATHS,
        language=st.sampled_from([None, "de", "fr"]),
        control=st.sampled_from([None, "no-cache", "max-stale"]),
    )
    def request(self, path: str, language: str | None, control: str | None) -> None:
        fields = {"accept-language": language, "cache-control": control}
        headers = Headers((name, value) for name, value in fields.items() if value)
        self.node.ask(RequestHead("GET", "http", "h", path, None, headers), (path, control))

    @precondition(lambda self: self.node.open)
    @rule(
        data=st.data(),
        control=CONTROLS,
        size=SIZES,
        known=st.booleans(),
        vary=st.booleans(),
        status=st.sampled_from([200, 200, 200, 404, 503]),
    )
    def respond(self, data: st.DataObject, control: str, size: int, known: bool, vary: bool, status: int) -> None:
        exchange = self.node.open[data.draw(st.sampled_from(sorted(self.node.open)))]
        fields = {"cache-control": control, "etag": '"1"', "surrogate-key": "all"}
        if known:
            fields["content-length"] = str(size)
        if vary:
            fields["vary"] = "accept-language"
        if exchange.fetch.entry is not None and status == 200 and data.draw(st.booleans()):
            status = 304
        self.node.respond(exchange, ResponseHead(status, Headers(fields.items())), None)

    @precondition(lambda self: self.node.open)
    @rule(data=st.data(), why=st.sampled_from(list(Failure)))
    def fail(self, data: st.DataObject, why: Failure) -> None:
        self.node.fail(self.node.open[data.draw(st.sampled_from(sorted(self.node.open)))], why)

    @precondition(lambda self: self.node.filling)
    @rule(data=st.data(), size=SIZES, whole=st.booleans())
    def end(self, data: st.DataObject, size: int, whole: bool) -> None:
        exchange = self.node.filling[data.draw(st.sampled_from(sorted(self.node.filling)))]
        self.node.end(exchange, size if whole else None)

    @rule(path=PATHS, soft=st.booleans(), kind=st.sampled_from(list(PurgeKind)))
    def purge(self, path: str, soft: bool, kind: PurgeKind) -> None:
        one = {PurgeKind.URL: path, PurgeKind.PREFIX: path}  # no path begins another
        value = one.get(kind, "none all" if kind is PurgeKind.SURROGATE_KEYS else "")
        self.node.purge(PurgeOrder(kind, value, soft))
        if not soft:
            step = self.tick()
            for purged in [path] if kind in one else ["/a", "/b", "/c"]:
                self.purged_at[purged] = step

    @rule(seconds=st.floats(0.1, 20))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def the_machine_keeps_its_promises(self) -> None:
        """Above all: the room holds; others can join at most one fill of a key; every flight is owed."""
        self.node.check()

    def teardown(self) -> None:
        """Whatever was left open, once everything has failed nobody waits any more."""
        while self.node.open:
            self.node.fail(self.node.open[min(self.node.open)], Failure.RESET)
        assert not self.node.waiting


TestMachine = Shell.TestCase
TestMachine.settings = settings(
    max_examples=250, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


class LaterShell(Shell):
    """What a purge of a surrogate key takes away is released later."""

    def __init__(self) -> None:
        super().__init__()
        self.later = pytest.MonkeyPatch()
        self.later.setattr(index, "PURGED_AT_ONCE", 0)
        self.later.setattr(index, "RELEASED_AT_ONCE", 1)

    def teardown(self) -> None:
        self.later.undo()
        super().teardown()


class SieveShell(Shell):
    eviction = "sieve"


class S3FifoShell(Shell):
    eviction = "s3-fifo"


TestMachineWithSieve = SieveShell.TestCase
TestMachineThatReleasesLater = LaterShell.TestCase
TestMachineThatReleasesLater.settings = settings(TestMachine.settings, max_examples=120)
TestMachineWithSieve.settings = settings(TestMachine.settings, max_examples=60)
TestMachineWithS3Fifo = S3FifoShell.TestCase
TestMachineWithS3Fifo.settings = settings(TestMachine.settings, max_examples=60)
