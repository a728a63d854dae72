"""What changed in the index of a node, told to other processes that hold copies of its entries.

Theory. One process, the lead, has the true index; others have copies of some entries and answer with them. They share
one piece of memory, which the lead alone writes: a ring of marks, each of a cache key that changed, and their number.
Before each look-up a copy's owner compares that number with its own: if it is another, it drops what the new marks
name. So it never decides by a copy that was out of date when it decided, however many requests come between.

    cells   0                  how many marks there have been
            1 to services      by service, the events of its machine that are over (`seq` of records)
            SLOTS more         the ring: 16 bits of the mark's lap, 48 of the key's hash

A mark is written before the number that counts it. A slot whose lap is not the expected one was overwritten, or is not
visible yet: then all copies are dropped, as where there are more new marks than the ring has slots. What changes many
keys at once counts a whole ring of marks without writing any. Keys whose hashes are alike only cost a copy.
"""

from hashlib import blake2b

SLOTS = 16_384
"""Marks in the ring: 128 KiB. A page of live segments changes some hundred keys a second; a copy's owner that served
nothing for a minute may have to begin anew."""

_LAP_BITS = 16
_HASH_BITS = 48
_HASH = (1 << _HASH_BITS) - 1

Cells = memoryview
"""Of 64-bit numbers (`memoryview.cast("Q")`); one that is aligned is read and written in one step."""


def cells_needed(services: int) -> int:
    return 1 + services + SLOTS


def mark_of(service: int, key: str) -> int:
    """The mark of a cache key of one of the node's services."""
    return int.from_bytes(blake2b(f"{service}\n{key}".encode("utf-8", "surrogatepass"), digest_size=6).digest())


def _lap(position: int) -> int:
    return position // SLOTS % (1 << _LAP_BITS) << _HASH_BITS


class Changes:
    """The lead's side: it alone writes."""

    def __init__(self, cells: Cells, services: int) -> None:
        self._cells = cells
        self._first = 1 + services
        self.position = SLOTS
        """How many marks there have been. It begins with the second lap: memory begins with zeros."""
        cells[0] = self.position

    def of(self, service: int) -> "ChangesOfService":
        return ChangesOfService(self, service)

    def add(self, mark: int) -> None:
        position = self.position
        self._cells[self._first + position % SLOTS] = _lap(position) | mark
        self._cells[0] = self.position = position + 1

    def add_many(self) -> None:
        """More keys changed than are worth naming."""
        self._cells[0] = self.position = self.position + SLOTS + 1

    def publish(self, service: int, events: int) -> None:
        """So many events of the service's machine are over: what they changed has its marks."""
        self._cells[1 + service] = events


class ChangesOfService:
    """The observer of one service's index (`cdnkit.policy.store.index.Observer`)."""

    def __init__(self, changes: Changes, service: int) -> None:
        self._changes = changes
        self._service = service

    def changed(self, key: str) -> None:
        self._changes.add(mark_of(self._service, key))

    def cleared(self) -> None:
        self._changes.add_many()


class Seen:
    """The side of an owner of copies: how far it has read."""

    def __init__(self, cells: Cells, services: int) -> None:
        self._cells = cells
        self._first = 1 + services
        self.position: int = cells[0]

    def events(self, service: int) -> int:
        """To be read before `news`: then no event up to this one has a mark that `news` lacks."""
        events: int = self._cells[1 + service]
        return events

    def news(self) -> list[int] | None:
        """The marks since the last call; None: drop all copies."""
        position: int = self._cells[0]
        if position == self.position:
            return []
        since, self.position = self.position, position
        return self._between(since, position)

    def has_changed(self, mark: int, since: int) -> bool:
        """Whether a key with this mark may have changed between then and the last call of `news`."""
        marks = self._between(since, self.position)
        return marks is None or mark in marks

    def _between(self, since: int, until: int) -> list[int] | None:
        if not 0 <= until - since <= SLOTS:
            return None
        marks = []
        for position in range(since, until):
            cell = self._cells[self._first + position % SLOTS]
            if cell & ~_HASH != _lap(position):
                return None
            marks.append(cell & _HASH)
        return marks
