"""A node of several processes, as its lead sets it up: what they share, and what each worker is handed."""

import mmap
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from cdnkit.policy.store.changes import Changes, cells_needed
from cdnkit.settings.edge import Node, Whereabouts
from edge.at_once import AtOnce
from edge.services import Hosted, Services
from edge.workers.commission import Commissioned, Given
from edge.workers.crew import Crew
from edge.workers.lead import Lead
from edge.workers.shared_bodies import BodyFolder, SharedMemoryStore


class Team:
    """The further workers of a node, before they are there; and the memory that all share, until `close`."""

    def __init__(self, node: Node, geo: Whereabouts, clock: Callable[[], float], services: int) -> None:
        self._node, self._geo, self._clock = node, geo, clock
        self._services: list[Commissioned] = []
        self._bodies = BodyFolder()
        size = 8 * cells_needed(services)
        self._page = os.memfd_create("cdnlab-changes")
        # Memory that is not there is noticed now, and not by a signal.
        os.posix_fallocate(self._page, 0, size)
        self._changes = Changes(memoryview(mmap.mmap(self._page, size)).cast("Q"), services)

    def store(self, service: str) -> SharedMemoryStore:
        """Where the lead keeps the bodies of a service that has no disk."""
        return SharedMemoryStore(self._bodies, service)

    def add(self, service: Hosted, keys: dict[str, dict[str, str]], records: Path | None) -> None:
        """One more of the node's services, with the node's part of its rules; in their order."""
        self._services.append(Commissioned.of(service, keys, records))

    def crew(
        self, services: Services, at_once: AtOnce, alt_svc: str, sockets: Sequence[Sequence[socket.socket]]
    ) -> Crew:
        """The workers. `sockets`: of each address, those of all workers; they are the crew's from now on."""
        doors = tuple(zip(*sockets, strict=True))
        given = Given(self._node, self._geo, tuple(self._services), self._clock, alt_svc, doors, self._page)
        return Crew(Lead(services, at_once, self._changes), given)

    def close(self) -> None:
        os.close(self._page)
        self._bodies.close()
