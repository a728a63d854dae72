"""Three tiers in virtual time: the nodes of `node.py`, an origin, viewers, and one heap of all that takes time."""

import heapq
from collections.abc import Callable
from itertools import count

from cdnkit.policy import Fetch, Headers, PurgeOrder, RequestHead
from cdnkit.policy.store.eviction import HEAD_COST_BYTES
from cdnkit.policy.store.index import Entry
from tests.kit.virtual_node import VirtualNode
from tests.random.tiers.judge import History, Purged, Seen
from tests.random.tiers.node import Asked, Node, Stream
from tests.random.tiers.origin import Answered, Contents
from tests.random.tiers.script import PARENTS, Ask, Change, Leave, Link, Purge, Restart, Say, Step, Wait, tag

START = 1_795_000_000.25
TRANSFER = 0.1
"""Seconds between the first and the last byte of a body the origin sends."""
ORDERS = {
    "shields-first": list(PARENTS),
    "edges-first": list(reversed(PARENTS)),
    "together": [],
}


class Lab:
    """The cluster, its viewers, and all that happened."""

    def __init__(self, *, room: int = 6 * HEAD_COST_BYTES, purge_delays: dict[str, float] | None = None) -> None:
        self.now = START
        self.contents = Contents()
        self.history = History()
        self.viewers: list[Seen] = []
        self.ages: dict[tuple[VirtualNode[Asked, Stream], int, float], int] = {}
        """(an edge's life, entry, its birth as the last validation tells it) -> the last Age it was given out with."""
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
            life = node.life
            assert not life.open and not life.filling and not life.waiting, f"{node.name} has debts"
            life.check()

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
            node.life.check()

    def _viewer(self, ask: Ask) -> None:
        seen = Seen(ask, self.now, len(self.history.purges))
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
                key = (life, entry.id, entry.life.born_at)
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
            self.later(at[name], lambda name=name: self.nodes[name].life.purge(order))
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
            if answered.failed:
                self.history.faults.append((request.target, self.now, "error"))
            self.later(says.late, lambda: send(answered))

        def send(answered: Answered) -> None:
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
