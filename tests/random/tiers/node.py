"""A `VirtualNode` in its place: what it wants from above goes over a wire that takes time and breaks, and it may die."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from cdnkit.policy import Behavior, EdgeMachine, Failure, Headers, RequestHead, ResponseHead, Service
from cdnkit.policy.plan import Fetch, Landing, Refuse, Relay, Serve
from cdnkit.policy.store.index import Entry
from tests.kit.virtual_node import Exchange, VirtualNode

LATENCY = 0.02
"""Seconds on each wire, each way."""


@dataclass(eq=False)
class Stream:
    """A body on its way: its bytes, and what becomes of them. The listeners are called at its end."""

    content: bytes
    state: str = "coming"
    """"coming", "whole" or "broken": then half of it came."""
    listeners: list[Callable[[], None]] = field(default_factory=list)

    def end(self, state: str) -> None:
        if self.state == "coming":
            self.state = state
            self.content = self.content if state == "whole" else self.content[: len(self.content) // 2]
            listeners, self.listeners = self.listeners, []
            for listener in listeners:
                listener()

    def when_over(self, listener: Callable[[], None]) -> None:
        if self.state == "coming":
            self.listeners.append(listener)
        else:
            listener()


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


class Around(Protocol):
    """The world a node lives in."""

    now: float

    def later(self, seconds: float, then: Callable[[], None]) -> None: ...
    def above(self, name: str) -> Callable[[Asked], None]: ...
    def fault(self, fetch: Fetch, how: str) -> None: ...


class Node:
    """One cache node: its wire to its parent, its clock, and its lives one after the other."""

    def __init__(self, lab: Around, name: str, room: int) -> None:
        self.lab, self.name, self.room = lab, name, room
        self.link_up = True
        self.ahead = 0.0
        self.purge_delay = 0.0
        self._be_born()

    def _be_born(self) -> None:
        rules = Service(name=self.name, behaviors=(Behavior(path="*"),), room=self.room, largest=self.room)
        self.life: VirtualNode[Asked, Stream] = VirtualNode(EdgeMachine(rules), self)
        self.upward: dict[int, Asked] = {}
        self.serving: list[Stream] = []

    @property
    def now(self) -> float:
        return self.lab.now + self.ahead

    # ---- from below --------------------------------------------------------------------------------------------

    def ask(self, asked: Asked) -> None:
        self.life.ask(asked.request, asked)

    def on_answer(self, asker: Asked, answer: Serve | Relay | Refuse, exchange: Exchange[Stream] | None) -> None:
        if asker.left:
            return
        assert not asker.answered, "answered twice"
        asker.answered = True
        body, entry = None, None
        if isinstance(answer, Serve):
            entry = answer.entry
            if answer.body:
                body = self.life.bodies[entry.id]
                if answer.span is not None:
                    body = self._cut(body, answer.span.start, answer.span.stop)
        elif isinstance(answer, Relay) and answer.body:
            assert exchange is not None
            body = exchange.body
        if body is not None:
            self.serving = [other for other in self.serving if other.state == "coming"]
            self.serving.append(body)
        asker.head(answer.status, Headers.wrap(list(answer.headers)), body, entry)

    @staticmethod
    def _cut(whole: Stream, start: int, stop: int) -> Stream:
        part = Stream(whole.content[start:stop])
        whole.when_over(lambda: part.end(whole.state))
        return part

    # ---- upwards -----------------------------------------------------------------------------------------------

    def on_fetch(self, exchange: Exchange[Stream], asker: Asked) -> None:
        fetch, life = exchange.fetch, self.life

        def later(then: Callable[[], None]) -> None:
            self.lab.later(LATENCY, lambda: then() if fetch.id in life.open else None)

        def head(status: int, fields: Headers, body: Stream | None, _: Entry | None) -> None:
            later(lambda: self._landed(exchange, status, fields, body))

        if not self.link_up:
            later(lambda: self._failed(exchange, Failure.CONNECT))
        else:
            request = replace(fetch.request, trusted=True)
            upward = self.upward[fetch.id] = Asked(
                request, head, lambda: later(lambda: self._failed(exchange, Failure.RESET))
            )
            above = self.lab.above(self.name)
            self.lab.later(LATENCY, lambda: above(upward) if not upward.left else None)
        if fetch.ticket and asker.left and not fetch.collapsible:
            self.life.fail(exchange, Failure.ABANDONED)

    def _landed(self, exchange: Exchange[Stream], status: int, fields: Headers, body: Stream | None) -> None:
        life = self.life
        mine = Stream(body.content if body is not None else b"")
        life.respond(exchange, ResponseHead(status, fields), mine)

        def over() -> None:
            self.lab.later(LATENCY, lambda: self._ended(life, exchange, body is None or body.state == "whole"))

        if body is None:
            self._ended(life, exchange, whole=True)
        else:
            body.when_over(over)

    def on_landing(
        self, exchange: Exchange[Stream], head: ResponseHead, landing: Landing, before: Stream | None
    ) -> None:
        if before is not None:
            exchange.body.content = before.content + exchange.body.content

    def _ended(self, life: VirtualNode[Asked, Stream], exchange: Exchange[Stream], whole: bool) -> None:
        if exchange.fetch.id not in life.filling:
            return
        body = exchange.body
        if not whole:
            self.lab.fault(exchange.fetch, "silent")
        body.end("whole" if whole else "broken")
        life.end(exchange, len(body.content) if whole else None)

    def _failed(self, exchange: Exchange[Stream], why: Failure) -> None:
        self.lab.fault(exchange.fetch, "silent")
        self.life.fail(exchange, why)

    # ---- operators and faults ----------------------------------------------------------------------------------

    def cut_link(self) -> None:
        """What is under way on the wire to the parent breaks."""
        self.link_up = False
        for exchange in list(self.life.open.values()):
            if exchange.fetch.id in self.upward:
                self.upward[exchange.fetch.id].left = True
            self._failed(exchange, Failure.RESET)
        for exchange in list(self.life.filling.values()):
            self._ended(self.life, exchange, whole=False)

    def die(self, ahead: float) -> None:
        for asked in self.life.waiting.values():
            if not asked.left:
                asked.broken()
        for fetch_id in self.life.open.keys() & self.upward.keys():
            self.upward[fetch_id].left = True
        for body in self.serving:
            body.end("broken")
        self.life.open.clear()  # nothing that is under way reaches it any more
        self.life.filling.clear()
        self.ahead = ahead
        self._be_born()
