"""The lead's workers: spawned, watched, spawned again when they die, drained at the end.

Each has listening sockets of its own, on the same ports as the lead's; the kernel spreads the connections over all
(SO_REUSEPORT). The lead keeps them open, too: while a worker is away, its connections wait in their backlog.

    spawn ─► its first note: it accepts connections ─► it ends, or says nothing for HUNG_S (then it is killed) ─► spawn

A worker has a link to the lead and nothing else that holds it. When the link ends, so does the worker.
"""

import asyncio
import logging
import pickle
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import msgspec

from cdnkit.serving.asgi_socket import Answerer
from edge.background import Background
from edge.blind import blind_of_this_process
from edge.errors import EdgeError
from edge.workers import messages
from edge.workers.commission import Commission, Given
from edge.workers.lead import Lead

logger = logging.getLogger("cdnlab.edge")

START_S = 60.0
"""How long a worker may take until it accepts connections: half a second of CPU, on a machine that is busy."""
HUNG_S = 30.0
"""A worker that says nothing for so long is killed; it says something each second."""
LOOK_S = 1.0
"""How often that is looked after."""
AWAY_S = 5.0
"""A lead that looks so late has hung itself, and says nothing of its workers."""
END_S = 5.0
"""How long a worker may take to drain; then it is killed."""
PUBLISH_S = 0.05
"""How often the workers learn how many events are over: the `seq` of their records is at most so much behind."""


@dataclass
class WorkerEnded(EdgeError):
    """A worker is gone."""

    why: str

    def __str__(self) -> str:
        return self.why


class Crew:
    """All workers of a node."""

    def __init__(self, lead: Lead, given: Given) -> None:
        self._lead = lead
        self._doors = given.doors
        level, uvloop = logger.getEffectiveLevel(), type(asyncio.get_running_loop()).__module__.startswith("uvloop")
        commissions = [
            Commission(
                number, given.node, given.geo, given.services, given.clock, given.alt_svc, blind_of_this_process(),
                level, uvloop, tuple(door.fileno() for door in doors), given.page, -1,
            )
            for number, doors in enumerate(given.doors, start=2)
        ]  # fmt: skip
        self._workers = [Worker(one, lead) for one in commissions]

    async def start(self, background: Background) -> None:
        """Until all accept connections. WorkerEnded: one of them cannot."""
        await asyncio.gather(*(worker.begin() for worker in self._workers))
        for worker in self._workers:
            background.keep(f"worker {worker.number}", worker.live)
        background.keep("events that are over", self._publish)

    def health(self) -> list[dict[str, Any]]:
        return [worker.health() for worker in self._workers]

    async def close(self) -> None:
        """Drain them."""
        for door in chain(*self._doors):
            door.close()
        await asyncio.gather(*(worker.close() for worker in self._workers))

    async def _publish(self) -> None:
        self._lead.publish()
        await asyncio.sleep(PUBLISH_S)


class Worker:
    """One of them, as the lead sees it."""

    def __init__(self, commission: Commission, lead: Lead) -> None:
        self.number = commission.number
        self._commission = commission
        self._lead = lead
        self._process: Process | None = None
        self._answerer: Answerer | None = None
        self._ready: asyncio.Future[None] | None = None
        self._heard = 0.0
        self._state: messages.State | None = None
        self._lives = 0
        self._closing = False

    async def live(self) -> None:
        """A step: it begins, or else until it ends."""
        if self._closing:
            await asyncio.Event().wait()
        if self._process is None:
            await self.begin()
            return
        raise WorkerEnded(await self._end())

    async def begin(self) -> None:
        """Spawn it, until it accepts connections."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        commission = replace(self._commission, link=theirs.fileno())
        ready = self._ready = loop.create_future()
        answerer = self._answerer = Answerer(self._lead, logger, on_note=self._on_message, on_lost=_nothing)
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-P", "-m", "edge.workers.worker",
                    stdin=PIPE, stdout=DEVNULL, pass_fds=commission.descriptors, start_new_session=True,
                )  # fmt: skip
        except OSError:
            ours.close()
            raise
        self._process, self._heard = process, loop.time()
        self._lives += 1
        await answerer.start(ours)
        assert process.stdin is not None
        with suppress(ConnectionError):
            process.stdin.write(pickle.dumps(commission))
            await process.stdin.drain()
            process.stdin.close()
        ended = asyncio.ensure_future(process.wait())
        await asyncio.wait({ready, ended}, timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            why = f"ended with status {ended.result()}" if ended.done() else f"did nothing for {START_S:g} s"
            await self._kill()
            raise WorkerEnded(f"worker {self.number}: {why} before it accepted connections")
        ended.cancel()

    async def _end(self) -> str:
        """Until it ends; why."""
        process = self._process
        assert process is not None
        why, now = "", asyncio.get_running_loop().time
        while process.returncode is None and not why:
            looked = now()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await process.wait()
            if now() - looked > AWAY_S:
                # It was the lead that hung, or was stopped: what was said meanwhile is not read yet.
                self._heard = now()
            elif now() - self._heard > HUNG_S:
                why = f"said nothing for {HUNG_S:g} s and was killed"
        if self._closing:
            await asyncio.Event().wait()
        await self._kill()
        return why or f"ended with status {process.returncode}"

    def health(self) -> dict[str, Any]:
        return {
            "worker": self.number,
            "pid": None if self._process is None else self._process.pid,
            "restarts": max(0, self._lives - 1),
            **({} if self._state is None else msgspec.structs.asdict(self._state)),
        }

    async def close(self) -> None:
        self._closing = True
        if self._answerer is not None and self._process is not None:
            self._answerer.tell(messages.CLOSE)
            with suppress(TimeoutError):
                async with asyncio.timeout(END_S):
                    await self._process.wait()
        await self._kill()

    async def _kill(self) -> None:
        """It is gone, and its link."""
        process, self._process, self._state = self._process, None, None
        answerer, self._answerer = self._answerer, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if answerer is not None:
            await answerer.close()

    def _on_message(self, octets: bytes) -> None:
        self._heard = asyncio.get_running_loop().time()
        letter, rest = octets[:1], octets[1:]
        if letter == messages.USED:
            self._lead.used(messages.read_used(rest))
        elif letter == messages.STATE:
            self._state = messages.read_state(rest)
        elif self._ready is not None and not self._ready.done():
            self._ready.set_result(None)


def _nothing(_: str) -> None:
    """The process's end is noticed by itself."""
