"""The pathways of content steering that a settings file leaves out: its edges."""

from collections.abc import Iterable

from cdnkit.settings.edge import Node
from cdnkit.settings.origin import Origin
from cdnkit.units import split_address


def address_of(edge: Node) -> str | None:
    """The base URL by which viewers reach an edge; None: its `listen` does not say it."""
    host, port = split_address(edge.listen)
    return None if port == 0 or host in ("0.0.0.0", "::") else f"http://{edge.listen}"


def with_pathways(origin: Origin, edges: Iterable[Node]) -> Origin:
    """An origin that steers, with the edges as its pathways unless it has others."""
    if origin.steering is None or origin.steering.pathways:
        return origin
    found = {edge.name: url for edge in edges if (url := address_of(edge)) is not None}
    return origin.model_copy(update={"steering": origin.steering.model_copy(update={"pathways": found})})
