"""Field sections that are as an earlier one of their connection, but for the path: they are not decoded again.

Clients write a path as a literal that is not indexed (nghttp2, Chromium, Firefox), behind fields that are indexed. Its
octets always mean the same. What is around it means what it meant, as long as no block changes the table:

    indexed fields   0x04, a string: the path   other fields
    └──────────────── the frame ────────────────────────────┘ without that string
"""

import re

from cdnkit.serving.heads import LONGEST_REMEMBERED, REMEMBERED
from cdnkit.serving.heads_http2 import Head
from cdnkit.serving.hpack import integer

FRAMES = 16
"""Of one connection. A client's requests differ in their paths, and in a range or a validator."""
FRAME_BYTES = 256
"""Of a frame that is remembered: so many that all of a connection take 5 kB. Most have an octet for each field."""

_BEFORE_PATH = re.compile(rb"[\x81-\xfe]*\x04")


class Paths:
    """The paths that were read last on any connection, by the octets of their strings."""

    __slots__ = ("_known", "_older")

    def __init__(self) -> None:
        self._known: dict[bytes, str] = {}
        self._older: dict[bytes, str] = {}

    @property
    def remembered(self) -> int:
        return len(self._known) + len(self._older)

    def get(self, octets: bytes) -> str | None:
        path = self._known.get(octets)
        if path is None:
            path = self._older.get(octets)
            if path is not None:
                self.put(octets, path)
        return path

    def put(self, octets: bytes, path: str) -> None:
        if len(octets) <= LONGEST_REMEMBERED:
            if len(self._known) >= REMEMBERED // 2:
                self._older, self._known = self._known, {}
            self._known[octets] = path


class KnownBlocks:
    """Those of one connection."""

    __slots__ = ("_heads", "_paths")

    def __init__(self, paths: Paths) -> None:
        self._heads: dict[bytes, Head] = {}
        """By frame."""
        self._paths = paths

    def find(self, block: bytes) -> tuple[Head, str] | None:
        """What the block means: a head, and its path. None: it is to be decoded."""
        if not self._heads:
            return None
        found = _parts(block)
        if found is None:
            return None
        frame, octets = found
        head = self._heads.get(frame)
        if head is None:
            return None
        path = self._paths.get(octets)
        return None if path is None else (head, path)

    def learn(self, block: bytes, head: Head, path: str) -> None:
        """What a block meant that left the table alone, and whose head is remembered."""
        found = _parts(block)
        if found is not None and head.remembered and len(found[0]) <= FRAME_BYTES:
            frame, octets = found
            if len(self._heads) >= FRAMES:
                self._heads.clear()
            self._heads[frame] = head
            self._paths.put(octets, path)

    def forget(self) -> None:
        """The table is another."""
        self._heads.clear()


def _parts(block: bytes) -> tuple[bytes, bytes] | None:
    """The frame, and the path's octets with their length. A string that does not end within the block is no path that
    was ever learnt."""
    before = _BEFORE_PATH.match(block)
    if before is None:
        return None
    at = before.end()
    size = block[at : at + 1]
    if not size:
        return None
    end = at + 1 + (size[0] & 0x7F)
    if size[0] & 0x7F == 0x7F:
        more, beyond = integer(block, at + 1)
        end += more + beyond
    return block[:at] + block[end:], block[at:end]
