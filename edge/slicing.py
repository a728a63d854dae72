"""An answer put together from slices: block after block through the node's own machine, each recorded as a request.

The next block is asked for while the one before is sent, so that a viewer waits for the parent once and not at every
seam. What belongs together is `cdnkit/policy/store/slices.py`'s to say.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.outcomes import Outcome
from cdnkit.policy.plan import Refuse, Relay, Serve
from cdnkit.policy.record.lines import RequestRecord
from cdnkit.policy.store.slices import Assembly, Block
from edge.bodies import BodyBroken, Reader
from edge.viewer import Viewer

Answered = tuple[Serve | Relay | Refuse, Reader | None]
"""A final answer, and the place in its body from which to send."""


class Node(Protocol):
    """What an assembly needs of the node it runs on."""

    async def ask(self, request: RequestHead, viewer: Viewer) -> tuple[Answered, RequestRecord] | None: ...
    def write(self, record: RequestRecord, request: RequestHead) -> None: ...


@dataclass(slots=True)
class Got:
    """What a request for a block was answered with."""

    answer: Serve | Relay | Refuse
    reader: Reader | None
    record: RequestRecord
    request: RequestHead


class Slicing:
    """One assembly under way."""

    def __init__(self, node: Node, viewer: Viewer, assembly: Assembly, record: RequestRecord) -> None:
        """`record` is the viewer's: it is a hit only if every block was."""
        self._node = node
        self._viewer = viewer
        self._assembly = assembly
        self._record = record
        self._held: list[Got] = []
        self._ahead: asyncio.Task[Got | None] | None = None

    async def begin(self, machine: EdgeMachine, clock: Callable[[], float]) -> Answered | None:
        """The head, by the opening block; None when the viewer left before it came."""
        got = await self._ask(self._assembly.opening_request())
        if got is None:
            return None
        answer = machine.assembled(self._assembly, got.answer, clock())
        if answer is None:
            self._let_go(got)
            got = await self._ask(self._assembly.whole_request())
            return None if got is None else (got.answer, got.reader)
        if got.reader is None or isinstance(answer, Refuse) or not answer.body:
            return answer, None
        if isinstance(answer, Serve) and answer.blocks is None:
            got.reader.position = answer.span.start if answer.span is not None else 0
        return answer, got.reader

    async def read(self, blocks: Iterator[Block]) -> AsyncIterator[bytes]:
        """The bytes of the blocks, in order; BodyBroken when one does not come, or is not of the same version."""
        got: Got | None = self._held[0]
        block = next(blocks, None)
        if got is not None and block is not None and got.request.block != block.number:
            self._let_go(got)
            got = await self._ask(self._assembly.block_request(block.number))
        while block is not None:
            if got is None:
                return
            entry = got.answer.entry if isinstance(got.answer, Serve) else None
            place = self._assembly.locate(entry, block.span) if entry is not None else None
            if got.reader is None or place is None:
                raise BodyBroken
            following = next(blocks, None)
            if following is not None:
                self._ahead = asyncio.create_task(self._ask(self._assembly.block_request(following.number)))
            got.reader.position = place.start
            async for piece in got.reader.read(place.stop):
                got.record.bytes_sent += len(piece)
                yield piece
            if got.record.bytes_sent < place.stop - place.start:
                raise BodyBroken
            self._let_go(got)
            got = await self._ahead if self._ahead is not None else None
            self._ahead, block = None, following

    def leave(self) -> None:
        """The viewer is answered, or gone."""
        if self._ahead is not None:
            self._ahead.cancel()
        for got in tuple(self._held):
            self._let_go(got)

    async def _ask(self, request: RequestHead) -> Got | None:
        given = await self._node.ask(request, self._viewer)
        if given is None:
            return None
        (answer, reader), record = given
        got = Got(answer, reader, record, request)
        self._held.append(got)
        if self._record.outcome is Outcome.HIT and record.outcome is not Outcome.HIT:
            self._record.outcome, self._record.cause, self._record.fetch = record.outcome, record.cause, record.fetch
        return got

    def _let_go(self, got: Got) -> None:
        self._held.remove(got)
        if got.reader is not None:
            got.reader.leave()
        self._node.write(got.record, got.request)
