"""The rules of HTTP caching as pure functions: no I/O, no clock, no event loop. `EdgeMachine` alone has state."""

from cdnkit.policy.http.messages import Headers, RequestHead, ResponseHead
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.outcomes import Failure
from cdnkit.policy.plan import Fetch, Join, Landing, Purged, PurgeKind, PurgeOrder, Refuse, Relay, Serve
from cdnkit.policy.rules.service import Behavior, Service

__all__ = [
    "Behavior", "EdgeMachine", "Failure", "Fetch", "Headers", "Join", "Landing", "PurgeKind", "PurgeOrder", "Purged",
    "Refuse", "Relay", "RequestHead", "ResponseHead", "Serve", "Service",
]  # fmt: skip
