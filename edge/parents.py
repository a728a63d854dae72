"""The parents of a node, one behind another: which of them is asked, and when the next one is.

`policy/failover.py` says when; here it is done. What a parent answered that another is asked instead of is thrown away,
and its connection kept if nothing more was to come.
"""

from collections.abc import AsyncIterator, Sequence

from edge.errors import UpstreamFailed
from edge.parent.exchange import Exchange, OnInterim
from edge.upstream import Upstream
from policy.failover import fails_over
from policy.messages import RequestHead


class Parents:
    """One parent or several, asked as if they were one."""

    def __init__(self, upstreams: Sequence[Upstream], statuses: frozenset[int] = frozenset()) -> None:
        """`upstreams`: at least one, in the order in which they are asked. `statuses`: those that fail over."""
        self._upstreams = tuple(upstreams)
        self._statuses = statuses

    @property
    def url(self) -> str:
        """Of the first."""
        return self._upstreams[0].url

    async def exchange(
        self,
        request: RequestHead,
        body: AsyncIterator[bytes] | None = None,
        *,
        body_length: int | None = None,
        on_interim: OnInterim | None = None,
    ) -> Exchange:
        """As `Upstream.exchange`, of the first parent that gives an answer to keep; else what the last one gave."""
        *others, last = self._upstreams
        for upstream in others:
            try:
                exchange = await upstream.exchange(request, body, body_length=body_length, on_interim=on_interim)
            except UpstreamFailed as failed:
                if not fails_over(request.method, failed.why, self._statuses, body=body is not None):
                    raise
                continue
            if not fails_over(request.method, exchange.head.status, self._statuses, body=body is not None):
                exchange.parent = upstream.url
                return exchange
            exchange.close()
        exchange = await last.exchange(request, body, body_length=body_length, on_interim=on_interim)
        if others:
            exchange.parent = last.url
        return exchange

    async def close(self) -> None:
        """Hang up on all of them."""
        for upstream in self._upstreams:
            await upstream.close()
