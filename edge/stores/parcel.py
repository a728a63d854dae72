"""A head and a body as one value, for a store that keeps values: versioned, and whole or nothing.

cdnlab <version> <CRC-32 of all that follows this line, hex> <bytes of the head>\\n
<head: JSON><body>
"""

import json
import zlib
from typing import Any

from cdnkit.policy.store import serialise as stored

FORMAT = 1
VERSION = FORMAT * 1000 + stored.FORMAT


def pack(head: dict[str, Any], body: bytes) -> bytes:
    text = json.dumps(head, separators=(",", ":")).encode("ascii")
    crc = zlib.crc32(body, zlib.crc32(text))
    return b"cdnlab %d %08x %d\n%b%b" % (VERSION, crc, len(text), text, body)


def unpack(parcel: bytes) -> tuple[dict[str, Any], bytes] | None:
    """(head, body); None when it is not a whole parcel of this version."""
    line, _, rest = parcel.partition(b"\n")
    try:
        name, version, crc, length = line.split(b" ")
        if (name, int(version)) != (b"cdnlab", VERSION) or zlib.crc32(rest) != int(crc, 16):
            return None
        return json.loads(rest[: int(length)]), rest[int(length) :]
    except ValueError:
        return None
