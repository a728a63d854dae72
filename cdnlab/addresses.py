"""What the cluster of a settings file listens on, whether that is free, and free ports in the place of what is not."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cdnkit.settings.edge import Node
from cdnkit.settings.origin import Origin
from cdnkit.units import split_address
from cdnlab import ports

if TYPE_CHECKING:
    from cdnlab.document import Document, Loaded

Place = tuple[str, str] | tuple[str, int, str]
"""A setting: `("origin", "listen")`, or of a node by its index: `("node", 0, "admin")`."""


def origin_needed(origin: Origin, nodes: Iterable[Node], streams: Iterable[object]) -> bool:
    """Whether anybody wants our origin: an encoder, a node, a viewer of its files, or one who runs nothing else."""
    nodes = tuple(nodes)
    asked = {parent for node in nodes for parent in node.parents}
    ours = {"origin", f"http://{origin.listen}"}
    return any(True for _ in streams) or not nodes or origin.vod is not None or not ours.isdisjoint(asked)


def addresses(document: "Document") -> dict[str, str]:
    """Every address the cluster of a document listens on, by setting."""
    return {_spelled(document, place): address for place, address in _places(document)}


def check(document: "Document") -> None:
    """Raises `PortsTaken` with every address that cannot be listened on."""
    ports.check(addresses(document))


def with_free_ports(loaded: "Loaded") -> tuple["Loaded", list[str]]:
    """The settings with any free port in the place of each that is taken; what was taken, as a person reads it."""
    document, taken = loaded.document, []
    for place, address in _places(document):
        if ports.why_taken(address) == ports.TAKEN:
            taken.append(f"{_spelled(document, place)} {address}")
            host, _ = split_address(address)
            document = _changed(document, place, f"[{host}]:0" if ":" in host else f"{host}:0")
    return replace(loaded, document=document), taken


def _places(document: "Document") -> Iterator[tuple[Place, str]]:
    """The setting's path, with a node's index, and its value."""
    if origin_needed(document.origin, document.nodes, document.streams):
        yield ("origin", "listen"), document.origin.listen
        yield ("origin", "ingest"), document.origin.ingest
    yield ("control", "listen"), document.control.listen
    for index, node in enumerate(document.nodes):
        yield ("node", index, "listen"), node.listen
        yield ("node", index, "admin"), node.admin
        if node.listen_tls is not None:
            yield ("node", index, "listen_tls"), node.listen_tls


def _spelled(document: "Document", place: Place) -> str:
    if len(place) == 2:
        return f"{place[0]}.{place[1]}"
    return f"node[{place[1]}].{place[2]} ({document.nodes[place[1]].name})"


def _changed(document: "Document", place: Place, address: str) -> "Document":
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
