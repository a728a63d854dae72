"""Every test here runs on both event loops, as the nodes do."""

from tests.kit.loops import event_loop_of  # noqa: F401  (a fixture)
