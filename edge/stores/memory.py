"""Bodies in memory and nowhere else: gone with the process."""

from collections.abc import Collection, Iterable

from cdnkit.policy.store.index import Entry
from edge.bodies import Body
from edge.stores.discards import AT_ONCE, Discards
from edge.stores.store import Place


class MemoryStore:
    """The bodies of all that the machine's room holds."""

    def __init__(self) -> None:
        self._filling: dict[int, Body] = {}
        self._whole: dict[int, bytes] = {}
        """Bare bytes: a `Body`, with the places of its readers, would take a kilobyte more of each."""
        self._whole_bytes = 0
        self._discards = Discards()

    def recovered(self) -> list[Entry]:
        return []

    def mark(self) -> str | None:
        return None

    def begin(self, entry: Entry) -> Body:
        body = self._filling[entry.id] = Body(kept=True)
        return body

    def keep(self, entry: Entry) -> None:
        body = self._filling.pop(entry.id, None)
        if body is not None and body.whole is not None:
            self._whole[entry.id] = body.whole
            self._whole_bytes += len(body.whole)

    def whole(self, entry: Entry) -> bytes | None:
        whole = self._whole.get(entry.id)
        if whole is not None:
            return whole
        filling = self._filling.get(entry.id)
        return None if filling is None else filling.whole

    def look(self, entry: Entry) -> Body | None:
        whole = self._whole.get(entry.id)
        return self._filling.get(entry.id) if whole is None else Body.of(whole)

    def place(self, entry: Entry) -> Place | None:
        return None

    async def load(self, entry: Entry) -> Body | None:
        return self.look(entry)

    def changed(self, entry: Entry) -> None:
        """Heads are the machine's."""

    def drop(self, ids: Collection[int]) -> None:
        if len(ids) > AT_ONCE:
            self._discards.take(dict.fromkeys(ids), self._forget)
            return
        for entry_id in ids:
            self._forget(entry_id)

    def _forget(self, entry_id: int) -> None:
        self._filling.pop(entry_id, None)
        self._whole_bytes -= len(self._whole.pop(entry_id, b""))

    def empty(self) -> None:
        self._discards.take(self._whole)
        self._filling, self._whole, self._whole_bytes = {}, {}, 0

    async def settled(self, mark: str | None = None) -> bool:
        return True

    def tables(self) -> Iterable[object]:
        return (self._whole,)

    @property
    def memory_bytes(self) -> int:
        return self._whole_bytes + sum(body.size_bytes for body in self._filling.values())

    async def close(self) -> None:
        self._discards.close()
        self._filling.clear()
        self._whole.clear()
