"""A request that waits for a fill, or whose body still comes: it leaves by its front, and no task is under way for it.

    AtOnce ─► Waiter ─► a ticket ─► `put`, at the landing ─► its turn (wakes.py) ─┬─ all there: one write
                                                                                ├─ a body that comes: piece by piece
                                                                                └─ what takes more: a task, as ever

A thousand that wait for the same have one head, made once, and one body. Each has a record and a pace of its own.
"""

import logging

from cdnkit.policy.http.messages import Lines
from cdnkit.policy.plan import Serve
from cdnkit.serving import Later, Outlet
from edge.bodies import BodyBroken
from edge.driver import Decided
from edge.errors import EdgeError
from edge.response import Response
from edge.services import DECIDED
from edge.token_children import passes_unchanged
from edge.wakes import Wakes
from edge.whole import AnswerAtOnce, wire_head

logger = logging.getLogger("cdnlab.edge")


class Waiter(Later):
    """One of them: a ticket's `Recipient`, a body's `Hungry` reader, a `Sleeper`."""

    __slots__ = ("_decided", "_outlet", "_response", "_started", "_wakes")

    def __init__(self, decided: Decided, wakes: Wakes) -> None:
        self._decided = decided
        self._wakes = wakes
        self._outlet: Outlet | None = None
        """None: nobody is there any more, or something else took over."""
        self._response = decided.begun
        self._started = False
        """Its head is written."""

    # ---- the front's side ------------------------------------------------------------------------------------------

    def begin(self, outlet: Outlet) -> None:
        self._outlet = outlet
        if self._response is not None:
            self._wakes.add(self)
        else:
            self._decided.driver.wait(self._decided, self)

    def on_room(self) -> None:
        self._wakes.add(self)

    def on_sent(self) -> None:
        self._over()

    def on_left(self, why: str) -> None:
        decided, response = self._decided, self._response
        decided.driver.stop_waiting(decided)
        record = decided.record
        if response is not None and not self._started:
            decided.driver.recorder.responded(record, response, decided.public.path)
        record.aborted, record.reason = True, why or record.reason
        self._over()

    # ---- the fill's side -------------------------------------------------------------------------------------------

    def put(self, response: Response) -> None:
        self._response = response
        self._wakes.add(self)

    def fail(self, error: EdgeError) -> None:
        logger.error("%s: %s", self._decided.public.path, error)
        self._fail()

    def interim(self, status: int, fields: Lines) -> None:
        if self._outlet is not None:
            self._outlet.interim(status, fields)

    def on_more(self) -> None:
        self._wakes.add(self)

    # ---- the response ----------------------------------------------------------------------------------------------

    def on_wake(self) -> None:
        if self._outlet is None:
            return
        try:
            if self._started:
                self._write()
            else:
                self._respond()
        except Exception:
            self._fail()
            raise

    def _respond(self) -> None:
        outlet, decided, response = self._outlet, self._decided, self._response
        assert outlet is not None and response is not None
        if not self._goes_by_itself(response):
            decided.begun, self._outlet = response, None
            outlet.call({"type": "http", "path": decided.public.path, DECIDED: decided})
            return
        decided.driver.recorder.responded(decided.record, response, decided.public.path)
        wire = wire_head(response.head, decided.request.version)
        if wire.length is not None or decided.request.version == "2":
            body = response.take_whole(head_only=decided.request.method == "HEAD")
            if body is not None:
                response.leave()
                self._outlet = None
                outlet.whole(AnswerAtOnce(decided, wire.head, body, ends=wire.ends))
                return
        self._started = True
        outlet.start(wire.head, wire.length, ends=wire.ends)
        self._write()

    def _goes_by_itself(self, response: Response) -> bool:
        """Whether nothing of it takes a task: a body that is to be loaded, or changed, or sent in parts."""
        decided, head = self._decided, response.head
        if decided.debug is not None:
            return False
        if isinstance(head, Serve) and (head.pieces is not None or (head.body and response.reader is None)):
            return False
        admitted = decided.plan.admitted
        return admitted is None or passes_unchanged(admitted.inherited, response)

    def _write(self) -> None:
        """What has come of the body, as far as the client takes it."""
        outlet, response, record = self._outlet, self._response, self._decided.record
        if outlet is None:
            return
        assert response is not None
        try:
            while not outlet.full:
                piece = response.take()
                if piece:
                    record.bytes_sent += len(piece)
                    outlet.write(piece)
                    continue
                if not response.is_over():
                    response.call(self)
                    return
                outlet.end()
                return
        except BodyBroken as broken:
            record.aborted, record.reason = True, str(broken)
            self._fail()

    def _fail(self) -> None:
        outlet = self._outlet
        if outlet is not None:
            self._over()
            outlet.fail()

    def _over(self) -> None:
        self._outlet = None
        response, decided = self._response, self._decided
        if response is not None:
            response.leave(self)
        decided.driver.recorder.write(decided.record, decided.public)
