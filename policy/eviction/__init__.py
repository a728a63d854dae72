"""Room-keeping: which stored response goes when there is no more room. One protocol, five policies."""

from policy.eviction.room import HEAD_COST_BYTES, Eviction, Room
from policy.eviction.rooms import room_for

__all__ = ["HEAD_COST_BYTES", "Eviction", "Room", "room_for"]
