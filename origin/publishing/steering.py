"""Content steering as the origin serves it: what the settings say, and what an order has changed of it.

Mutable; one event loop's.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from cdnkit.settings import steering as settings
from origin.errors import Refused, StorageFailed
from origin.hls.steering import Steering, steering_of
from origin.storage.backlog import Backlog

log = logging.getLogger("origin")

SAVED = ".steering.json"
"""In the storage folder. No stream's name begins with a dot."""


class SteeringState:
    """Of one origin."""

    def __init__(self, chosen: settings.Steering | None, storage: Backlog, clock: Callable[[], float]) -> None:
        self.chosen = chosen if chosen is not None and chosen.pathways else None
        """The settings; None: this origin steers nobody."""
        self._storage = storage
        self._clock = clock
        self._lock = asyncio.Lock()
        self.now: Steering | None = None if self.chosen is None else steering_of(self.chosen, {})
        """None: players are not steered."""
        self.changed_at = clock()
        """Unix seconds."""

    async def change(self, values: Mapping[str, Any] | None) -> None:
        """From now on what the settings say, with these changes; None: players are steered no longer.

        `Refused`: it cannot be; `StorageFailed`: nothing has changed.
        """
        async with self._lock:
            after = self._from(values)
            await self._storage.write(SAVED, json.dumps(values).encode())
            self.now, self.changed_at = after, self._clock()

    def _from(self, values: Mapping[str, Any] | None) -> Steering | None:
        if self.chosen is None:
            raise Refused(404, "found no [origin.steering] in the settings, wanted it.")
        return None if values is None else steering_of(self.chosen, values)

    async def resume(self) -> None:
        """Takes up what the last order said."""
        if self.chosen is None:
            return
        try:
            if (saved := await self._storage.read(SAVED)) is not None:
                self.now = self._from(json.loads(saved))
        except (Refused, StorageFailed, ValueError, AttributeError, TypeError) as error:
            log.error("%s: %s; players are steered as the settings say", SAVED, error)

    def steered(self, multivariant: str, stream: str) -> str:
        """The multivariant playlist as it is served."""
        return multivariant if self.now is None else self.now.steered(multivariant, stream)
