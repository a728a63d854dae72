"""A node's settings and service while a distribution is in force: the settings file's, with its rules replaced."""

from typing import TYPE_CHECKING

from cdnkit.policy.rules.service import Service
from cdnkit.settings.edge import Node

if TYPE_CHECKING:
    from cdnkit.vendors.cloudfront.distribution import Translated


def service_under(distribution: "Translated", service: Service, *, edge: bool) -> Service:
    """The node's service under the distribution. `edge`: viewers use the node, so it has the custom error pages."""
    return service.model_copy(
        update={
            "profile": "cloudfront",
            "behaviors": distribution.behaviors,
            "error_pages": distribution.error_pages if edge else (),
            "tokens": {},
        }
    )


def node_under(distribution: "Translated", node: Node) -> Node:
    """A node that fetches from the distribution's origins, with their timeouts, failover and custom headers."""
    first = distribution.origins[0]
    timeouts = {"connect": first.connect, "attempts": first.attempts}
    timeouts |= {"first_byte": first.read, "between_bytes": first.read}
    return node.model_copy(
        update={
            "timeouts": node.timeouts.model_copy(update=timeouts),
            "failover": node.failover.model_copy(update={"statuses": distribution.statuses}),
            "parent_headers": dict(first.headers),
        }
    )
