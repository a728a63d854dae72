"""Health checks: the same small request goes to a parent again and again, and each result counts for its health."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from cdnkit.policy.http.messages import Headers, Lines, RequestHead
from cdnkit.settings.edge import HealthCheck
from edge.errors import UpstreamFailed
from edge.upstream import Upstream


async def check_once(upstream: Upstream, check: HealthCheck, fields: Lines, record: Callable[[bool], None]) -> None:
    """One check: send the request, record the result, wait until `check.interval` seconds have passed since the start.

    `upstream` is the check's own: a check must not wait behind the viewers' requests. `fields`: those that the node
    puts on every request; without them an origin may refuse a check.
    """
    loop = asyncio.get_running_loop()
    due = loop.time() + check.interval
    record(await _is_well(upstream, check, fields))
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
