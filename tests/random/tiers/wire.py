"""The same scripts over real sockets: four real nodes, a real origin, wires that can be cut, clocks that can be set.

What a script calls seconds is not slept through: the nodes' clocks jump to where the next thing is due.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from cdnkit.policy.plan import PurgeKind
from cdnkit.policy.rules.service import Behavior
from tests.kit.burst import Viewer, wire
from tests.kit.late import GUARD_S
from tests.kit.node import Running, running_node
from tests.kit.origin import Asked, Origin, running_origin
from tests.kit.relay import Relay, running_relay
from tests.random.tiers.judge import History, Purged, Seen
from tests.random.tiers.origin import Contents
from tests.random.tiers.script import PARENTS, TARGETS, Ask, Change, Leave, Link, Purge, Restart, Say, Step, Wait
from tests.random.tiers.virtual import ORDERS, TRANSFER, fields_of

SETTLE = 0.03
"""Real seconds in which what has been set going on loopback comes to rest."""


class WireLab:
    """The cluster on loopback, its viewers, and all that happened."""

    def __init__(self, purge_delays: dict[str, float]) -> None:
        self.contents = Contents()
        self.history = History()
        self.viewers: list[Seen] = []
        self.nodes: dict[str, Running] = {}
        self._connections: list[Viewer] = []
        self._purge_delays = purge_delays
        self._skipped = 0.0
        self._ahead = dict.fromkeys(PARENTS, 0.0)
        self._relays: dict[str, Relay] = {}
        self._stacks: dict[str, AsyncExitStack] = {}
        self._due: list[tuple[float, asyncio.Event]] = []
        self._purging: set[asyncio.Task[None]] = set()

    def now(self) -> float:
        return time.time() + self._skipped

    # ---- building ----------------------------------------------------------------------------------------------

    async def start(self, stack: AsyncExitStack) -> None:
        origin: Origin = await stack.enter_async_context(running_origin())
        for target in TARGETS:
            origin.does(target.partition("?")[0], self._answer)
        for name, above in PARENTS.items():
            to = origin.url if above == "origin" else self.nodes[above].url
            self._relays[name] = await stack.enter_async_context(running_relay(to))
            self._stacks[name] = await stack.enter_async_context(AsyncExitStack())
            await self._start_node(name)

    async def _start_node(self, name: str, **addresses: str) -> None:
        node = running_node(
            self._relays[name].url, Behavior(path="*"), name=name, memory=6 * 1024, largest=6 * 1024,
            clock=lambda: self.now() + self._ahead[name], **addresses,
        )  # fmt: skip
        self.nodes[name] = await self._stacks[name].enter_async_context(node)

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        says = self.contents.said(asked.target)
        await self._until(self.now() + says.delay)
        if says.dies == "head":
            self._fault("silent", asked.target)
            writer.transport.abort()
            return
        answered = self.contents.answer(asked.method, asked.target, dict(asked.headers.lines), self.now())
        if answered.failed:
            self._fault("error", asked.target)
        await self._until(self.now() + says.late)
        lines = [f"HTTP/1.1 {answered.status} Test", *(f"{name}: {value}" for name, value in answered.fields.items())]
        chunked = "content-length" not in answered.fields and answered.status != 304
        if chunked:
            lines.append("transfer-encoding: chunked")
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        if not answered.body and asked.method == "HEAD":
            return
        half = len(answered.body) // 2
        for part in (answered.body[:half], answered.body[half:]) if answered.status < 400 else (answered.body,):
            writer.write(b"%x\r\n%b\r\n" % (len(part), part) if chunked and part else part)
            await writer.drain()
            if part is not answered.body and len(part) == half:
                await self._until(self.now() + TRANSFER)
                if says.dies == "body" and half:
                    self._fault("silent", asked.target)
                    writer.transport.abort()
                    return
        if chunked:
            writer.write(b"0\r\n\r\n")

    # ---- time --------------------------------------------------------------------------------------------------

    async def _until(self, instant: float) -> None:
        if instant > self.now():
            due = asyncio.Event()
            self._due.append((instant, due))
            await due.wait()

    async def _pass(self, until: float) -> None:
        """The clocks go to `until`, stopping where something is due."""
        while self._due and min(self._due)[0] <= max(until, self.now()):
            first = min(self._due, key=lambda one: one[0])
            self._due.remove(first)
            self._skipped += max(0.0, first[0] - self.now())
            first[1].set()
            await asyncio.sleep(SETTLE)
        self._skipped += max(0.0, until - self.now())

    async def finish(self) -> None:
        """Everybody is answered, or has left."""
        for _ in range(400):
            if all(seen.answers or seen.gone for seen in self.viewers) and not self._due and not self._purging:
                break
            await self._pass(min((instant for instant, _ in self._due), default=0.0))
            await asyncio.sleep(SETTLE)
        async with asyncio.timeout(GUARD_S):
            await asyncio.gather(*(viewer.done for viewer in self._connections))
        for seen in self.viewers:
            assert seen.answers or seen.gone, f"waits for ever: {seen}"

    # ---- the script --------------------------------------------------------------------------------------------

    async def take(self, step: Step) -> None:
        match step:
            case Wait():
                await self._pass(self.now() + step.seconds)
            case Ask():
                await self._viewer(step)
            case Say():
                self.contents.says[step.target] = step.says
            case Change():
                self.contents.version[step.target] = self.contents.version.get(step.target, 1) + 1
            case Leave():
                waiting = [i for i, viewer in enumerate(self._connections) if not viewer.done.done()]
                if waiting:
                    self._connections[waiting[step.which % len(waiting)]].leave()
            case Purge():
                task = asyncio.create_task(self._purge(step))
                self._purging.add(task)
                task.add_done_callback(self._purging.discard)
            case Link():
                self._fault("silent", *TARGETS)
                relay = self._relays[step.node]
                relay.mend() if step.up else relay.cut()
            case Restart():
                self._fault("silent", *TARGETS)
                old = self.nodes[step.node]
                await self._stacks[step.node].aclose()
                self._ahead[step.node] = step.ahead
                listen = {"listen": old.url.removeprefix("http://"), "admin": old.admin.removeprefix("http://")}
                await self._start_node(step.node, **listen)
                self._fault("silent", *TARGETS)
        await asyncio.sleep(SETTLE)

    async def answered(self) -> None:
        """Until everybody has a head; what a body waits for may still be due."""
        async with asyncio.timeout(GUARD_S):
            while not all(viewer.got.status for viewer in self._connections):  # noqa: ASYNC110  # protocols, no events
                await asyncio.sleep(SETTLE)

    async def _viewer(self, ask: Ask) -> None:
        host, _, port = self.nodes[ask.edge].url.removeprefix("http://").partition(":")
        seen = Seen(ask, self.now(), len(self.history.purges))
        make: Callable[[], Stamped] = partial(Stamped, seen, self.now)
        _, viewer = await asyncio.get_running_loop().create_connection(make, host, int(port))
        self.viewers.append(seen)
        self._connections.append(viewer)
        fields = {name.replace("-", "_"): value for name, value in fields_of(ask, self.contents).items()}
        viewer.ask(wire(ask.target, ask.method, **fields))
        viewer.done.add_done_callback(lambda _: self._seen(seen, viewer))

    def _seen(self, seen: Seen, viewer: Viewer) -> None:
        got = viewer.done.result()
        seen.status, seen.fields, seen.body, seen.whole = got.status, got.fields, got.body, got.whole
        if not all(relay.up for relay in self._relays.values()):
            self._fault("silent", *TARGETS)
        seen.answers = 1 if got.status else 0
        seen.gone = not got.status

    def judge(self) -> None:
        """Every answer, once all have been given."""
        for seen in self.viewers:
            if seen.answers:
                self.history.judge(seen)

    async def _purge(self, step: Purge) -> None:
        purged = Purged(step.kind, step.value, step.soft, 0.0)
        order = {
            PurgeKind.URL: {"url": step.value},
            PurgeKind.PREFIX: {"prefix": step.value},
            PurgeKind.SURROGATE_KEYS: {"surrogate_keys": step.value.split()},
            PurgeKind.EVERYTHING: {"everything": True},
        }[step.kind]

        async def one(name: str) -> None:
            await self._until(self.now() + self._purge_delays[name])
            began[name] = self.now()
            await self.nodes[name].purge(**order, soft=step.soft)
            done[name] = self.now()

        began: dict[str, float] = {}
        done: dict[str, float] = {}
        if step.order == "together":
            await asyncio.gather(*map(one, PARENTS))
        for name in ORDERS[step.order]:
            await one(name)
        purged.began = began["parent"]
        if step.order == "shields-first":
            purged.done = max(done.values())
        self.history.purges.append(purged)

    def _fault(self, how: str, *targets: str) -> None:
        self.history.faults += [(target, self.now(), how) for target in targets]


class Stamped(Viewer):
    """A viewer who looks at the clock when his answer's head comes."""

    def __init__(self, seen: Seen, now: Callable[[], float]) -> None:
        super().__init__()
        self._seen, self._now = seen, now

    def on_headers_complete(self) -> None:
        self._seen.at = self._now()
        super().on_headers_complete()


@asynccontextmanager
async def wire_lab(purge_delays: dict[str, float] | None = None) -> AsyncIterator[WireLab]:
    lab = WireLab(dict.fromkeys(PARENTS, 0.0) | (purge_delays or {}))
    async with AsyncExitStack() as stack:
        await lab.start(stack)
        yield lab
