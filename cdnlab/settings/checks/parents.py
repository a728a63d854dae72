"""Checks on a node's parents, which must lead to the origin, and on settings that would have no effect."""

from collections.abc import Iterator

from cdnkit.settings.edge import Failover, Health, HealthCheck, Node
from cdnkit.settings.parent_url import WANTED, parent_url
from cdnkit.vendors import PROFILES
from cdnlab.settings.checks.draft import Draft, Finding
from cdnlab.settings.complaints import nearest, shown
from cdnlab.settings.positions import Path as KeyPath


def parents(draft: Draft) -> Iterator[Finding]:
    by_name = {node.name: node for node in draft.nodes.values() if node.name != "origin"}
    for index, node in draft.nodes.items():
        ways: list[tuple[KeyPath, str]] = [(("node", index, "parent"), node.parent)]
        ways += [(("node", index, "failover", "to", place), other) for place, other in enumerate(node.failover.to)]
        for path, parent in ways:
            if "://" in parent:
                if parent_url(parent) is None:
                    yield Finding(path, shown(parent), WANTED)
            elif parent != "origin" and parent not in draft.node_names:
                yield Finding(
                    path, shown(parent), '"origin", the name of a node, or a URL',
                    nearest(parent, sorted(draft.node_names | {"origin"}), keys=False),
                )  # fmt: skip
                continue
            way = _way(parent, node.name, by_name) if node.name in by_name else []
            # A loop is reported once, at the first of its nodes in the file.
            if way and index == min(i for i, one in draft.nodes.items() if one.name in way):
                yield Finding(
                    path, f"the loop {' -> '.join([node.name, *way])}", "a path that ends at the origin"
                )  # fmt: skip
        for place, (path, parent) in enumerate(ways):
            if any(parent == earlier for _, earlier in ways[:place]):
                yield Finding(path, shown(parent), "a parent that is not listed before")
        if draft.profile == "cloudfront" and len(node.failover.to) > 1:
            found = f"{len(node.failover.to)} parents"
            yield Finding(("node", index, "failover", "to"), found, "one: CloudFront's origin groups have two members")


def _way(here: str, there: str, by_name: dict[str, Node], passed: frozenset[str] = frozenset()) -> list[str]:
    """The nodes on a path from one node over its parents to another, both included; empty if there is no path."""
    if here == there:
        return [there]
    if here not in by_name or here in passed:
        return []
    for parent in by_name[here].parents:
        if way := _way(parent, there, by_name, passed | {here}):
            return [here, *way]
    return []


def override_hosts(draft: Draft) -> Iterator[Finding]:
    """CloudFront does not allow Host as an origin custom header."""
    for index, node in draft.nodes.items() if draft.profile == "cloudfront" else ():
        for name in node.parent_headers:
            if name.lower() == "host":
                hint = 'key.headers = ["Host"] or origin_request_policy = "HostHeaderOnly" forwards the viewer\'s.'
                wanted = 'other fields (profile = "cloudfront" sets no Host)'
                yield Finding(("node", index, "parent_headers", name), name, wanted, hint)


def idle(draft: Draft) -> Iterator[Finding]:
    """Settings of a node that have no effect without another setting."""
    profile = PROFILES.get(draft.profile)
    shields = {parent for node in draft.nodes.values() for parent in node.parents}
    for index, node in draft.nodes.items():
        path: KeyPath = ("node", index)
        if node.tls != "local" and node.listen_tls is None:
            yield Finding((*path, "tls"), "no listen_tls", "listen_tls beside tls: HTTP has no certificate")
        if node.failover.statuses != Failover().statuses and not node.failover.to:
            yield Finding((*path, "failover", "statuses"), "no failover.to", "a parent to try at these statuses")
        for key in ("within", "rest"):
            if not node.health.failures and getattr(node.health, key) != getattr(Health(), key):
                yield Finding(
                    (*path, "health", key), "failures = 0", "failures = 1 or more, for this to have an effect"
                )
        if node.health.check.path is None and node.health.check != HealthCheck():
            yield Finding((*path, "health", "check"), "no path", "a path, without which there are no checks")
        if node.client_from is not None and not node.trusted:
            yield Finding((*path, "client_from"), "trusted = []", "networks in trusted, whose fields are read")
        if node.rate_limit is not None and node.name in shields:
            yield Finding((*path, "rate_limit"), shown(node.name), "an edge: this node's clients are other nodes")
        if profile is not None and node.timeouts.retry_reads and node.timeouts.waits(profile.waits).attempts == 1:
            yield Finding((*path, "timeouts", "retry_reads"), "attempts = 1", "attempts = 2 or more with retry_reads")
