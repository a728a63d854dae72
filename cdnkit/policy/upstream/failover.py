"""Origin groups: when a request that one parent failed to answer goes to the next.

Source: CloudFront, "Optimize high availability with origin failover": the primary is always tried first, for each
request anew; failures to connect and time-outs fail over, and the statuses that the group names; only GET, HEAD and
OPTIONS do. CloudFront's groups have two members.
"""

from cdnkit.policy.outcomes import Failure

MAY_NAME = frozenset({400, 403, 404, 416, 500, 502, 503, 504})
"""Statuses a group may name. (429: unverified, so not among them.)"""

METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

NO_RESPONSE = frozenset(
    {
        Failure.NAME, Failure.CONNECT, Failure.CONNECT_TIMEOUT, Failure.FIRST_BYTE_TIMEOUT,
        Failure.BETWEEN_BYTES_TIMEOUT, Failure.RESET, Failure.GARBAGE,
    }
)  # fmt: skip
"""Failures that are the parent's: it cannot be reached, is late, or speaks no HTTP."""


def fails_over(method: str, result: int | Failure, statuses: frozenset[int], *, body: bool = False) -> bool:
    """Whether the request goes to the next parent after one gave this status, or failed like this before any head came.

    `statuses`: those the group names. `body`: the request has one, so it cannot be sent twice.
    """
    if method not in METHODS or body:
        return False
    return result in NO_RESPONSE if isinstance(result, Failure) else result in statuses
