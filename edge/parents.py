"""The parents of a node, in order: which of them a request goes to, and when it goes to the next one.

    cdnkit/policy/upstream/health.py     may this parent be asked at all?       here: the first that may
    cdnkit/policy/upstream/retry.py   once more, of the same parent?         upstream.py
    cdnkit/policy/upstream/failover.py   now of the next parent?                here

When the next parent is asked, the response of the one before is discarded; its connection is kept if that was whole.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import Failure
from cdnkit.policy.upstream.failover import fails_over
from cdnkit.policy.upstream.health import Health, Trial, assess
from edge.errors import UpstreamFailed
from edge.parent.attempt import Attempt
from edge.parent.exchange import Exchange, OnInterim
from edge.upstream import Upstream


@dataclass(slots=True)
class Parent:
    """One parent and its health."""

    upstream: Upstream
    health: Health = field(default_factory=Health)


class Asked:
    """A request that was sent at once to the first parent that may be asked."""

    __slots__ = ("parent", "trial", "tried")

    def __init__(self, parent: Parent, trial: Trial) -> None:
        self.parent, self.trial = parent, trial
        self.tried: Attempt | None = None


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
        begun: Asked | None = None,
    ) -> Exchange:
        """As `Upstream.exchange`, with the first parent whose response does not fail over, or else with the last one.

        A parent that is sick is left out; if all are, the exchange fails at once. `begun`: the first that was asked.
        """
        others = self._well(after=None if begun is None else begun.parent)
        asked = next(others, None) if begun is None else (begun.parent, begun.trial)
        if asked is None:
            raise UpstreamFailed(Failure.SICK, f"left alone: {', '.join(self.sick())}")
        while True:
            parent, trial = asked
            came: int | Failure
            good = None
            try:
                if begun is not None and begun.tried is not None and begun.tried.exchange is not None:
                    exchange = begun.tried.exchange
                else:
                    exchange = await parent.upstream.exchange(
                        request, body, body_length=body_length, on_interim=on_interim,
                        begun=None if begun is None else begun.tried,
                    )  # fmt: skip
                came, failure = exchange.head.status, None
                good = assess(came)
            except UpstreamFailed as failed:
                came, failure = failed.why, failed
                good = assess(came, failed.reach)
            finally:
                parent.health.on_result(trial, good, self._clock())
                begun = None
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

    def begin(
        self, request: RequestHead, on_interim: OnInterim, came: Callable[[Exchange | Asked], None]
    ) -> Asked | None:
        """Send a request without content at once, where that can be: `came` is called with the response that does not
        fail over, or else with what `exchange` goes on from. None: nothing is sent."""
        parent, trial = next(self._well(), (None, None))
        if parent is None or trial is None:
            return None
        asked = Asked(parent, trial)

        def over(tried: Attempt) -> None:
            asked.tried = tried
            exchange = tried.exchange
            if exchange is None or fails_over(request.method, exchange.head.status, self._statuses):
                came(asked)
                return
            parent.health.on_result(trial, assess(exchange.head.status), self._clock())
            if len(self._parents) > 1:
                exchange.parent = parent.upstream.url
            came(exchange)

        asked.tried = parent.upstream.begin(request, on_interim, over)
        if asked.tried is None:
            parent.health.on_result(trial, None, self._clock())
            return None
        return asked

    def give_up(self, asked: Asked) -> None:
        """Nobody wants the response any more."""
        asked.parent.health.on_result(asked.trial, None, self._clock())
        if asked.tried is not None:
            asked.tried.give_up()

    def _well(self, *, after: Parent | None = None) -> Iterator[tuple[Parent, Trial]]:
        """Those that may be asked, in order, each looked at when its turn comes."""
        begin = 0 if after is None else self._parents.index(after) + 1
        for parent in self._parents[begin:]:
            trial = parent.health.start_trial(self._clock())
            if trial is not None:
                yield parent, trial

    async def close(self) -> None:
        """Hang up on all of them."""
        for one in (*(parent.upstream for parent in self._parents), *self._checks):
            await one.close()
