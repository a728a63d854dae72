"""A live run's records, told again to the same machines in virtual time."""

from replay.jump import replay_node
from replay.node import Difference, Replayed, tell_each
from replay.trace import BadTrace, read_trace

__all__ = ["BadTrace", "Difference", "Replayed", "read_trace", "replay_node", "tell_each"]
