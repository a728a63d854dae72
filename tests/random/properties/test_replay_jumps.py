"""A trace replayed by jumps and one told event by event come to the same end, whatever happened and in whatever order."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from cdnkit.policy import Behavior, EdgeMachine, Failure, Headers, ResponseHead, Service
from cdnkit.policy.outcomes import Cause, Outcome
from cdnkit.policy.plan import Fetch, Join, PurgeKind, PurgeOrder
from cdnkit.policy.record.lines import Requested
from cdnkit.policy.rules.service import Geo, Ttl
from cdnkit.policy.store.eviction import HEAD_COST_BYTES
from cdnkit.replay.jump import JumpingNode
from cdnkit.replay.node import Replayed, ReplayNode, request_of
from cdnkit.replay.trace import Event, Exchange, Line, Ordered, events_of, trace_of
from cdnkit.vendors import PROFILES
from tests.kit import virtual_node
from tests.kit.virtual_node import Surroundings, VirtualNode, pick

pytestmark = pytest.mark.long

BEHAVIORS = (
    Behavior(path="/pass*", cache=False),
    Behavior(path="/short*", ttl=Ttl(max="1s"), stale_while_revalidate="1s", stale_if_error="5s"),
    Behavior(path="/geo*", geo=Geo(deny=("KP",), unknown="allow")),
    Behavior(path="/keyed*", key={"query": ("n",)}),
)
URLS = [f"http://h{path}" for path in ("/a", "/a?n=1", "/b", "/c", "/short", "/geo", "/pass", "/keyed?n=1", "/vary")]
FIELDS = [(), (), (), (), (), (), (("accept-encoding", "gzip"),)] + [
    ((name, value),)
    for name, value in (
        ("range", "bytes=0-9"), ("if-none-match", '"1"'), ("cache-control", "no-cache"), ("cache-control", "max-stale"),
        ("accept-language", "de"), ("pragma", "no-cache"),
    )
]  # fmt: skip
CONTROLS = [
    "max-age=10",
    "max-age=3",
    "max-age=2, stale-while-revalidate=3",
    "s-maxage=4",
    "no-cache",
    "private",
    "max-age=0",
]


@dataclass
class Fill:
    """Everything that is open comes, whole."""

    control: str
    size: int


@dataclass
class Ask:
    """So many requests alike, so many seconds apart."""

    url: str
    method: str
    fields: tuple[tuple[str, str], ...]
    country: str
    times: int
    apart: float
    filled: Fill | None
    """What comes after the first of them."""


@dataclass
class Land:
    """An answer for one of the open fetches."""

    which: int
    status: int
    control: str
    size: int
    sized: bool


@dataclass
class End:
    which: int
    size: int | None


@dataclass
class Purge:
    kind: PurgeKind
    url: str
    soft: bool


FILL = st.builds(Fill, control=st.sampled_from(CONTROLS[:4]), size=st.sampled_from([100, HEAD_COST_BYTES]))
ASK = st.builds(
    Ask, url=st.sampled_from(URLS), method=st.sampled_from(["GET"] * 12 + ["HEAD", "POST"]),
    fields=st.sampled_from(FIELDS), country=st.sampled_from(["DE", "DE", "KP"]), times=st.integers(1, 12),
    apart=st.sampled_from([0.0, 0.1, 0.4]), filled=st.none() | FILL,
)  # fmt: skip


def plain(url: str, times: int, fill: Fill) -> Ask:
    return Ask(url, "GET", (), "DE", times, 0.1, fill)


def changed(url: str, method: str, times: int, fill: Fill, later: Fill) -> list[Ask]:
    """A response changes while it is fresh: replaced, told of by a HEAD, or invalidated with what Location names."""
    asked = plain(url, times, fill), plain("http://h/b", times, fill)
    return [*asked, Ask(url, method, (("cache-control", "no-cache"),), "DE", 1, 0.0, later), *asked]


PLAIN = st.builds(plain, st.sampled_from(URLS[:6]), st.integers(1, 12), FILL)
CHANGED = st.builds(
    changed, st.sampled_from(URLS[:6]), st.sampled_from(["GET", "HEAD", "POST"]), st.integers(1, 5), FILL, FILL
)
STEPS = st.one_of(
    ASK,
    CHANGED,
    PLAIN,
    PLAIN,
    FILL,
    st.builds(
        Land, which=st.integers(0, 5), status=st.sampled_from([200] * 6 + [304, 304, 404, 503, 0]),
        control=st.sampled_from(CONTROLS), size=st.sampled_from([0, 100, HEAD_COST_BYTES, 3 * HEAD_COST_BYTES]),
        sized=st.booleans(),
    ),
    st.builds(End, which=st.integers(0, 5), size=st.sampled_from([0, 100, HEAD_COST_BYTES, None])),
    st.builds(Purge, kind=st.sampled_from(PurgeKind), url=st.sampled_from(URLS), soft=st.booleans()),
    st.sampled_from([0.5, 3.0]),
)  # fmt: skip


@dataclass
class Live(Surroundings[Requested, None]):
    """A live node without its sockets: it writes the lines."""

    machine: EdgeMachine
    now: float = 1_795_000_000.0
    lines: list[Line] = field(default_factory=list)
    landed: dict[int, Exchange] = field(default_factory=dict)
    """Fetch -> its line."""

    def __post_init__(self) -> None:
        self.node: VirtualNode[Requested, None] = VirtualNode(self.machine, self)

    def step(self, step: Any) -> None:
        match step:
            case list():
                for one in step:
                    self.step(one)
            case float():
                self.now += step
            case Ask():
                for time in range(step.times):
                    self.ask(step)
                    self.now += step.apart
                    if time == 0 and step.filled is not None:
                        self.step(step.filled)
            case Land() if self.node.open:
                self.land(pick(self.node.open, step.which), step)
            case Fill():
                for exchange in list(self.node.open.values()):
                    self.land(exchange, Land(0, 200, step.control, step.size, sized=False))
                for exchange in list(self.node.filling.values()):
                    self.end(exchange, step.size)
            case End() if self.node.filling:
                self.end(pick(self.node.filling, step.which), step.size)
            case Purge():
                value = {
                    PurgeKind.URL: step.url, PurgeKind.PREFIX: step.url[:-1],
                    PurgeKind.SURROGATE_KEYS: "none all",
                }.get(step.kind, "")  # fmt: skip
                self.node.purge(PurgeOrder(step.kind, value, step.soft))
                self.lines.append(Ordered("fra", self.machine.events, self.now, step.kind, value, step.soft, 0))

    def ask(self, ask: Ask) -> None:
        record = Requested(
            self.machine.events + 1,
            self.now,
            ask.method,
            ask.url,
            0,
            Outcome.MISS,
            None,
            "",
            ask.country,
            "",
            ask.fields,
        )
        self.lines.append(record)
        plan = self.node.ask(request_of(record), record)
        if isinstance(plan, Fetch | Join):
            self.on_answer(record, plan)

    def on_answer(self, asker: Requested, answer: Any, exchange: virtual_node.Exchange[None] | None = None) -> None:
        asker.outcome, asker.cause = answer.outcome, getattr(answer, "cause", None)
        asker.status, asker.reason = getattr(answer, "status", 0), getattr(answer, "reason", "")

    def land(self, exchange: virtual_node.Exchange[None], land: Land) -> None:
        fetch = exchange.fetch
        fields = [("cache-control", land.control), ("etag", '"1"'), ("surrogate-key", "all")]
        fields += [("content-length", str(land.size))] if land.sized else []
        fields += [("location", "/b")] if fetch.request.method == "POST" else []
        fields += [("vary", "accept-language")] if "vary" in fetch.key else []
        if land.status:
            self.node.respond(exchange, ResponseHead(land.status, Headers(fields)), None)
        else:
            self.node.fail(exchange, Failure.RESET)
        self.landed[fetch.id] = Exchange(
            "fra", fetch.id, fetch.request.target, fetch.purpose.value, fetch.sent_at, self.machine.events, self.now,
            land.status, tuple(fields) if land.status else (), failure="" if land.status else Failure.RESET.value,
        )  # fmt: skip
        self.lines.append(self.landed[fetch.id])

    def end(self, exchange: virtual_node.Exchange[None], size: int | None) -> None:
        self.node.end(exchange, size)
        line = self.landed.pop(exchange.fetch.id)
        line.ended_seq, line.ended_at = self.machine.events, self.now
        if size is None:
            line.failure = Failure.TRUNCATED.value
        else:
            line.size_bytes = size


SERVICES = st.builds(
    Service, name=st.just("fra"), behaviors=st.just(BEHAVIORS), gate=st.booleans(),
    room=st.sampled_from([4 * HEAD_COST_BYTES, 6 * HEAD_COST_BYTES, 10 * HEAD_COST_BYTES, 2**30]),
)  # fmt: skip
PROFILE = st.sampled_from(sorted(PROFILES))
WRONG = st.lists(st.tuples(st.integers(0, 200), st.sampled_from(Outcome), st.sampled_from([0, 200, 404])), max_size=5)
"""Lines that say what did not happen: which, and what."""


def replayed_each(events: list[Event], service: Service, profile: Any) -> tuple[Replayed, EdgeMachine]:
    node = ReplayNode(service, profile)
    for one in events:
        node.on_event(one)
    return node.finish(), node.machine


def state(machine: EdgeMachine) -> dict[str, Any]:
    """All that a later event could come to depend on. The room is emptied: its order is what it lets go."""
    entries = [
        (e.id, e.key, e.status, e.life, e.hits, e.size_bytes, e.length, e.complete, e.selecting, e.part, e.etag)
        for e in machine.index
    ]
    flights = machine.flights
    facts = {
        "events": machine.events, "ids": machine.state.ids, "entries": entries, "gone": list(machine.index._removal_causes.items()),
        "flights": [(i, f.opened_at, [w.ticket for w in f.waiters]) for i, f in flights._by_id.items()],
        "joinable": [(key, flight.fetch.id) for key, flight in flights._open.items()],
        "alone": list(machine.state.uncollapsed._by_key.items()), "failing": list(machine.state.failing._by_key),
        "marks": (machine.state.uncollapsed._marks, machine.state.failing._marks),
        "purges": machine.state.purges, "varying": machine.vary_fields, "filling": {i: e.id for i, e in machine.state.filling.items()},
        "stored": machine.room.currsize,
    }  # fmt: skip
    return facts | {"order of uses": [machine.room.popitem()[0] for _ in range(len(machine.room))]}


@given(SERVICES, PROFILE, st.lists(STEPS, min_size=10, max_size=50), WRONG, st.none() | SERVICES, st.none() | PROFILE)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_both_ways_come_to_the_same_end(
    service: Service,
    profile: str,
    steps: list[Any],
    wrong: list[tuple[int, Outcome, int]],
    other_service: Service | None,
    other_profile: str | None,
) -> None:
    live = Live(EdgeMachine(service, PROFILES[profile]))
    for step in steps:
        live.step(step)
    requests = [line for line in live.lines if isinstance(line, Requested)]
    for which, outcome, status in wrong if requests else []:
        line = requests[which % len(requests)]
        line.outcome, line.cause, line.status = outcome, Cause.COLD if outcome is Outcome.MISS else None, status
    events = events_of(live.lines)
    # The same settings again, or others: then much comes out otherwise, and fetches are missing.
    again, law = other_service or service, PROFILES[other_profile or profile]
    expected, machine = replayed_each(events, again, law)
    node = JumpingNode(trace_of(events), again, law)
    count = 0
    on_event = node.on_event

    def counting(one: Event) -> None:
        nonlocal count
        count += 1
        on_event(one)

    node.on_event = counting  # type: ignore[method-assign]
    assert node.run() == expected
    assert state(node.machine) == state(machine)
    if not wrong and other_service is None and other_profile is None:
        assert expected.differences == []
    event(f"jumped over {'nothing' if count == len(events) else 'some' if count > len(events) / 2 else 'most'}")
