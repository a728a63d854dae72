"""One node in virtual time: a real machine, and a shell that obeys it as `edge/driver.py` does over HTTP.

What comes from below is asked of the machine; what it wants from above goes over a wire that takes time and breaks.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from cdnkit.policy import (
    Behavior,
    EdgeMachine,
    Failure,
    Fetch,
    Headers,
    Join,
    Landing,
    PurgeOrder,
    Refuse,
    Relay,
    RequestHead,
    ResponseHead,
    Serve,
    Service,
)
from cdnkit.policy.store.eviction import HEAD_COST_BYTES
from cdnkit.policy.store.index import Entry
from cdnkit.policy.upstream.request import MAX_UPSTREAM_REQUESTS

LATENCY = 0.02
"""Seconds on each wire, each way."""


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


class Around(Protocol):
    """The world a node lives in."""

    now: float

    def later(self, seconds: float, then: Callable[[], None]) -> None: ...
    def above(self, name: str) -> Callable[[Asked], None]: ...
    def fault(self, fetch: Fetch, how: str) -> None: ...


class Node:
    """One cache node: a machine, and the shell that obeys it."""

    def __init__(self, lab: Around, name: str, room: int) -> None:
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
        self.asks: Counter[int] = Counter()

    @property
    def now(self) -> float:
        return self.lab.now + self.ahead

    # ---- from below --------------------------------------------------------------------------------------------

    def ask(self, asked: Asked) -> None:
        plan = self.machine.on_request(asked.request, self.now)
        if isinstance(plan, Serve | Refuse):
            self._answer(asked, plan, None)
            return
        assert isinstance(plan, Fetch | Join)
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
        if fetch.ticket:
            self.asks[fetch.ticket] += 1
            assert self.asks[fetch.ticket] <= MAX_UPSTREAM_REQUESTS, f"{self.name}: one request asks again and again"
        life = self.life
        request = replace(fetch.request, trusted=True)

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
        purged = self.machine.on_purge(order, self.now)
        for entry_id in list(self.bodies) if purged.everything else purged.dropped:
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
