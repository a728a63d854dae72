"""A draft: the parts of a settings file that are valid by themselves. A finding: what is wrong between them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cdnkit.policy.gate.hosts import Hostname
from cdnkit.policy.rules.response_headers import Cors
from cdnkit.policy.rules.service import Behavior
from cdnkit.policy.rules.tokens import Token
from cdnkit.settings.edge import Node, Whereabouts
from cdnkit.settings.origin import Origin
from cdnkit.settings.transcode import Stream
from cdnlab.control.settings import Control
from cdnlab.settings.hosted import HostedService
from cdnlab.settings.positions import Path as KeyPath


@dataclass(frozen=True)
class Finding:
    """One thing wrong; `found` and `wanted` as in `cdnlab.errors.Complaint`."""

    path: KeyPath
    found: str
    wanted: str
    hint: str = ""


@dataclass
class Draft:
    """The parts of a document that are valid by themselves, by their index in the file."""

    profile: str = "rfc9111"
    streams: dict[int, Any] = field(default_factory=dict)
    behaviors: dict[int, Behavior] = field(default_factory=dict)
    nodes: dict[int, Node] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    node_names: set[str] = field(default_factory=set)
    """The names of all nodes, also of invalid ones."""
    token_names: set[str] = field(default_factory=set)
    response_headers: set[str] = field(default_factory=set)
    """Names of all response headers policies."""
    cors: dict[str, Cors] = field(default_factory=dict)
    timed: set[str] = field(default_factory=set)
    """Names of response headers policies with `server_timing`."""
    origin: Any = None
    geo: Whereabouts | None = None
    control: Control | None = None
    services: dict[str, HostedService] = field(default_factory=dict)
    hostnames: tuple[str, ...] = ()
    observed: bool = False
    folder: Path = Path()
    """The folder to which relative paths are relative."""


def salvaged(data: dict[str, Any]) -> Draft:
    """The valid parts of an invalid document, so that what is wrong between them is reported, too."""
    draft = Draft(profile=str(data.get("profile", "rfc9111")))

    def part(model: Any, value: Any) -> Any:
        try:
            return model.validate_python(value) if isinstance(model, TypeAdapter) else model.model_validate(value)
        except ValidationError:
            return None

    def array(key: str, model: type[Any]) -> dict[int, Any]:
        values = data.get(key)
        parts = {index: part(model, value) for index, value in enumerate(values if isinstance(values, list) else ())}
        return {index: value for index, value in parts.items() if value is not None}

    def names(key: str) -> set[str]:
        values = data.get(key)
        if isinstance(values, dict):
            return set(values)
        values = values if isinstance(values, list) else ()
        return {value["name"] for value in values if isinstance(value, dict) and isinstance(value.get("name"), str)}

    draft.streams = array("stream", Stream)
    draft.behaviors = array("behavior", Behavior)
    draft.nodes = array("node", Node)
    services = data.get("service")
    for name, value in (services if isinstance(services, dict) else {}).items():
        hosted = part(HostedService, value)
        if hosted is not None:
            draft.services[name] = hosted
    draft.hostnames = part(TypeAdapter(tuple[Hostname, ...]), data.get("hostnames", ())) or ()
    draft.node_names, draft.token_names = names("node"), names("token")
    draft.response_headers = names("response_headers")
    tokens = data.get("token")
    for name, value in (tokens if isinstance(tokens, dict) else {}).items():
        token = part(TypeAdapter(Token), value)
        if token is not None:
            draft.tokens[name] = token
    draft.origin = part(Origin, data.get("origin", {}))
    draft.control = part(Control, data.get("control", {}))
    draft.geo = part(Whereabouts, data.get("geo", {}))
    return draft
