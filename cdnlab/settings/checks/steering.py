"""Checks that players can be told where the edges are."""

from collections.abc import Iterator

from cdnlab.settings.checks.draft import Draft, Finding
from cdnlab.settings.complaints import shown
from cdnlab.settings.steering import address_of


def pathways(draft: Draft) -> Iterator[Finding]:
    """The pathways of content steering, where they are left out."""
    if draft.origin is None or (steering := draft.origin.steering) is None or steering.pathways:
        return
    upper = {parent for node in draft.nodes.values() for parent in node.parents}
    edges = [node for node in draft.nodes.values() if node.name not in upper]
    unknown = [edge for edge in edges if address_of(edge) is None]
    if not edges or unknown:
        found = f'"{unknown[0].listen}" of {unknown[0].name}' if unknown else "no edge"
        wanted = 'pathways, such as { fra = "https://fra.example.com" }: players cannot be told of another address'
        yield Finding(("origin", "steering"), found, wanted)
    names = [edge.name for edge in edges]
    for one in steering.priority:
        if edges and one not in names:
            yield Finding(("origin", "steering", "priority"), shown(one), f"edges ({', '.join(names)})")
