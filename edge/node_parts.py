"""What every process of a node is made of, whether it leads or is one of its workers."""

import secrets as randomness
from collections.abc import Callable, Mapping
from pathlib import Path

from cdnkit.policy.gate.gate import ServiceGate
from cdnkit.policy.http.client import ClientField
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.service import Service
from cdnkit.policy.store.eviction import Room
from cdnkit.settings.edge import Limits, Node, Whereabouts
from edge.codings import ENCODERS
from edge.log import RecordLog
from edge.viewers import Viewers

_BELIEVED: dict[bool, tuple[ClientField, ...]] = {
    True: ("CDNLab-Client-IP",),
    False: ("CDNLab-Client-IP", "X-Forwarded-For"),
}
"""`client_from` where a node's settings leave it out: at a node that viewers come to (True), and at a shield."""


def viewers_of(node: Node, geo: Whereabouts, *, gate: bool) -> Viewers:
    """`gate`: viewers come to it. Raises `BadDatabase`."""
    believed = _BELIEVED[gate] if node.client_from is None else node.client_from
    return Viewers(geo, trusted=node.trusted, believed=believed)


def machine_of(
    node: Node,
    service: Service,
    profile: Profile,
    keys: Mapping[str, Mapping[str, str]],
    fresh_room: Callable[[], Room] | None = None,
) -> EdgeMachine:
    """The machine of one service, which has the node's part of its rules. `fresh_room`: as `NodeOptions` has it."""
    gate, limits = ServiceGate(service, keys), node.limits.of_requests()
    codings = ENCODERS.keys()
    if fresh_room is None:
        return EdgeMachine(service, profile, gate=gate, limits=limits, fresh_id=_request_id, codings=codings)
    return EdgeMachine(
        service, profile, gate=gate, limits=limits, fresh_id=_request_id, codings=codings, fresh_room=fresh_room
    )


def log_of(node: Node, services: int, file: Path | None) -> RecordLog:
    """The records of one process of one of so many services: all have an equal part of the room."""
    return RecordLog(file, int(node.records) // services // node.workers)


def limits_of(node: Node) -> Limits:
    """Those of a listener of one process: the connections are divided among all."""
    if node.workers == 1:
        return node.limits
    return node.limits.model_copy(update={"connections": -(-node.limits.connections // node.workers)})


def _request_id() -> str:
    """56 characters as CloudFront's are, the last two "=="."""
    return randomness.token_urlsafe(40) + "=="
