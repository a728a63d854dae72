"""What the lead tells a worker beside a response: a stored response that the worker may answer with from now on."""

from typing import Any

import msgspec

from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.store.changes import Changes
from cdnkit.policy.store.entry import Entry
from cdnkit.policy.store.serialise import to_values
from edge.stores import Place

SMALL_BYTES = 64 * 1024
"""Bodies up to this size come with the head, and every worker has a copy: a front copies them behind the head anyway.
Of larger ones the workers map one file, which all of them share."""


class Aside(msgspec.Struct, array_like=True):
    """A stored response as it was at an instant."""

    service: int
    position: int
    """`Changes.position` at that instant."""
    id: int
    values: dict[str, Any]
    """`cdnkit/policy/store/serialise.py`."""
    hits: int
    """How often it was used: the worker counts on from there, as `X-Cache-Hits` shows."""
    vary_fields: list[str]
    """As in `NodeState`: the worker's records keep them, too."""
    body: bytes | Place


class Used(msgspec.Struct, array_like=True):
    """A worker has answered with a stored response."""

    service: int
    key: str
    id: int
    count: int


_encoder, _decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Aside)


def aside_of(machine: EdgeMachine, service: int, entry: Entry, body: bytes | Place, changes: Changes) -> bytes:
    changes.publish(service, machine.events)
    aside = Aside(service, changes.position, entry.id, to_values(entry), entry.hits, sorted(machine.vary_fields), body)
    return _encoder.encode(aside)


def read_aside(octets: bytes) -> Aside:
    return _decoder.decode(octets)
