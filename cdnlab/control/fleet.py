"""The nodes as the control API reaches them: by the log of orders, from the origin outwards.

An edge that goes before its shield would refill from what the shield still holds. A node that is away carries the
orders out when it is back (docs/purging.md).
"""

import logging
from collections.abc import Collection, Sequence

from cdnkit.policy.machine.purge_log import Order
from edge.purges.log import PurgeLog
from edge.purges.ordering import Standing, carried

logger = logging.getLogger("cdnlab.control")


class Fleet:
    """Whom orders go to."""

    def __init__(self, log: PurgeLog, names: Collection[str]) -> None:
        """`names`: of the nodes, whether the log knows them yet or not."""
        self._log = log
        self._names = names

    async def purge(self, orders: Sequence[Order]) -> bool:
        """Returns when every node has carried out every order, however long that takes; False, and the log says who it
        is, when one could not read an order. BadOrder."""
        last: dict[str, Standing] = {}
        if orders:
            async for standing in carried(self._log, orders, expecting=self._names):
                last = standing
        unread = [name for name, one in last.items() if not one.obeyed]
        if unread:
            logger.error("%s could not read an order, and purged all there was: it is not completed", ", ".join(unread))
        return not unread
