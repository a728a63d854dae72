"""Eviction: which stored response goes when the room is full. One protocol, five policies."""

from cdnkit.policy.rules.eviction import Eviction
from cdnkit.policy.store.eviction.room import HEAD_COST_BYTES, Room
from cdnkit.policy.store.eviction.rooms import room_for

__all__ = ["HEAD_COST_BYTES", "Eviction", "Room", "room_for"]
