"""A response that is assembled from slices: each block is a request of the node's own to its machine, with a record.

The next block is requested while the one before is sent, so that a viewer waits for the parent once and not at every
seam. Which blocks belong together, `cdnkit/policy/store/slices.py` says.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.outcomes import Outcome
from cdnkit.policy.plan import Refuse, Serve
from cdnkit.policy.record.lines import RequestRecord
from cdnkit.policy.store.slices import Assembly, Block
from edge.bodies import BodyBroken
from edge.recorder import Recorder
from edge.response import Head, Response
from edge.responses import Responses
from edge.viewer import Viewer


@dataclass(slots=True)
class BlockResponse:
    """The response to a request for one block; its record is written when the block has been sent."""

    request: RequestHead
    response: Response
    record: RequestRecord


class Blocks:
    """One node's requests for blocks."""

    def __init__(
        self, machine: EdgeMachine, responses: Responses, recorder: Recorder, clock: Callable[[], float]
    ) -> None:
        self._machine = machine
        self._clock = clock
        self._responses = responses
        self._recorder = recorder

    async def request(self, request: RequestHead, viewer: Viewer) -> BlockResponse | None:
        """None: the viewer left before the block came."""
        now = self._clock()
        plan = self._machine.on_request(request, now)
        record = self._recorder.request(request, plan, now)
        response: Response | None = None
        try:
            response = await self._responses.get(request, plan, viewer)
            if response is None:
                record.aborted = True
                return None
            self._recorder.responded(record, response, request.path)
            return BlockResponse(request, response, record)
        finally:
            if response is None:
                self._recorder.write(record, request)

    def head(self, assembly: Assembly, opening: BlockResponse) -> Head | None:
        """The head of what is assembled, as its opening block makes it; None: that cannot be assembled."""
        return self._machine.assembled(assembly, opening.response.head, self._clock())

    def end(self, block: BlockResponse) -> None:
        """It has been sent, or is not wanted any more."""
        block.response.leave()
        self._recorder.write(block.record, block.request)


class AssembledResponse:
    """One assembly under way, for one viewer."""

    def __init__(self, blocks: Blocks, viewer: Viewer, assembly: Assembly, record: RequestRecord) -> None:
        """`record` is the viewer's: it is a hit only if every block was."""
        self._blocks = blocks
        self._viewer = viewer
        self._assembly = assembly
        self._record = record
        self._open: list[BlockResponse] = []
        self._ahead: asyncio.Task[BlockResponse | None] | None = None

    async def begin(self) -> Response | None:
        """The response, as the opening block makes it; None: the viewer left before that came."""
        opening = await self._request(self._assembly.opening_request())
        if opening is None:
            return None
        head = self._blocks.head(self._assembly, opening)
        if head is None:
            self._end(opening)
            whole = await self._request(self._assembly.whole_request())
            return None if whole is None else whole.response
        reader = opening.response.reader
        if reader is None or isinstance(head, Refuse) or not head.body:
            return Response(head)
        if isinstance(head, Serve) and head.blocks is not None:
            return Response(head, reader, self._read(opening, head.blocks))
        if isinstance(head, Serve):
            reader.position = head.span.start if head.span is not None else 0
        return Response(head, reader)

    async def _read(self, opening: BlockResponse, blocks: Iterator[Block]) -> AsyncIterator[bytes]:
        """The bytes of the blocks, in order; BodyBroken when one does not come, or is not of the same version."""
        current: BlockResponse | None = opening
        block = next(blocks, None)
        if block is not None and opening.request.block != block.number:
            self._end(opening)
            current = await self._request(self._assembly.block_request(block.number))
        while block is not None:
            if current is None:
                return
            head, reader = current.response.head, current.response.reader
            place = self._assembly.locate(head.entry, block.span) if isinstance(head, Serve) else None
            if reader is None or place is None:
                raise BodyBroken
            following = next(blocks, None)
            if following is not None:
                self._ahead = asyncio.create_task(self._request(self._assembly.block_request(following.number)))
            reader.position = place.start
            async for piece in reader.read(place.stop):
                current.record.bytes_sent += len(piece)
                yield piece
            if current.record.bytes_sent < place.stop - place.start:
                raise BodyBroken
            self._end(current)
            current = await self._ahead if self._ahead is not None else None
            self._ahead, block = None, following

    def leave(self) -> None:
        """The viewer has its response, or is gone."""
        if self._ahead is not None:
            self._ahead.cancel()
        for block in tuple(self._open):
            self._end(block)

    async def _request(self, request: RequestHead) -> BlockResponse | None:
        block = await self._blocks.request(request, self._viewer)
        if block is None:
            return None
        self._open.append(block)
        of_block = block.record
        if self._record.outcome is Outcome.HIT and of_block.outcome is not Outcome.HIT:
            self._record.outcome, self._record.cause, self._record.fetch = (
                of_block.outcome, of_block.cause, of_block.fetch,
            )  # fmt: skip
        return block

    def _end(self, block: BlockResponse) -> None:
        self._open.remove(block)
        self._blocks.end(block)
