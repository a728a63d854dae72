"""Health checks: a parent is asked the same small question again and again, and its health is told how it went."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from cdnkit.policy.http.messages import Headers, Lines, RequestHead
from cdnkit.settings.edge import HealthCheck
from edge.errors import UpstreamFailed
from edge.upstream import Upstream


async def check_once(upstream: Upstream, check: HealthCheck, fields: Lines, checked: Callable[[bool], None]) -> None:
    """Ask, and wait until `check.interval` seconds are over since the beginning.

    `upstream` is the check's own: a check must not wait behind the viewers' requests. `fields`: what the node puts on
    every request, without which an origin may refuse a check.
    """
    loop = asyncio.get_running_loop()
    due = loop.time() + check.interval
    checked(await _is_well(upstream, check, fields))
    await asyncio.sleep(due - loop.time())


async def _is_well(upstream: Upstream, check: HealthCheck, fields: Lines) -> bool:
    headers = Headers([("user-agent", "cdnlab health check")]).without(name for name, _ in fields).plus(*fields)
    request = RequestHead(check.method, "http", "", check.path or "/", None, headers)
    with suppress(TimeoutError, UpstreamFailed):
        async with asyncio.timeout(check.timeout):
            exchange = await upstream.exchange(request)
        exchange.close()
        return exchange.head.status == check.status
    return False
