"""A worker's process: `python -P -m edge.workers.worker`, as a lead spawns it (`edge/workers/crew.py`).

Standard input holds its `Commission`, pickled: from its lead, and from nobody else. It ends when the link to the lead
does, at once; when the lead says so, or at SIGTERM, after it has drained its connections.
"""

import asyncio
import logging
import mmap
import pickle
import signal
import socket
import sys
from functools import partial

from cdnkit.policy.gate.hosts import Hosts
from cdnkit.policy.store.changes import Seen, cells_needed
from cdnkit.serving import Listener
from cdnkit.serving.asgi_socket import Caller
from cdnkit.vendors import PROFILES
from edge.blind import blind_as
from edge.collector import left_out, settled
from edge.driver import Driver
from edge.log import RecordLog
from edge.node_parts import limits_of, log_of, machine_of, viewers_of
from edge.parents import Parents
from edge.record_files import of_worker
from edge.services import Services
from edge.tls import context_of
from edge.workers import messages
from edge.workers.asides import read_aside
from edge.workers.commission import Commission
from edge.workers.front import WorkerFront
from edge.workers.replica import Replica, ReplicaRoom, Replicas, ReplicaStore, Uses

logger = logging.getLogger("cdnlab.edge")

TOLD_S = 0.1
"""How often the lead is told which stored responses were used."""
STATE_S = 1.0
"""How often the lead is told that the worker lives."""


class Worker:
    """One worker, from its commission to its end."""

    def __init__(self, commission: Commission, over: asyncio.Event) -> None:
        """`over`: it is to drain."""
        self._commission = commission
        self._over = over
        self._lost = False
        node, services = commission.node, commission.services
        clock = commission.clock
        viewers = viewers_of(node, commission.geo, gate=services[0].service.gate)
        self._caller = Caller(on_note=self._on_message, on_lost=self._lose, on_aside=self._learn)
        room = int(node.memory) // len(services) // node.workers
        self._logs: list[RecordLog] = []
        drivers: dict[str, Driver] = {}
        replicas: list[Replica] = []
        for one in services:
            uses: Uses = {}
            file = None if one.records is None else of_worker(one.records, commission.number)
            log, store = log_of(node, len(services), file), ReplicaStore()
            machine = machine_of(node, one.service, PROFILES[one.profile], one.keys, partial(ReplicaRoom, room, uses))
            self._logs.append(log)
            # It is only asked for hits, and so has no parents.
            drivers[one.name] = Driver(machine, Parents(()), viewers, log, clock, store, None, node.limits)
            replicas.append(Replica(machine, store, uses))
        self._services = Services(drivers, Hosts({one.name: one.hostnames for one in services}), viewers)
        cells = memoryview(mmap.mmap(commission.page, 8 * cells_needed(len(services)), prot=mmap.PROT_READ)).cast("Q")
        self._replicas = Replicas(replicas, Seen(cells, len(services)))
        self._front = WorkerFront(self._services, viewers, self._replicas, self._tell_used)
        self._tls = None if len(commission.doors) == 1 else context_of(node, clock)

    async def run(self) -> None:
        await self._caller.start(socket.socket(fileno=self._commission.link))
        tasks = [
            asyncio.create_task(work) for work in (self._tell_later(), self._tell_state(), *map(_flush, self._logs))
        ]
        listeners: list[Listener] = []
        try:
            for descriptor, tls in zip(self._commission.doors, (None, self._tls), strict=False):
                listeners.append(self._listener("" if tls is None else self._commission.alt_svc))
                await listeners[-1].start(socket.socket(fileno=descriptor), tls)
            with left_out(self._services.tables):
                settled(lambda _: self._caller.tell(messages.READY))({})
                await self._over.wait()
            if not self._lost:
                await asyncio.gather(*(listener.close() for listener in listeners))
        finally:
            for task in tasks:
                task.cancel()
            self._tell_used()
            for log in self._logs:
                log.close()
            await self._caller.close()

    def _listener(self, alt_svc: str) -> Listener:
        page = self._services.default.unreadable
        return Listener(
            self._caller, logger, date_header=False, limits=limits_of(self._commission.node), page=page,
            front=self._front, alt_svc=alt_svc,
        )  # fmt: skip

    def _learn(self, _: object, octets: bytes) -> None:
        self._replicas.learn(read_aside(octets))

    def _on_message(self, octets: bytes) -> None:
        if octets == messages.CLOSE:
            self._over.set()

    def _lose(self, _: str) -> None:
        self._lost = True
        self._over.set()

    def _tell_used(self) -> None:
        used = self._replicas.take_uses()
        if used:
            self._caller.tell(messages.USED + messages.encoded(used))

    async def _tell_later(self) -> None:
        while True:
            await asyncio.sleep(TOLD_S)
            self._tell_used()

    async def _tell_state(self) -> None:
        while True:
            drivers = self._services.drivers.values()
            state = messages.State(
                hits=self._front.hits,
                copies=len(self._replicas),
                memory_bytes=sum(driver.store.memory_bytes for driver in drivers),
                emptied=self._replicas.emptied,
                lost_records=sum(log.lost for log in self._logs),
                records_failing=next((log.failing for log in self._logs if log.failing), ""),
            )
            self._caller.tell(messages.STATE + messages.encoded(state))
            await asyncio.sleep(STATE_S)


async def _flush(log: RecordLog) -> None:
    while True:
        await log.flush_later()


async def _live(commission: Commission) -> None:
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    await Worker(commission, over).run()


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the lead says when to end
    handed = sys.stdin.buffer.read()
    if not handed:
        return  # the lead is gone already
    commission: Commission = pickle.loads(handed)
    blind_as(commission.blind)
    logging.basicConfig(level=commission.log_level, format="%(message)s")
    with asyncio.Runner(loop_factory=_uvloop if commission.uvloop else None) as runner:
        runner.run(_live(commission))


def _uvloop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


if __name__ == "__main__":
    main()
