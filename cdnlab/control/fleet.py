"""The nodes as the control API reaches them: by the log of orders, from the origin outwards.

An edge that goes before its shield would refill from what the shield still holds. A node that is away carries the
orders out when it is back (docs/purging.md).
"""

from collections.abc import Collection, Sequence

from edge.purges.log import PurgeLog
from edge.purges.ordering import carried
from policy.propagation import Order


class Fleet:
    """Whom orders go to."""

    def __init__(self, log: PurgeLog, names: Collection[str]) -> None:
        """`names`: of the nodes, whether the log knows them yet or not."""
        self._log = log
        self._names = names

    async def purge(self, orders: Sequence[Order]) -> None:
        """Returns when every node has carried out every order, however long that takes."""
        if orders:
            async for _ in carried(self._log, orders, expecting=self._names):
                pass
