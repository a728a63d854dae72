"""The nodes of a cluster as the control API reaches them: every order goes to every node until each has acknowledged.

Tiers are told one after the other, from the origin outwards: an edge told before its shield would refill from what the
shield still holds. A node that is away is told again and again: it may come back with what it had.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from edge.errors import UpstreamFailed
from edge.upstream import Upstream
from policy.messages import Headers, RequestHead
from policy.profile import Waits

logger = logging.getLogger("cdnlab.control")

Order = dict[str, Any]
"""The body of a node's `POST /purge`."""

_WAITS = Waits(connect=2.0, first_byte=70.0, between_bytes=10.0)
"""A node answers once it has carried the order out, which its `purge_delay` may hold back for a minute."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0
"""Between two attempts: doubling. Short at first, for a node that restarts is back in about half a second."""
AT_ONCE = 16
"""Orders on their way to one node at a time: an invalidation may have 3,000 paths."""


@dataclass(frozen=True)
class Contact:
    """One node's admin listener."""

    name: str
    admin: str
    """URL."""
    token: str | None = None


@dataclass
class Refused(Exception):
    """A node understood an order and will not obey: asking again would not help."""

    node: str
    why: str

    def __str__(self) -> str:
        return f"{self.node}: {self.why}"


class Fleet:
    """Whom orders go to."""

    def __init__(self, tiers: Sequence[Sequence[Contact]]) -> None:
        """`tiers`: the nodes that ask the origin first, then those that ask these, and so on."""
        self._tiers = tiers
        self._wires = {contact.name: Upstream(contact.admin, _WAITS, AT_ONCE) for tier in tiers for contact in tier}

    async def purge(self, orders: Sequence[Order]) -> None:
        """Returns when every node has acknowledged every order, however long that takes. Raises `Refused`."""
        for tier in self._tiers:
            await asyncio.gather(*(self._tell(contact, orders) for contact in tier))

    async def close(self) -> None:
        await asyncio.gather(*(wire.close() for wire in self._wires.values()))

    async def _tell(self, contact: Contact, orders: Sequence[Order]) -> None:
        for start in range(0, len(orders), AT_ONCE):
            await asyncio.gather(*(self._until_done(contact, order) for order in orders[start : start + AT_ONCE]))

    async def _until_done(self, contact: Contact, order: Order) -> None:
        pause = FIRST_PAUSE_S
        while True:
            try:
                status, said = await self._post(contact, order)
            except UpstreamFailed as failed:
                logger.info("%s: %s: asked again in %g s", contact.name, failed, pause)
            else:
                if status == 200:
                    return
                if status < 500:
                    raise Refused(contact.name, f"answers {status}: {said[:200]}")
                logger.warning("%s: answers %d: %s", contact.name, status, said[:200])
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    async def _post(self, contact: Contact, order: Order) -> tuple[int, str]:
        body = json.dumps(order).encode()
        headers = Headers([("content-type", "application/json")])
        if contact.token is not None:
            headers = headers.plus(("authorization", f"Bearer {contact.token}"))

        async def content() -> AsyncIterator[bytes]:
            yield body

        request = RequestHead("POST", "http", "", "/purge", None, headers)
        exchange = await self._wires[contact.name].exchange(request, content(), body_length=len(body))
        try:
            said = b"".join([chunk async for chunk in exchange.chunks()])
        finally:
            exchange.close()
        return exchange.head.status, said.decode("utf-8", "replace")
