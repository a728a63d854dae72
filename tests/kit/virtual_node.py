"""One node in virtual time: a real machine, and a shell that obeys its plans as `edge/driver.py` does over HTTP.

The shell keeps what the machine leaves to it: who waits for which ticket, which upstream requests and bodies are under
way, and the stored bodies. Time, viewers, the parent and the bodies themselves come from outside, by `Surroundings`:
each test says there how long things take, what breaks, and what it holds of every answer.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from cdnkit.policy import EdgeMachine, Failure, RequestHead, ResponseHead
from cdnkit.policy.plan import Fetch, Join, Landing, Purged, PurgeKind, PurgeOrder, Refuse, Relay, Serve
from cdnkit.policy.store.eviction import HEAD_COST_BYTES

MAX_UPSTREAM_REQUESTS = 2
"""Upstream requests that one viewer's request may cost, whatever the parent answers."""

A = TypeVar("A")
"""Who asks."""
A_in = TypeVar("A_in", contravariant=True)
B = TypeVar("B")
"""A body; the shell only keeps it."""
T = TypeVar("T")


class BrokenPlan(AssertionError):
    """The machine broke a promise that every shell relies on."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(f"{kind}: {sentence}")
        self.kind, self.sentence = kind, sentence


@dataclass(eq=False, slots=True)
class Exchange(Generic[B]):
    """An upstream request, from its opening to the end of its body."""

    fetch: Fetch
    body: B = field(init=False)
    """From its landing on."""
    purged: bool = False
    """A purge may have named its target while it was open (a URL as a path): nobody may join it any more."""


class Surroundings(Protocol[A_in, B]):
    """What is outside of a node; what inherits it may leave out `on_fetch` and `on_landing`."""

    @property
    def now(self) -> float:
        """On the node's clock."""

    def on_fetch(self, exchange: Exchange[B], asker: A_in) -> None:
        """An upstream request is to be made: for `asker`, or behind what it is served (then its ticket is 0)."""
        return

    def on_landing(self, exchange: Exchange[B], head: ResponseHead, landing: Landing, before: B | None) -> None:
        """A response has landed; nobody is answered yet. `before`: the stored body that the coming one continues."""
        return

    def on_answer(self, asker: A_in, answer: Serve | Relay | Refuse, exchange: Exchange[B] | None) -> None:
        """`exchange`: the one that brought it, None if nobody waited. `VirtualNode.bodies` has what is served."""


class VirtualNode(Generic[A, B]):
    """One life of a node."""

    def __init__(self, machine: EdgeMachine, around: Surroundings[A, B]) -> None:
        self.machine, self.around = machine, around
        self.waiting: dict[int, A] = {}
        self.open: dict[int, Exchange[B]] = {}
        """By fetch id, in the order in which they were opened."""
        self.filling: dict[int, Exchange[B]] = {}
        """Those whose body is under way, in the order in which they landed."""
        self.bodies: dict[int, B] = {}
        """By entry id."""
        self._seen: set[int] = set()
        self._asks: Counter[int] = Counter()

    # ---- from below --------------------------------------------------------------------------------------------

    def ask(self, request: RequestHead, asker: A) -> Serve | Refuse | Fetch | Join:
        plan = self.machine.on_request(request, self.around.now)
        if isinstance(plan, Serve | Refuse):
            self._answer(asker, plan, None)
            return plan
        assert isinstance(plan, Fetch | Join), plan
        self._promised(plan.ticket not in self.waiting, "ticket-twice", "a ticket was given out twice")
        self.waiting[plan.ticket] = asker
        if isinstance(plan, Fetch):
            self._begin(plan, asker)
        else:
            self._promised(plan.fetch_id in self.open, "dead-flight", "joined what has landed")
        return plan

    def _answer(self, asker: A, answer: Serve | Relay | Refuse, exchange: Exchange[B] | None) -> None:
        if isinstance(answer, Serve):
            if answer.refresh is not None:
                self._begin(answer.refresh, asker)
            self._promised(answer.entry.id in self.bodies, "no-body", "serves a body that the shell was told to drop")
        self.around.on_answer(asker, answer, exchange)

    # ---- from above --------------------------------------------------------------------------------------------

    def respond(self, exchange: Exchange[B], head: ResponseHead, body: B) -> None:
        """The parent's response head is here, and `body` follows."""
        fetch, exchange.body = self.open.pop(exchange.fetch.id).fetch, body
        landing = self.machine.on_response(fetch, head, self.around.now)
        before = None if landing.prefix is None else self.bodies[landing.prefix]
        self.around.on_landing(exchange, head, landing, before)
        self.filling[fetch.id] = exchange
        stored = landing.store
        if stored is not None:
            self.bodies[stored.id] = body
        self._resolve(landing, exchange)
        if stored is not None and not stored.indexed:
            self.bodies.pop(stored.id, None)  # it was shared, or made room again

    def end(self, exchange: Exchange[B], size_bytes: int | None) -> None:
        """The body is here whole, or broke off (None)."""
        fetch, now = self.filling.pop(exchange.fetch.id).fetch, self.around.now
        if size_bytes is None:
            landing = self.machine.on_failure(fetch, Failure.TRUNCATED, now)
        else:
            landing = self.machine.on_body_end(fetch, size_bytes, now)
        self._promised(not landing.answers, "late-answer", "the end of a body answers somebody")
        self._resolve(landing, exchange)

    def fail(self, exchange: Exchange[B], why: Failure) -> None:
        """No response head will come."""
        fetch = self.open.pop(exchange.fetch.id).fetch
        self._resolve(self.machine.on_failure(fetch, why, self.around.now), exchange)

    def _begin(self, fetch: Fetch, asker: A) -> None:
        self._promised(fetch.id not in self._seen, "fetch-twice", "a fetch id was used twice")
        self._seen.add(fetch.id)
        if fetch.ticket:
            self._asks[fetch.ticket] += 1
            count = self._asks[fetch.ticket]
            self._promised(count <= MAX_UPSTREAM_REQUESTS, "asks", f"one request asked {count} times")
        exchange = self.open[fetch.id] = Exchange(fetch)
        self.around.on_fetch(exchange, asker)

    def _resolve(self, landing: Landing, exchange: Exchange[B]) -> None:
        for ticket, answer in landing.answers.items():
            self._promised(ticket in self.waiting, "for-nobody", f"an answer for ticket {ticket}, which nobody holds")
            self._promised(not isinstance(answer, Join), "late-join", "who has waited is to wait for another's fetch")
            if isinstance(answer, Fetch):
                self._begin(answer, self.waiting[ticket])
            else:
                self._answer(self.waiting.pop(ticket), answer, exchange)
        self._drop(landing.dropped)

    # ---- from operators ----------------------------------------------------------------------------------------

    def purge(self, order: PurgeOrder) -> Purged:
        purged = self.machine.on_purge(order, self.around.now)
        for exchange in self.open.values():
            exchange.purged |= order.kind is not PurgeKind.URL or exchange.fetch.request.target == order.value
        self._drop(list(self.bodies) if purged.everything else purged.dropped)
        return purged

    def _drop(self, entry_ids: list[int]) -> None:
        for entry_id in entry_ids:
            self.bodies.pop(entry_id, None)

    # ---- what always holds -------------------------------------------------------------------------------------

    def check(self) -> None:
        index, room = self.machine.index, self.machine.service.room
        entries = list(index)
        stored = sum(entry.size_bytes + HEAD_COST_BYTES for entry in entries)
        self._promised(stored <= room, "too-much", f"{stored} bytes are stored in {room}")
        left = len(self.machine.room) - len(entries)  # purged, to be released later
        same = len(entries) == len(index) and (left >= 0 if index.releasing else left == 0)
        self._promised(same, "miscount", "index and room differ")
        self._promised(all(entry.id in self.bodies for entry in entries), "lost-body", "a stored response has no body")
        self._promised(len(self.machine.flights) == len(self.open), "flight-left", "a flight that nobody owes is open")
        joinable = (one.fetch for one in self.open.values() if one.fetch.collapsible and not one.purged)
        fills = Counter(fetch.flight_key for fetch in joinable)
        self._promised(all(count == 1 for count in fills.values()), "two-fills", f"two fills of one key: {fills}")

    def _promised(self, holds: bool, kind: str, sentence: str) -> None:
        if not holds:
            raise BrokenPlan(kind, f"{self.machine.service.name}: {sentence}")


def pick(under_way: dict[int, T], which: int) -> T:
    """The `which`-th of them, counted round and round."""
    return list(under_way.values())[which % len(under_way)]
