"""The listener of the control API, in the process of `cdnlab up`; it starts once all nodes serve."""

import logging
import socket

from cdnkit.serving import Listener, bind, url_of
from cdnlab.control.app import ControlApi
from cdnlab.control.cloudfront import Lab
from cdnlab.control.fleet import Fleet
from cdnlab.control.settings import Control


class ControlListener:
    """Serves from `start` to `close`."""

    def __init__(self, settings: Control) -> None:
        """Binds; raises `PortInUse`."""
        self._settings = settings
        self._socket: socket.socket = bind(settings.listen, "control.listen")
        self.url = url_of(self._socket)
        self._api: ControlApi | None = None
        self._listener: Listener | None = None

    async def start(self, fleet: Fleet, lab: Lab) -> None:
        self._api = ControlApi(self._settings, fleet, lab)
        self._listener = Listener(self._api.app, logging.getLogger("cdnlab.control"))
        await self._listener.start(self._socket)

    async def close(self) -> None:
        if self._listener is not None and self._api is not None:
            await self._listener.close()
            await self._api.close()
        self._socket.close()
