"""One exchange on an HTTP/2 connection."""

import asyncio
from typing import Protocol

from cdnkit.policy.http.messages import ResponseHead
from cdnkit.policy.outcomes import Failure
from cdnkit.policy.rules.profile import Waits
from edge.bodies import WINDOW_BYTES
from edge.errors import UpstreamFailed
from edge.parent.deadline import Deadline
from edge.parent.exchange import Incoming, OnInterim


class Connection(Protocol):
    """What a stream needs of the connection that it is on."""

    waits: Waits
    bytes_received: int

    def open_window(self, stream: "Stream") -> None:
        """The reader has taken enough for the parent to send more."""

    def cut(self, stream: "Stream", why: Failure, detail: str) -> None:
        """Fail the exchange; the connection goes on."""

    def leave(self) -> None:
        """Take no more exchanges."""


class Stream:
    """The state of one exchange: its connection fills it, its reader empties it."""

    def __init__(self, connection: Connection, method: str, on_interim: OnInterim | None) -> None:
        loop = asyncio.get_running_loop()
        self.id = 0
        self.connection = connection
        self.head: asyncio.Future[ResponseHead] = loop.create_future()
        self.incoming = Incoming(self.consumed)
        self.deadline = Deadline(loop, self.late)
        self.late_for = Failure.FIRST_BYTE_TIMEOUT
        self.bodiless = method == "HEAD"
        self.on_interim = on_interim
        self.left: int | None = None
        """Bytes its Content-Length still promises; None without one."""
        self.head_bytes = 0
        self.to_return = 0
        """Bytes taken from its window and not given back yet."""
        self.remote_ended = False
        self.sending: asyncio.Task[None] | None = None
        self.may_send: asyncio.Future[None] | None = None
        self.seen_bytes = connection.bytes_received
        self.unprocessed = False
        """The parent has not acted on it, so that sending it again is harmless (RFC 9113 §8.7)."""

    @property
    def over(self) -> bool:
        return self.incoming.ended or self.incoming.failure is not None

    def wait(self, seconds: float, why: Failure) -> None:
        self.late_for = why
        self.deadline.set(seconds)

    def go_on(self) -> None:
        """More is to come. While its reader leaves the window full, the parent is not late."""
        if self.over:
            return
        if self.incoming.queued_bytes < WINDOW_BYTES // 2:
            self.wait(self.connection.waits.between_bytes, Failure.BETWEEN_BYTES_TIMEOUT)
        else:
            self.deadline.clear()

    def late(self) -> None:
        if self.connection.bytes_received == self.seen_bytes:
            # Not even a PING came since it was asked: better to ask the next one on another connection.
            self.connection.leave()
        self.connection.cut(self, self.late_for, "nothing came in time")

    def consumed(self, size: int) -> None:
        self.to_return += size
        if self.to_return >= WINDOW_BYTES // 2 and not self.remote_ended:
            self.connection.open_window(self)
        if not self.over:
            self.go_on()

    def fail(self, failure: UpstreamFailed) -> None:
        if not self.head.done():
            self.head.set_exception(failure)
            self.head.exception()  # retrieved: its asker may just have been cancelled
        if not self.over:
            self.incoming.fail(failure)
        self.deadline.stop()
        self.wake_sender()

    def wake_sender(self) -> None:
        waiter, self.may_send = self.may_send, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
