"""Three tiers in virtual time: real machines, a shell that remembers all, wires that take time and break.

Nothing here decides: a node is asked, its machine answers, the shell obeys (as `edge/driver.py` does over HTTP). All
that takes time is an event on one heap.
"""

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from policy import (
    Behavior,
    EdgeMachine,
    Failure,
    Fetch,
    Headers,
    Landing,
    PurgeOrder,
    Refuse,
    Relay,
    RequestHead,
    ResponseHead,
    Serve,
    Service,
)
from policy.eviction import HEAD_COST_BYTES
from policy.index import Entry
from tests.tiers.judge import History, Purged, Seen
from tests.tiers.origin import Contents
from tests.tiers.script import PARENTS, Ask, Change, Leave, Link, Purge, Restart, Say, Step, Wait, tag

START = 1_795_000_000.25
LATENCY = 0.02
"""Seconds on each wire, each way."""
TRANSFER = 0.1
"""Seconds between the first and the last byte of a body the origin sends."""
ORDERS = {
    "shields-first": list(PARENTS),
    "edges-first": list(reversed(PARENTS)),
    "together": [],
}


@dataclass(eq=False)
class Stream:
    """A body on its way: its bytes, and what becomes of them. Whoever wants the end is told of it."""

    content: bytes
    state: str = "coming"
    """"coming", "whole" or "broken": then half of it came."""
    heard: list[Callable[[], None]] = field(default_factory=list)

    def end(self, state: str) -> None:
        if self.state == "coming":
            self.state = state
            self.content = self.content if state == "whole" else self.content[: len(self.content) // 2]
            heard, self.heard = self.heard, []
            for tell in heard:
                tell()

    def when_over(self, tell: Callable[[], None]) -> None:
        if self.state == "coming":
            self.heard.append(tell)
        else:
            tell()


@dataclass(eq=False)
class Asked:
    """A request to a node or the origin: from a viewer, or from a node below."""

    request: RequestHead
    head: Callable[[int, Headers, Stream | None, Entry | None], None]
    """Status, fields, body, and what it is served from."""
    broken: Callable[[], None]
    """No head will come."""
    left: bool = False
    """Nobody listens any more."""
    answered: bool = False


@dataclass(eq=False)
class Exchange:
    """A node's question to its parent."""

    fetch: Fetch
    upward: Asked | None = None
    body: Stream | None = None
    purges: int = 0
    """How many purges the node had carried out when it opened."""


class Node:
    """One cache node: a machine, and the shell that obeys it."""

    def __init__(self, lab: "Lab", name: str, room: int) -> None:
        self.lab, self.name, self.room = lab, name, room
        self.link_up = True
        self.ahead = 0.0
        self.purge_delay = 0.0
        self.life = 0
        self.purged = 0
        self.born()

    def born(self) -> None:
        self.life += 1
        rules = Service(name=self.name, behaviors=(Behavior(path="*"),), room=self.room, largest=self.room)
        self.machine = EdgeMachine(rules)
        self.bodies: dict[int, Stream] = {}
        self.waiting: dict[int, Asked] = {}
        self.open: dict[int, Exchange] = {}
        self.filling: dict[int, Exchange] = {}
        self.serving: list[Stream] = []

    @property
    def now(self) -> float:
        return self.lab.now + self.ahead

    # ---- from below --------------------------------------------------------------------------------------------

    def ask(self, asked: Asked) -> None:
        plan = self.machine.on_request(asked.request, self.now)
        if isinstance(plan, Serve | Refuse):
            self._answer(asked, plan, None)
            return
        assert not hasattr(plan, "assembly")
        assert plan.ticket not in self.waiting, "a ticket was given out twice"
        self.waiting[plan.ticket] = asked
        if isinstance(plan, Fetch):
            self._fetch(plan)

    def _answer(self, asked: Asked, answer: Serve | Relay | Refuse, incoming: Stream | None) -> None:
        if isinstance(answer, Serve) and answer.refresh is not None:
            self._fetch(answer.refresh)
        if asked.left:
            return
        assert not asked.answered, "answered twice"
        asked.answered = True
        body, entry = None, None
        if isinstance(answer, Serve):
            entry = answer.entry
            if answer.body:
                assert entry.id in self.bodies, "served what the shell was told to drop"
                body = self.bodies[entry.id]
                if answer.span is not None:
                    body = self._cut(body, answer.span.start, answer.span.stop)
        elif isinstance(answer, Relay) and answer.body:
            body = incoming
        if body is not None:
            self.serving = [other for other in self.serving if other.state == "coming"]
            self.serving.append(body)
        asked.head(answer.status, Headers.wrap(list(answer.headers)), body, entry)

    @staticmethod
    def _cut(whole: Stream, start: int, stop: int) -> Stream:
        part = Stream(whole.content[start:stop])
        whole.when_over(lambda: part.end(whole.state))
        return part

    # ---- upwards -----------------------------------------------------------------------------------------------

    def _fetch(self, fetch: Fetch) -> None:
        exchange = self.open[fetch.id] = Exchange(fetch, purges=self.purged)
        life = self.life
        request = fetch.request

        def alive(then: Callable[[], None]) -> Callable[[], None]:
            return lambda: then() if self.life == life and fetch.id in self.open | self.filling else None

        def head(status: int, fields: Headers, body: Stream | None, _: Entry | None) -> None:
            self.lab.later(LATENCY, alive(lambda: self._landed(exchange, status, fields, body)))

        def broken() -> None:
            self.lab.later(LATENCY, alive(lambda: self._failed(exchange, Failure.RESET)))

        if not self.link_up:
            self.lab.later(LATENCY, alive(lambda: self._failed(exchange, Failure.CONNECT)))
            return
        exchange.upward = Asked(request, head, broken)
        above = self.lab.above(self.name)
        self.lab.later(LATENCY, lambda: above(exchange.upward) if not exchange.upward.left else None)

    def _landed(self, exchange: Exchange, status: int, fields: Headers, body: Stream | None) -> None:
        fetch = exchange.fetch
        del self.open[fetch.id]
        landing = self.machine.on_response(fetch, ResponseHead(status, fields), self.now)
        content = body.content if body is not None else b""
        if landing.prefix is not None:
            content = self.bodies[landing.prefix].content + content
        mine = exchange.body = Stream(content)
        if landing.store is not None:
            self.bodies[landing.store.id] = mine
        self.filling[fetch.id] = exchange
        self._settle(landing, mine)
        if landing.store is not None and not landing.store.indexed:
            self.bodies.pop(landing.store.id, None)
        life = self.life

        def over() -> None:
            self.lab.later(LATENCY, lambda: self._ended(exchange, body) if self.life == life else None)

        if body is None:
            self._ended(exchange, None)
        else:
            body.when_over(over)

    def _ended(self, exchange: Exchange, body: Stream | None) -> None:
        fetch, mine = exchange.fetch, exchange.body
        if self.filling.pop(fetch.id, None) is None or mine is None:
            return
        if body is None or body.state == "whole":
            mine.end("whole")
            landing = self.machine.on_body_end(fetch, len(mine.content), self.now)
        else:
            self.lab.fault(fetch, "silent")
            mine.end("broken")
            landing = self.machine.on_failure(fetch, Failure.TRUNCATED, self.now)
        self._settle(landing, None)

    def _failed(self, exchange: Exchange, why: Failure) -> None:
        fetch = exchange.fetch
        if self.open.pop(fetch.id, None) is not None:
            if why is not Failure.ABANDONED:
                self.lab.fault(fetch, "silent")
            self._settle(self.machine.on_failure(fetch, why, self.now), None)

    def _settle(self, landing: Landing, incoming: Stream | None) -> None:
        for ticket, answer in landing.answers.items():
            assert ticket in self.waiting, "an answer for nobody"
            asked = self.waiting[ticket]
            if isinstance(answer, Fetch):
                self._fetch(answer)
                if asked.left and not answer.collapsible:
                    self._failed(self.open[answer.id], Failure.ABANDONED)
                continue
            del self.waiting[ticket]
            self._answer(asked, answer, incoming)
        for entry_id in landing.dropped:
            self.bodies.pop(entry_id, None)

    # ---- operators and faults ----------------------------------------------------------------------------------

    def purge(self, order: PurgeOrder) -> None:
        self.purged += 1
        for entry_id in self.machine.on_purge(order, self.now).dropped:
            self.bodies.pop(entry_id, None)

    def cut_link(self) -> None:
        """What is under way on the wire to the parent breaks."""
        self.link_up = False
        for exchange in list(self.open.values()):
            if exchange.upward is not None:
                exchange.upward.left = True
            self._failed(exchange, Failure.RESET)
        for exchange in list(self.filling.values()):
            self._ended(exchange, Stream(b"", "broken"))

    def die(self, ahead: float) -> None:
        for asked in self.waiting.values():
            if not asked.left:
                asked.broken()
        for exchange in self.open.values():
            if exchange.upward is not None:
                exchange.upward.left = True
        for body in self.serving:
            body.end("broken")
        self.ahead = ahead
        self.born()

    # ---- what always holds -------------------------------------------------------------------------------------

    def check(self) -> None:
        stored = sum(entry.size_bytes + HEAD_COST_BYTES for entry in self.machine.index)
        assert stored <= self.room, f"{self.name} stores {stored} bytes in {self.room}"
        assert all(entry.id in self.bodies for entry in self.machine.index), f"{self.name} lost a body"
        assert len(self.machine.flights) == len(self.open), f"{self.name}: a flight that nobody owes"
        fills = Counter(
            one.fetch.flight_key for one in self.open.values() if one.fetch.collapsible and one.purges == self.purged
        )
        assert all(number == 1 for number in fills.values()), f"{self.name}: two fills of one key: {fills}"


class Lab:
    """The cluster, its viewers, and all that happened."""

    def __init__(self, *, room: int = 6 * HEAD_COST_BYTES, purge_delays: dict[str, float] | None = None) -> None:
        self.now = START
        self.contents = Contents()
        self.history = History()
        self.viewers: list[Seen] = []
        self.ages: dict[tuple[str, int, int, float], int] = {}
        """(edge, its life, entry, its birth as the last validation tells it) -> the last Age it was given out with."""
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._watching: dict[int, Asked] = {}
        self.nodes = {name: Node(self, name, room) for name in PARENTS}
        for name, delay in (purge_delays or {}).items():
            self.nodes[name].purge_delay = delay

    # ---- time --------------------------------------------------------------------------------------------------

    def later(self, seconds: float, then: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._order), then))

    def run_for(self, seconds: float) -> None:
        until = self.now + seconds
        while self._events and self._events[0][0] <= until:
            self.now, _, then = heapq.heappop(self._events)
            then()
        self.now = until

    def finish(self) -> None:
        """Everything that is under way comes to its end: every viewer has been answered exactly once, or left."""
        while self._events:
            self.now, _, then = heapq.heappop(self._events)
            then()
        for seen in self.viewers:
            assert seen.over or (seen.answers and not seen.whole), f"waits for ever: {seen}"
        for node in self.nodes.values():
            assert not node.open and not node.filling and not node.waiting, f"{node.name} has debts"
            node.check()

    # ---- the script --------------------------------------------------------------------------------------------

    def take(self, step: Step) -> None:
        match step:
            case Wait():
                self.run_for(step.seconds)
            case Ask():
                self._viewer(step)
            case Say():
                self.contents.says[step.target] = step.says
            case Change():
                self.contents.version[step.target] = self.contents.version.get(step.target, 1) + 1
            case Leave():
                waiting = [i for i, seen in enumerate(self.viewers) if not seen.over]
                if waiting:
                    self._gone(waiting[step.which % len(waiting)])
            case Purge():
                self._purge(step)
            case Link():
                node = self.nodes[step.node]
                node.link_up = node.link_up or step.up
                if not step.up:
                    node.cut_link()
            case Restart():
                self.nodes[step.node].die(step.ahead)
        for node in self.nodes.values():
            node.check()

    def _viewer(self, ask: Ask) -> None:
        seen = Seen(ask, self.now)
        number = len(self.viewers)
        self.viewers.append(seen)
        lines = fields_of(ask, self.contents)
        path, mark, query = ask.target.partition("?")
        request = RequestHead(
            ask.method, "http", "h", path, query if mark else None, Headers(lines.items()), "198.51.100.7"
        )
        node = self.nodes[ask.edge]
        life = node.life

        def head(status: int, fields: Headers, body: Stream | None, entry: Entry | None) -> None:
            seen.answers += 1
            seen.status, seen.at = status, self.now
            seen.fields = {name: fields.joined(name) or "" for name, _ in fields}

            def over() -> None:
                seen.body = b"" if body is None else body.content
                seen.whole = body is None or body.state == "whole"
                self.history.judge(seen)

            if entry is not None and "age" in seen.fields:
                key = (ask.edge, life, entry.id, entry.life.born_at)
                age = int(seen.fields["age"])
                assert age >= self.ages.get(key, 0), f"Age went back from {self.ages[key]}: {seen}"
                self.ages[key] = age
            if body is None:
                over()
            else:
                body.when_over(over)

        asked = self._watching[number] = Asked(request, head, lambda: self._gone(number))
        node.ask(asked)

    def _gone(self, number: int) -> None:
        self._watching[number].left = True
        self.viewers[number].gone = True

    def _purge(self, step: Purge) -> None:
        """One node after the other, each after its own delay; "together": all at once, each after its own."""
        order = PurgeOrder(step.kind, step.value, step.soft)
        purged = Purged(step.kind, step.value, step.soft, self.now)
        at: dict[str, float] = {}
        for name in ORDERS[step.order] or PARENTS:
            before = 0.0 if step.order == "together" else max(at.values(), default=0.0)
            at[name] = before + self.nodes[name].purge_delay
            self.later(at[name], lambda name=name: self.nodes[name].purge(order))
        purged.began = self.now + at["parent"]
        if all(at[above] <= at[name] for name, above in PARENTS.items() if above != "origin"):
            purged.done = self.now + max(at.values())
        self.history.purges.append(purged)
        self.run_for(0.0)

    # ---- the origin --------------------------------------------------------------------------------------------

    def above(self, name: str) -> Callable[[Asked], None]:
        return self._origin if PARENTS[name] == "origin" else self.nodes[PARENTS[name]].ask

    def _origin(self, asked: Asked) -> None:
        request = asked.request
        says = self.contents.said(request.target)

        def answer() -> None:
            if says.dies == "head":
                asked.broken()
                return
            answered = self.contents.answer(request.method, request.target, dict(request.headers.lines), self.now)
            if answered.status >= 500:
                self.history.faults.append((request.target, self.now, "error"))
            body = Stream(answered.body) if answered.body else None
            asked.head(answered.status, Headers(answered.fields.items()), body, None)
            if body is not None:
                self.later(TRANSFER, lambda: body.end("broken" if says.dies == "body" else "whole"))

        self.later(says.delay, answer)

    def fault(self, fetch: Fetch, how: str) -> None:
        self.history.faults.append((fetch.request.target, self.now, how))


def fields_of(ask: Ask, contents: Contents) -> dict[str, str]:
    """The fields of a viewer's request."""
    lines: dict[str, str] = {}
    if ask.language:
        lines["accept-language"] = ask.language
    if ask.range is not None:
        lines["range"] = f"bytes={ask.range[0]}-{ask.range[1]}"
    if ask.known:
        language = ask.language if contents.said(ask.target).varies else ""
        lines["if-none-match"] = tag(ask.target, language, ask.known)
    return lines
