"""The addresses on which the cluster of a settings file listens, by setting."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from cdnkit.settings.edge import Node
from cdnkit.settings.origin import Origin

if TYPE_CHECKING:
    from cdnlab.settings.document import Document

Place = tuple[str, str] | tuple[str, int, str]
"""A setting: `("origin", "listen")`, or of a node by its index: `("node", 0, "admin")`."""


def origin_needed(origin: Origin, nodes: Iterable[Node], streams: Iterable[object]) -> bool:
    """Whether the cluster needs our origin: for a stream, for a node, for `/vod/`, or because it has no nodes."""
    nodes = tuple(nodes)
    used = {parent for node in nodes for parent in node.parents}
    ours = {"origin", f"http://{origin.listen}"}
    return any(True for _ in streams) or not nodes or origin.vod is not None or not ours.isdisjoint(used)


def addresses(document: "Document") -> dict[str, str]:
    """Every address on which the cluster listens, by setting."""
    return {spelled_place(document, place): address for place, address in places(document)}


def places(document: "Document") -> Iterator[tuple[Place, str]]:
    """Each address: the setting's path, with a node's index, and its value."""
    if origin_needed(document.origin, document.nodes, document.streams):
        yield ("origin", "listen"), document.origin.listen
        yield ("origin", "ingest"), document.origin.ingest
    yield ("control", "listen"), document.control.listen
    for index, node in enumerate(document.nodes):
        yield ("node", index, "listen"), node.listen
        yield ("node", index, "admin"), node.admin
        if node.listen_tls is not None:
            yield ("node", index, "listen_tls"), node.listen_tls


def spelled_place(document: "Document", place: Place) -> str:
    """As a person reads it: "node[0].admin (fra)"."""
    if len(place) == 2:
        return f"{place[0]}.{place[1]}"
    return f"node[{place[1]}].{place[2]} ({document.nodes[place[1]].name})"


def with_address(document: "Document", place: Place, address: str) -> "Document":
    """The document with another address for one setting."""
    update: dict[str, Any]
    if len(place) == 2:
        table, key = place
        update = {table: getattr(document, table).model_copy(update={key: address})}
    else:
        _, index, key = place
        nodes = list(document.nodes)
        nodes[index] = nodes[index].model_copy(update={key: address})
        update = {"nodes": tuple(nodes)}
    return document.model_copy(update=update)
