"""Field sections as HTTP/2 has them (HPACK, RFC 7541): read by jh2's decoder in Rust, written here.

What is written leaves the client's table alone: names of the static table, and literal values that are not indexed. So
one block serves every connection, and can be made once for a stored response.

jh2's decoder trusts its block: it panics at one that ends within a string, takes a table size update anywhere, and any
bits behind a Huffman string. So the frame of each block is checked before jh2 sees it, and the padding after.
"""

import re
from collections.abc import Iterable

from jh2._hazmat import Decoder, Encoder, HPACKError, OversizedHeaderListError  # type: ignore[import-untyped]

from cdnkit.serving.frames import Code, ConnectionFault

Came = list[tuple[bytes, bytes, bool]]
"""Names and values, in their order; the last: it must not be indexed."""

TABLE_SIZE_0 = b"\x20"
"""A dynamic table size update. One is due after the client has set the size of its table (§4.2); some clients insist
on it."""

CONNECTION_FIELDS = frozenset({"connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"})
"""They have no place in HTTP/2 (RFC 9113 §8.2.2)."""

LONGEST_INTEGER = 5
"""Octets beyond the prefix: enough for 32 bits."""

_STATUS = {200: 8, 204: 9, 206: 10, 304: 11, 400: 12, 404: 13, 500: 14}
_NAMES = (
    "accept-charset accept-encoding accept-language accept-ranges accept access-control-allow-origin age allow "
    "authorization cache-control content-disposition content-encoding content-language content-length "
    "content-location content-range content-type cookie date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified link location max-forwards "
    "proxy-authenticate proxy-authorization range referer refresh retry-after server set-cookie "
    "strict-transport-security transfer-encoding user-agent vary via www-authenticate"
)
_STATIC = {name: index for index, name in enumerate(_NAMES.split(), 15)}
"""Names of the static table (RFC 7541, appendix A)."""

_encode = Encoder().add
_BITS = bytes(len(_encode((b"", bytes((octet,)) * 8), True, True)) - 3 for octet in range(256))
"""Of the Huffman code of each octet: eight of the same take as many octets as one takes bits."""

_INDEXED = re.compile(rb"[\x81-\xfe]*")


class FieldDecoder:
    """Reads the field sections of one connection, in the order in which they come."""

    def __init__(self, largest: int) -> None:
        """`largest`: bytes of a section, each field with 32 more. A larger one ends the connection: what it does to
        the shared table is not known then."""
        self._decode = Decoder(largest).decode
        self.table_changed = False
        """By the last section."""

    def decode(self, block: bytes) -> Came:
        found = huffman_strings(block)
        if found is None:
            raise ConnectionFault(Code.COMPRESSION_ERROR)
        compressed, self.table_changed = found
        try:
            came: Came = self._decode(block, True)
        except OversizedHeaderListError:
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM) from None
        except HPACKError:
            raise ConnectionFault(Code.COMPRESSION_ERROR) from None
        for field, part, end, size in compressed:
            padding = 8 * size - sum((came[field][1] if part else came[field][0]).translate(_BITS))
            if not 0 <= padding < 8 or ~block[end - 1] & ((1 << padding) - 1):
                raise ConnectionFault(Code.COMPRESSION_ERROR)  # it is of ones, and shorter than an octet (§5.2)
        return came


def huffman_strings(block: bytes) -> tuple[list[tuple[int, int, int, int]], bool] | None:
    """Of each one: the number of its field, 0 for its name or 1 for its value, its end, and its size in octets; and
    whether the block changes the table.

    None: the last representation does not end where the block does, or a table size comes behind a field.
    """
    found = _INDEXED.match(block)
    fields = at = found.end() if found else 0
    end = len(block)
    compressed, changes = [], False
    while at < end:
        first = block[at]
        at += 1
        if first & 0xE0 == 0x20:
            if fields:
                return None
            changes = True
            at += integer(block, at)[0] if first == 0x3F else 0
            continue
        fields += 1
        if first & 0x80:
            at += integer(block, at)[0] if first == 0xFF else 0
            continue
        changes = changes or bool(first & 0x40)
        prefix = 0x3F if first & 0x40 else 0x0F
        index = first & prefix
        if index == prefix:
            at += integer(block, at)[0]
        for part in (1,) if index else (0, 1):
            if at >= end:
                return None
            form = block[at]
            size = form & 0x7F
            at += 1
            if size == 0x7F:
                more, beyond = integer(block, at)
                at, size = at + more, size + beyond
            at += size
            if form & 0x80 and size:
                compressed.append((fields - 1, part, at, size))
    return (compressed, changes) if at == end else None


def integer(block: bytes, at: int) -> tuple[int, int]:
    """The rest of an integer: its octets, and what they add. One without an end is longer than any block."""
    value = shift = 0
    for octet in block[at : at + LONGEST_INTEGER]:
        value |= (octet & 0x7F) << shift
        shift += 7
        if octet < 0x80:
            return shift // 7, value
    return len(block) + 1, 0


def _number(value: int, prefix: int, first: int) -> bytes:
    """An integer in `prefix` bits of its first octet, the others as in `first` (§5.1)."""
    most = (1 << prefix) - 1
    if value < most:
        return bytes((first | value,))
    octets = bytearray((first | most,))
    value -= most
    while value > 0x7F:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    octets.append(value)
    return bytes(octets)


def status_block(status: int) -> bytes:
    """The beginning of a response's section."""
    known = _STATUS.get(status)
    return bytes((0x80 | known,)) if known else b"\x08\x03%d" % status


def field_block(lines: Iterable[tuple[str, str]]) -> bytes:
    """Field lines; those that belong to a connection of HTTP/1.1 are left out."""
    parts: list[bytes] = []
    for name, value in lines:
        name = name.strip(" \t").lower()
        if name in CONNECTION_FIELDS:
            continue
        index = _STATIC.get(name)
        if index is None:
            octets = name.encode("latin-1")
            parts += (b"\0", _number(len(octets), 7, 0), octets)
        else:
            parts.append(_number(index, 4, 0))
        octets = value.strip(" \t").encode("latin-1")
        parts += (_number(len(octets), 7, 0), octets)
    return b"".join(parts)


def lines_block(lines: Iterable[tuple[bytes, bytes]]) -> bytes:
    """As `field_block`, of lines as ASGI has them."""
    return field_block((name.decode("latin-1"), value.decode("latin-1")) for name, value in lines)
