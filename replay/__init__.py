"""A live run's records, told again to the same machines in virtual time."""

from replay.node import Difference, replay_node
from replay.trace import BadTrace, read_trace

__all__ = ["BadTrace", "Difference", "read_trace", "replay_node"]
