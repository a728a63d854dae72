"""The control API as an ASGI application: CloudFront's paths and Fastly's do not meet, so one listener has both."""

import asyncio
import logging
import time
from collections.abc import Callable

from starlette.applications import Starlette

from cdnkit.serving import Guarded, guard_of
from cdnlab.control.cloudfront import CloudFront, Lab
from cdnlab.control.fastly import Fastly
from cdnlab.control.fleet import Fleet
from cdnlab.control.settings import Control

logger = logging.getLogger("cdnlab.control")


class ControlApi:
    """`app`, and an end to what it has begun."""

    def __init__(self, settings: Control, fleet: Fleet, lab: Lab, clock: Callable[[], float] | None = None) -> None:
        # Not the nodes' clock, which nobody sets: clients sign by wall time, and would be shut out for good.
        now = clock or time.time
        self._cloudfront = CloudFront(settings, fleet, now, lab)
        self._fastly = Fastly(settings, fleet, now)
        # No form can send a signature or a Fastly-Key; clients of Fastly's send their orders as forms do.
        known = guard_of(settings.listen, settings.hosts, "control.hosts", credentials=True)
        routes = [*self._cloudfront.routes(), *self._fastly.routes()]
        self.app = Guarded(Starlette(routes=routes), known, logger)

    async def close(self) -> None:
        """What is in progress is given up."""
        await asyncio.gather(self._cloudfront.close(), self._fastly.close())
