"""Bodies in memory and nowhere else: gone with the process."""

from collections.abc import Iterable

from cdnkit.policy.store.index import Entry
from edge.bodies import Body
from edge.stores.discards import Discards


class MemoryStore:
    """The bodies of all that the machine's room holds."""

    def __init__(self) -> None:
        self._bodies: dict[int, Body] = {}
        self._discards = Discards()

    def recovered(self) -> list[Entry]:
        return []

    def mark(self) -> str | None:
        return None

    def begin(self, entry: Entry) -> Body:
        body = self._bodies[entry.id] = Body(kept=True)
        return body

    def keep(self, entry: Entry) -> None:
        """It is kept already."""

    def look(self, entry: Entry) -> Body | None:
        return self._bodies.get(entry.id)

    async def load(self, entry: Entry) -> Body | None:
        return self._bodies.get(entry.id)

    def changed(self, entry: Entry) -> None:
        """Heads are the machine's."""

    def drop(self, ids: Iterable[int]) -> None:
        for entry_id in ids:
            self._bodies.pop(entry_id, None)

    def empty(self) -> None:
        self._discards.take(self._bodies)
        self._bodies = {}

    async def settled(self, mark: str | None = None) -> bool:
        return True

    @property
    def memory_bytes(self) -> int:
        return sum(body.size_bytes for body in self._bodies.values())

    async def close(self) -> None:
        self._discards.close()
        self._bodies.clear()
