"""Every test here runs on both event loops, as the nodes do."""

from tests.kit.h2_parent import certificate
from tests.kit.local_ca import authority
from tests.kit.loops import event_loop_of, half

__all__ = ["authority", "certificate", "event_loop_of", "half"]
