"""The control API as an ASGI application. CloudFront's and Fastly's paths do not overlap: one listener serves both."""

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
    """The application `app`, and its background work."""

    def __init__(self, settings: Control, fleet: Fleet, lab: Lab, clock: Callable[[], float] | None = None) -> None:
        # Not the nodes' clock, which never follows a changed wall clock: clients sign by wall time.
        now = clock or time.time
        self._cloudfront = CloudFront(settings, fleet, now, lab)
        self._fastly = Fastly(settings, fleet, now)
        # Fastly's clients send the content types of HTML forms, but no form can send a signature or a Fastly-Key.
        known = guard_of(settings.listen, settings.hosts, "control.hosts", credentials=True)
        routes = [*self._cloudfront.routes(), *self._fastly.routes()]
        self.app = Guarded(Starlette(routes=routes), known, logger)

    async def close(self) -> None:
        """Gives up the work in progress."""
        await asyncio.gather(self._cloudfront.close(), self._fastly.close())
