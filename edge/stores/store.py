"""The seam between a node and the place of its bodies.

The machine decides what is stored; a store obeys, and reports when it cannot. A fault in it (a full disk, a damaged
file) costs a miss, never an error: only a bug raises here. One loop calls it, in the machine's order.

    landing.store          begin(entry)   ─► a Body that readers follow while it fills
    filled, still indexed  keep(entry)       from now on it is a stored response
    a hit                  look(entry)    ─► its Body, if it is at hand ...
                           whole(entry)   ─► the same, as bytes, if all of it is there
                           load(entry)    ─► ... else from further away; None: lost, so the machine forgets it
    a 304, a soft purge    changed(entry)    its head is not what it was
    dropped                drop(ids)
    everything purged      empty()
    before a purge is
    acknowledged           settled(mark)     what was dropped or changed stays so, whatever becomes of the process
"""

from collections.abc import Collection, Iterable
from typing import Protocol

import msgspec

from cdnkit.policy.store.index import Entry
from edge.bodies import Body


class Place(msgspec.Struct, array_like=True):
    """The file that holds a body."""

    path: str
    size_bytes: int
    checksum: bytes
    """Its SHA-256; b"": nobody but the node writes there."""


class Store(Protocol):
    """The bodies of one node, by entry id; with some, their heads too."""

    def recovered(self) -> list[Entry]:
        """What an earlier run of this node left, least recently stored first; asked once, before anything else."""

    def mark(self) -> str | None:
        """The last mark that an earlier run of this node left with `settled`; asked once, before anything else."""

    def begin(self, entry: Entry) -> Body:
        """A body for this entry, which the caller writes. It may be read at once, and is not found after `drop`."""

    def keep(self, entry: Entry) -> None:
        """Its body is whole and the machine keeps it."""

    def look(self, entry: Entry) -> Body | None:
        """Its body, filling or whole, if that needs no waiting."""

    def whole(self, entry: Entry) -> bytes | None:
        """All of its body, if that needs no waiting."""

    def place(self, entry: Entry) -> Place | None:
        """Where other processes find all of its body; None: nowhere."""

    async def load(self, entry: Entry) -> Body | None:
        """Its whole body from further away; None when that is lost or damaged."""

    def changed(self, entry: Entry) -> None:
        """The head of a kept entry was freshened or made stale."""

    def drop(self, ids: Collection[int]) -> None:
        """Nobody will ask for these again; who reads one now reads on. What many took is given back later, a little at
        a time."""

    def empty(self) -> None:
        """As `drop` of all there are, at once; what they took is given back later, a little at a time."""

    async def settled(self, mark: str | None = None) -> bool:
        """Wait until every change so far would outlive the process. False when that could not be done.

        `mark`: a text that is kept with the changes, and never without them."""

    def tables(self) -> Iterable[object]:
        """Its tables that have all bodies, which the collector of cycles need not walk over."""

    @property
    def memory_bytes(self) -> int:
        """Body bytes in memory, fills in flight included."""

    async def close(self) -> None:
        """Write what is still to be written, and let go."""
