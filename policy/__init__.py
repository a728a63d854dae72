"""The caching law, pure: no I/O, no clock, no event loop. `EdgeMachine` is its one stateful part."""

from policy.machine import EdgeMachine
from policy.messages import Headers, RequestHead, ResponseHead
from policy.plan import Failure, Fetch, Join, Landing, Purged, PurgeKind, PurgeOrder, Refuse, Relay, Serve
from policy.service import Behavior, Service

__all__ = [
    "Behavior", "EdgeMachine", "Failure", "Fetch", "Headers", "Join", "Landing", "PurgeKind", "PurgeOrder", "Purged",
    "Refuse", "Relay", "RequestHead", "ResponseHead", "Serve", "Service",
]  # fmt: skip
