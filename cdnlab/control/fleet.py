"""The nodes that the control API purges, by the purge log and from the origin outwards.

An edge that purged before its shield would fetch the old response from the shield again. A node that is away carries
the orders out before it serves again (docs/purging.md).
"""

import logging
from collections.abc import Collection, Sequence

from cdnkit.policy.machine.purge_log import Order
from edge.purges.log import PurgeLog
from edge.purges.progress import Standing, carried

logger = logging.getLogger("cdnlab.control")


class Fleet:
    """The nodes that purge orders are for."""

    def __init__(self, log: PurgeLog, names: Collection[str]) -> None:
        """`names`: those of the nodes, whether they are in the log yet or not."""
        self._log = log
        self._names = names

    async def purge(self, orders: Sequence[Order]) -> bool:
        """Returns when every node has carried out every order, however long that takes.

        False means that a node could not read an order; an error is logged with its name. Raises `BadOrder`.
        """
        last: dict[str, Standing] = {}
        if orders:
            async for standing in carried(self._log, orders, expecting=self._names):
                last = standing
        unread = [name for name, one in last.items() if not one.obeyed]
        if unread:
            logger.error(
                "%s could not read an order and purged everything: the order is not completed", ", ".join(unread)
            )
        return not unread
