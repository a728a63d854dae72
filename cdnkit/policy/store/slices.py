"""Slices: a large object fetched and stored in blocks, each a stored response of its own.

A viewer's request becomes requests for the blocks that its range touches, one after another. The first response has the
length of the whole, and gives the viewer's response its head; after that, only bytes follow.

    request                       blocks of 1 MiB requested
    ----------------------------  ------------------------------------------------------------------------------------
    bytes=1500000-2500000         1, 2
    bytes=1500000-                1 ... the last
    bytes=-100                    0, for the length of the whole, then the last
    no range, several ranges      0 ... the last

Blocks go together only while they are of one version: the same strong validator and the same length of the whole (RFC
9111 §3.4). What cannot be sliced (no strong validator, no length, a response that is no 206) is fetched as a whole.

Source: Fastly, "Segmented caching": every block is an object of its own, and an assembly stops at a response that does
not belong to it. CloudFront stores the parts that were requested instead.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from cachetools import LRUCache

from cdnkit.policy.http import etags, ranges
from cdnkit.policy.http.conditions import CONDITIONS
from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.http.ranges import Span
from cdnkit.policy.store.index import Entry
from cdnkit.policy.store.key import SLICE_PREFIX

WHOLE = -1
"""`RequestHead.block` of a request for an object that cannot be sliced."""

REMEMBERED_VERSIONS = 16_384


@dataclass(slots=True)
class Block:
    """One block's share of a response."""

    number: int
    span: Span
    """The wanted bytes, as positions in the whole."""


@dataclass(slots=True)
class Assembly:
    """One viewer's response, to be put together: the next block to request, and whether its response fits."""

    request: RequestHead
    size_bytes: int
    """Length of a block."""
    opening: Entry | None = None
    """The block that gave the head, whose version the others must have."""

    @property
    def ranged(self) -> bool:
        """Whether the viewer wants a part unconditionally."""
        headers = self.request.headers
        return self.request.method == "GET" and "range" in headers and "if-range" not in headers

    def opening_request(self) -> RequestHead:
        """The request for the first block of the range; for block 0 where the range does not name its first byte."""
        wanted = ranges.specs(self.request.headers.first("range") or "") if self.request.method == "GET" else ()
        first = wanted[0][0] if len(wanted) == 1 else None
        return self.block_request((first or 0) // self.size_bytes)

    def block_request(self, number: int) -> RequestHead:
        """The viewer's request, for one block. Its conditions are answered from the head, not by a block."""
        start = number * self.size_bytes
        headers = self.request.headers.without(("range", *CONDITIONS))
        headers.lines.append(("range", f"bytes={start}-{start + self.size_bytes - 1}"))
        return replace(self.request, method="GET", headers=headers, block=number)

    def whole_request(self) -> RequestHead:
        return replace(self.request, block=WHOLE)

    def blocks(self, span: Span) -> Iterator[Block]:
        """The blocks that hold these bytes of the whole, in order. An iterator, since their number is the origin's."""
        size = self.size_bytes
        for number in range(span.start // size, -(-span.stop // size)):
            yield Block(number, Span(max(span.start, number * size), min(span.stop, (number + 1) * size)))

    def locate(self, entry: Entry, wanted: Span) -> Span | None:
        """Where the wanted bytes are in the body of a later block's response; None: that is of another version."""
        if self.opening is None or version_of(entry) != version_of(self.opening):
            return None
        if entry.part is None:
            return wanted
        held = entry.part
        inside = held.start <= wanted.start and wanted.stop <= held.stop
        return Span(wanted.start - held.start, wanted.stop - held.start) if inside else None


Version = tuple[str | None, int | None]
"""Entity tag and length of the whole."""


def version_of(entry: Entry) -> Version:
    return entry.etag, entry.length if entry.part is None else entry.total


def may_be_sliced(entry: Entry) -> bool:
    """Whether further blocks may follow this one: it is a part with a strong ETag, of a whole of known length."""
    return entry.part is not None and entry.total is not None and entry.etag is not None and etags.is_strong(entry.etag)


class Versions:
    """The latest version of each sliced object: blocks of other versions are no longer used.

    Nothing is scanned: an outdated block is found out when it is requested.
    """

    __slots__ = ("_by_object",)

    def __init__(self) -> None:
        self._by_object: LRUCache[str, Version] = LRUCache(REMEMBERED_VERSIONS)

    def record(self, entry: Entry) -> None:
        """A block of this version came from the parent just now."""
        self._by_object[_object_of(entry)] = version_of(entry)

    def outdated(self, entry: Entry) -> bool:
        newest = self._by_object.get(_object_of(entry))
        return newest is not None and newest != version_of(entry)


def _object_of(entry: Entry) -> str:
    return entry.key.rpartition(SLICE_PREFIX)[0]
