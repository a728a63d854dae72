"""The parents of a node, in order: which of them a request goes to, and when it goes to the next one.

    cdnkit/policy/upstream/health.py     may this parent be asked at all?       here: the first that may
    cdnkit/policy/upstream/retry.py   once more, of the same parent?         upstream.py
    cdnkit/policy/upstream/failover.py   now of the next parent?                here

When the next parent is asked, the response of the one before is discarded; its connection is kept if that was whole.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import Failure
from cdnkit.policy.upstream.failover import fails_over
from cdnkit.policy.upstream.health import Health, Trial, assess
from edge.errors import UpstreamFailed
from edge.parent.exchange import Exchange, OnInterim
from edge.upstream import Upstream


@dataclass(slots=True)
class Parent:
    """One parent and its health."""

    upstream: Upstream
    health: Health = field(default_factory=Health)


class Parents:
    """One parent or several, asked as if they were one."""

    def __init__(
        self, parents: Sequence[Parent], statuses: frozenset[int] = frozenset(), checks: Sequence[Upstream] = ()
    ) -> None:
        """`parents`: at least one, in the order in which they are asked. `statuses`: those that fail over. `checks`:
        the connections of their health checks, closed together with theirs."""
        self._parents = tuple(parents)
        self._statuses = statuses
        self._clock = asyncio.get_running_loop().time
        self._checks = tuple(checks)

    @property
    def url(self) -> str:
        """Of the first."""
        return self._parents[0].upstream.url

    def sick(self) -> list[str]:
        """URLs of those that are not asked now."""
        now = self._clock()
        return [parent.upstream.url for parent in self._parents if parent.health.sick(now)]

    async def exchange(
        self,
        request: RequestHead,
        body: AsyncIterator[bytes] | None = None,
        *,
        body_length: int | None = None,
        on_interim: OnInterim | None = None,
    ) -> Exchange:
        """As `Upstream.exchange`, with the first parent whose response does not fail over, or else with the last one.

        A parent that is sick is left out; if all are, the exchange fails at once.
        """
        others = self._well()
        asked = next(others, None)
        if asked is None:
            raise UpstreamFailed(Failure.SICK, f"left alone: {', '.join(self.sick())}")
        while True:
            parent, trial = asked
            came: int | Failure
            good = None
            try:
                exchange = await parent.upstream.exchange(request, body, body_length=body_length, on_interim=on_interim)
                came, failure = exchange.head.status, None
                good = assess(came)
            except UpstreamFailed as failed:
                came, failure = failed.why, failed
                good = assess(came, failed.reach)
            finally:
                parent.health.on_result(trial, good, self._clock())
            over = fails_over(request.method, came, self._statuses, body=body is not None)
            asked = next(others, None) if over else None
            if asked is None:
                if failure is not None:
                    raise failure
                if len(self._parents) > 1:
                    exchange.parent = parent.upstream.url
                return exchange
            if failure is None:
                exchange.close()

    def _well(self) -> Iterator[tuple[Parent, Trial]]:
        """Those that may be asked, in order, each looked at when its turn comes."""
        for parent in self._parents:
            trial = parent.health.start_trial(self._clock())
            if trial is not None:
                yield parent, trial

    async def close(self) -> None:
        """Hang up on all of them."""
        for one in (*(parent.upstream for parent in self._parents), *self._checks):
            await one.close()
