"""What all processes of a node share in memory: what changed, and large bodies."""

import mmap
import os

from cdnkit.policy.store.changes import Changes, cells_needed
from edge.workers.shared_bodies import BodyFolder


class Shared:
    """Both, made by the lead."""

    def __init__(self, services: int) -> None:
        self.bodies = BodyFolder()
        size = 8 * cells_needed(services)
        self.page = os.memfd_create("cdnlab-changes")
        """Descriptor of the memory with the changes."""
        os.posix_fallocate(self.page, 0, size)  # memory that is not there is noticed now, and not by a signal
        self.changes = Changes(memoryview(mmap.mmap(self.page, size)).cast("Q"), services)

    def close(self) -> None:
        os.close(self.page)
        self.bodies.close()
