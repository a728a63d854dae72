"""The copies of stored responses that a worker answers with: learnt by use, dropped as soon as the lead's change.

`EdgeMachine` decides here as everywhere; its index has the copies. Before each look-up `catch_up` reads what changed
(`cdnkit/policy/store/changes.py`). The room is the worker's own, and its least recently used copy goes; then the lead
is asked again. It is not the node's: what was used is told to the lead, whose room decides what is stored.
"""

import mmap
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.store.changes import Seen, mark_of
from cdnkit.policy.store.entry import Entry
from cdnkit.policy.store.eviction.lru import LruRoom
from cdnkit.policy.store.serialise import from_values
from edge.collector import leave_out, leave_out_head
from edge.stores import MemoryStore, Place
from edge.workers.asides import Aside, Used

MAPPED_FILES = 8192
"""Bodies that a process has mapped at the same time: each is a file descriptor, of the 65,536 at most that it has, and
one of the kernel's 65,530 mappings (`vm.max_map_count`)."""


Uses = dict[Entry, int]
"""How often each copy was used since the lead was told."""


class ReplicaRoom(LruRoom):
    """The room of the copies, which counts their uses."""

    def __init__(self, maxsize_bytes: int, uses: Uses) -> None:
        super().__init__(maxsize_bytes)
        self._uses = uses

    def touch(self, entry: Entry) -> None:
        super().touch(entry)
        self._uses[entry] = self._uses.get(entry, 0) + 1


class ReplicaStore(MemoryStore):
    """The bodies of the copies."""

    def put(self, entry: Entry, body: bytes) -> None:
        self._whole[entry.id] = body
        self._whole_bytes += len(body)


class Replica:
    """The copies of one service's stored responses."""

    def __init__(self, machine: EdgeMachine, store: ReplicaStore, uses: Uses) -> None:
        """`machine`: with a `ReplicaRoom` that counts in `uses`; it and the store are the driver's."""
        self.machine = machine
        self.uses = uses
        self._store = store

    def put(self, entry: Entry, body: bytes) -> None:
        index, room = self.machine.index, self.machine.room
        index.release(room)
        self.drop(entry.key)
        index.add(entry)
        self._store.put(entry, body)
        leave_out(*index.tables_of(entry))
        leave_out_head(entry)
        if not room.admit(entry):
            self._take_out(entry)
        for gone in room.take_evicted():
            self._take_out(gone)

    def drop(self, key: str) -> None:
        for entry in self.machine.index.variants(key):
            self._take_out(entry)

    def drop_all(self) -> None:
        state = self.machine.state
        state.index.clear(state.room)
        state.room = state.fresh_room()
        self._store.empty()

    def _take_out(self, entry: Entry) -> None:
        self.machine.index.remove(entry, None)
        self.machine.room.pop(entry.id, None)
        self._store.drop((entry.id,))


class Replicas:
    """Those of all services of a node."""

    def __init__(self, replicas: Sequence[Replica], seen: Seen) -> None:
        self._replicas = replicas
        self._seen = seen
        self._keys: dict[int, tuple[int, str]] = {}
        """By their marks, the keys of copies, and of some that are gone."""
        self._mapped: dict[int, tuple[int, str]] = {}
        """By id and service, the keys of the copies whose bodies are mapped, the oldest first."""
        self.emptied = 0
        """How often all copies were dropped."""

    def __len__(self) -> int:
        return sum(len(one.machine.index) for one in self._replicas)

    def catch_up(self, service: int) -> None:
        """Drop what is out of date. The machine of this service then counts its events from the lead's."""
        seen = self._seen
        self._replicas[service].machine.state.events = seen.events(service) - 1  # a hit is one more
        news = seen.news()
        if news is None:
            self._drop_all()
        elif news:
            for mark in news:
                self._drop(mark)

    def learn(self, aside: Aside) -> bool:
        """Take in a copy, unless it is out of date already; whether it was taken in."""
        self.catch_up(aside.service)
        key: str = aside.values["key"]
        mark = mark_of(aside.service, key)
        if self._seen.has_changed(mark, aside.position):
            return False
        body = aside.body if isinstance(aside.body, bytes) else mapped(aside.body)
        if body is None:
            return False
        replica = self._replicas[aside.service]
        is_mapped = isinstance(aside.body, Place)
        # A body that is mapped is no memory of this process.
        entry = from_values(aside.id, aside.values, 0 if is_mapped else len(body))
        entry.hits = aside.hits
        replica.machine.vary_fields.update(aside.vary_fields)
        replica.put(entry, body)
        self._remember(mark, aside.service, key)
        if is_mapped:
            self._mapped[mark] = (aside.service, key)
            if len(self._mapped) > MAPPED_FILES:
                oldest, (service, key) = next(iter(self._mapped.items()))
                del self._mapped[oldest]
                self._replicas[service].drop(key)
        return True

    def take_uses(self) -> list[Used]:
        """What the lead is to be told."""
        used = []
        for service, replica in enumerate(self._replicas):
            used += [Used(service, entry.key, entry.id, count) for entry, count in replica.uses.items()]
            replica.uses.clear()
        return used

    def _remember(self, mark: int, service: int, key: str) -> None:
        known = self._keys.get(mark)
        if known is not None and known != (service, key):
            self._replicas[known[0]].drop(known[1])  # two keys with one mark: one has to go
        self._keys[mark] = (service, key)
        if len(self._keys) > 2 * len(self) + 1024:  # most have been evicted
            self._keys = {
                mark: (service, key)
                for mark, (service, key) in self._keys.items()
                if self._replicas[service].machine.index.variants(key)
            }

    def _drop(self, mark: int) -> None:
        found = self._keys.pop(mark, None)
        if found is not None:
            service, key = found
            self._replicas[service].drop(key)
            self._mapped.pop(mark, None)

    def _drop_all(self) -> None:
        self.emptied += 1
        self._keys.clear()
        self._mapped.clear()
        for replica in self._replicas:
            replica.drop_all()


def mapped(place: Place) -> bytes | None:
    """A file's bytes as they are, in memory that all processes share; None: they are not what they should be."""
    try:
        with Path(place.path).open("rb") as file:
            whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError):
        return None
    if len(whole) != place.size_bytes or (place.checksum and sha256(whole).digest() != place.checksum):
        return None
    return whole  # type: ignore[return-value]
