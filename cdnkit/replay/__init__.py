"""A live run's records, replayed through the same machines in virtual time."""

from cdnkit.replay.jump import replay_node
from cdnkit.replay.node import Difference, Replayed, replay_each
from cdnkit.replay.trace import BadTrace, Missing, Trace, trace_of
from cdnkit.replay.trace_files import read_trace

__all__ = [
    "BadTrace",
    "Difference",
    "Missing",
    "Replayed",
    "Trace",
    "read_trace",
    "replay_each",
    "replay_node",
    "trace_of",
]
