"""The first attempt of a request, where it could be sent at once: on a connection that rested."""

from collections.abc import Callable
from functools import partial

from cdnkit.policy.http.messages import ResponseHead
from cdnkit.policy.outcomes import Failure
from cdnkit.policy.upstream.retry import Reach
from edge.errors import UpstreamFailed
from edge.parent.exchange import Exchange
from edge.parent.http1 import Http1Connection

FAREWELL = Failure.RESET, "408 on a kept connection", Reach.DROPPED


def is_farewell(response: ResponseHead, connection: Http1Connection) -> bool:
    """Whether the parent was tired of a connection that rested, and has not read what crossed with that (RFC 9110
    §15.5.9): as good as dead in silence, if the request may be asked again."""
    return response.status == 408 and connection.used and not connection.reusable


class Attempt:
    """A request that was sent at once on a kept connection (an `Asker`)."""

    __slots__ = ("_over", "_release", "connection", "exchange", "failure")

    def __init__(
        self,
        connection: Http1Connection,
        release: Callable[[Http1Connection], None],
        over: Callable[["Attempt"], None],
    ) -> None:
        """`release` takes the connection back; `over` is called when the head has come, or none will."""
        self.connection = connection
        self.exchange: Exchange | None = None
        self.failure: UpstreamFailed | None = None
        self._release = release
        self._over: Callable[[Attempt], None] | None = over

    def on_head(self, head: ResponseHead) -> None:
        if is_farewell(head, self.connection):
            self.failure = UpstreamFailed(*FAREWELL)
        else:
            self.exchange = Exchange(head, self.connection.incoming, partial(self._release, self.connection))
        self._report()

    def on_failure(self, failure: UpstreamFailed) -> None:
        self.failure = failure
        self._report()

    def _report(self) -> None:
        over, self._over = self._over, None  # which leads to us: without it, the collector need not look
        if over is not None:
            over(self)

    def give_up(self) -> None:
        """Nobody wants the response any more, and none has come."""
        self._over = None
        self._release(self.connection)
