"""What a lead and a worker tell each other beside requests: a letter, and what belongs to it."""

import msgspec

from edge.workers.asides import Used

READY = b"r"
"""The worker accepts connections."""
USED = b"u"
"""`Used`s, which the worker has answered with."""
STATE = b"s"
"""The worker lives, and a `State`."""
CLOSE = b"c"
"""From the lead: drain, and end."""


class State(msgspec.Struct):
    """A worker's part of `/healthz`."""

    hits: int
    """Requests that it answered itself."""
    copies: int
    """Stored responses that it can answer with."""
    memory_bytes: int
    emptied: int
    """How often it dropped all copies at once."""
    lost_records: int
    records_failing: str


encoded = msgspec.msgpack.Encoder().encode
read_used = msgspec.msgpack.Decoder(list[Used]).decode
read_state = msgspec.msgpack.Decoder(State).decode
