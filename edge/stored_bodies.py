"""The bodies of stored responses: the machine says what is stored, the store has the bytes, and here the two agree."""

from collections.abc import Collection, Iterable

from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.plan import Serve
from cdnkit.policy.store.index import Entry
from edge.bodies import Body, Reader
from edge.collector import leave_out, leave_out_head
from edge.stores import Store


class StoredBodies:
    """The bodies of one machine's entries."""

    def __init__(self, machine: EdgeMachine, store: Store) -> None:
        """What an earlier run left in the store is given to the machine."""
        self._machine = machine
        self._store = store
        store.drop(machine.restore(store.recovered()))

    def begin(self, entry: Entry) -> Body:
        """The body that a fill writes."""
        leave_out(*self._machine.index.tables_of(entry))
        return self._store.begin(entry)

    def at_hand(self, entry: Entry) -> Body | None:
        """A body that needs no waiting."""
        return self._store.look(entry)

    def whole(self, entry: Entry) -> bytes | None:
        """All of a body that needs no waiting."""
        return self._store.whole(entry)

    async def load(self, entry: Entry) -> Body | None:
        """A body, however far away it lies. What the store has lost, the machine forgets."""
        body = self._store.look(entry) or await self._store.load(entry)
        if body is None:
            self._store.drop(self._machine.on_lost(entry))
        return body

    def keep(self, entry: Entry | None) -> bool:
        """Keep a body that has come to its end, if the machine keeps its entry; whether it does."""
        if entry is None or not entry.complete or not entry.indexed:
            return False
        self._store.keep(entry)
        leave_out_head(entry)
        return True

    def update(self, dropped: Collection[int], changed: Iterable[Entry] = ()) -> None:
        """Do as a landing says."""
        self._store.drop(dropped)
        for entry in changed:
            leave_out(*self._machine.index.tables_of(entry))
            leave_out_head(entry)
            self._store.changed(entry)


def reader_of(head: Serve, body: Body | None) -> Reader | None:
    """The place from which the response is sent."""
    return None if body is None else Reader(body, head.span.start if head.span else 0)
