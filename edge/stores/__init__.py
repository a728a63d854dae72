"""Where a node keeps the bodies of its stored responses: one protocol, several levels."""

from edge.stores.memory import MemoryStore
from edge.stores.store import Place, Store

__all__ = ["MemoryStore", "Place", "Store"]
