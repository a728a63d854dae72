"""Origin groups: when a request that the first origin of two could not answer goes to the second.

Source: CloudFront, "Optimize high availability with origin failover": the primary is always tried first, for each
request anew; failures to connect and time-outs fail over, and the statuses that the group names; only GET, HEAD and
OPTIONS do.
"""

from dataclasses import dataclass

from policy.plan import Failure

MAY_NAME = frozenset({400, 403, 404, 416, 500, 502, 503, 504})
"""Statuses a group may name. (429: unverified, so not among them.)"""

METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_ANSWERLESS = frozenset(
    {
        Failure.CONNECT, Failure.CONNECT_TIMEOUT, Failure.FIRST_BYTE_TIMEOUT, Failure.BETWEEN_BYTES_TIMEOUT,
        Failure.RESET, Failure.GARBAGE,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class OriginGroup:
    """Two origins' URLs, and the statuses of the first at which the second is asked."""

    primary: str
    secondary: str
    statuses: frozenset[int] = frozenset({500, 502, 503, 504})

    def __post_init__(self) -> None:
        wrong = sorted(self.statuses - MAY_NAME)
        if wrong:
            raise ValueError(f"statuses: found {wrong}, wanted some of {sorted(MAY_NAME)}")


def fails_over(group: OriginGroup, method: str, came: int | Failure) -> bool:
    """Whether the secondary is asked after the primary gave this status, or failed so before any head came."""
    if method not in METHODS:
        return False
    return came in _ANSWERLESS if isinstance(came, Failure) else came in group.statuses
