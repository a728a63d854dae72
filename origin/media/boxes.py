"""ISO BMFF boxes out of bytes that arrive in any pieces.

A box is a 32-bit size, four letters and a payload; size 1 puts a 64-bit size behind the letters, size 0 means
"to the end of the file" (ISO/IEC 14496-12 4.2). Only one top-level box is ever held, and never more than
`largest` bytes.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from origin.errors import BadMedia, NotSupported, TooLarge

_HEADER = struct.Struct(">I4s")
_LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -_.\xa9")

_FIRST = frozenset({"ftyp", "styp", "moov", "moof", "prft", "emsg", "sidx", "mdat", "free", "skip"})
"""What the media of an encoder begin with."""


@dataclass(slots=True)
class Box:
    """One box; `data` is all of it, header too, and `offset` its place in the request's body."""

    kind: str
    offset: int
    data: bytes
    header: int
    """Length of the header: 8 or 16 bytes."""

    @property
    def payload(self) -> memoryview:
        return memoryview(self.data)[self.header :]


class BoxReader:
    """Push parser of top-level boxes: the same boxes, and the same error, however the bytes are cut."""

    def __init__(self, largest: int, smaller: Mapping[str, int] | None = None) -> None:
        """`smaller`: bounds of their own for boxes of these kinds."""
        self._largest = largest
        self._smaller = smaller or {}
        self._buffer = bytearray()
        self._offset = 0

    @property
    def offset(self) -> int:
        """Where the next box begins."""
        return self._offset

    @property
    def held(self) -> int:
        """Bytes that are no whole box yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Iterator[Box]:
        """The boxes completed by `data`. `BadMedia`: what cannot be a box, or one larger than allowed.

        The generator must be run to its end before the next call.
        """
        buffer = self._buffer
        buffer += data
        while len(buffer) >= 8:
            size, letters = _HEADER.unpack_from(buffer)
            header = 8
            where = f"byte {self._offset}"
            if not _LETTERS.issuperset(letters):
                kind_of_error = BadMedia if self._offset else NotSupported
                raise kind_of_error(where, f"bytes {bytes(buffer[:8]).hex(' ')}", "an ISO BMFF box")
            kind = letters.decode("latin-1")
            if size == 1:
                header = 16
                if len(buffer) < 16:
                    return
                size = int.from_bytes(buffer[8:16], "big")
            elif size == 0:
                raise BadMedia(f"{where}, {kind}", "a box of open size", "boxes that say their size")
            if size < header:
                raise BadMedia(f"{where}, {kind}", f"size {size}", f"at least the header's {header} bytes")
            if size > (most := self._smaller.get(kind, self._largest)):
                # Text and other containers look like boxes of any size.
                too_large = TooLarge if self._offset or kind in _FIRST else NotSupported
                raise too_large(f"{where}, {kind}", f"size {size}", f"at most {most} bytes")
            if len(buffer) < size:
                return
            box = Box(kind, self._offset, bytes(memoryview(buffer)[:size]), header)
            del buffer[:size]
            self._offset += size
            yield box

    def finish(self) -> None:
        """The bytes have ended; `BadMedia` if they ended inside a box."""
        if not self._buffer:
            return
        kind = self._buffer[4:8].decode("latin-1", "replace")
        wanted = "the whole box"
        if len(self._buffer) >= 8 and (size := int.from_bytes(self._buffer[:4], "big")) > 1:
            wanted = f"all {size} bytes of the box"
        where = f"byte {self._offset}, {kind}" if kind else f"byte {self._offset}"
        raise BadMedia(where, f"the end after {len(self._buffer)} bytes", wanted)


def children(data: memoryview, where: str) -> Iterator[tuple[str, memoryview]]:
    """(kind, payload) of the boxes inside a box; `where` names it in errors."""
    at, end = 0, len(data)
    while at < end:
        if end - at < 8:
            raise BadMedia(where, f"{end - at} bytes after the last box", "boxes that fill their parent")
        size, letters = _HEADER.unpack_from(data, at)
        header = 8
        if size == 1 and end - at >= 16:
            header, size = 16, int.from_bytes(data[at + 8 : at + 16], "big")
        elif size == 0:  # allowed for the last child: it reaches to the end of its parent
            size = end - at
        if not header <= size <= end - at:
            raise BadMedia(f"{where}/{letters.decode('latin-1')}", f"size {size}", f"{header} to {end - at} bytes")
        yield letters.decode("latin-1"), data[at + header : at + size]
        at += size


class Fields:
    """The fixed fields of one box, read in order; reading past the end is `BadMedia`, not a traceback."""

    __slots__ = ("_at", "_data", "where")

    def __init__(self, data: memoryview, where: str) -> None:
        self._data = data
        self._at = 0
        self.where = where

    def take(self, count: int) -> memoryview:
        if count < 0 or self._at + count > len(self._data):
            raise BadMedia(self.where, f"{len(self._data)} bytes", f"at least {self._at + count}")
        piece = self._data[self._at : self._at + count]
        self._at += count
        return piece

    def uint(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    def version_and_flags(self) -> tuple[int, int]:
        return self.uint(1), self.uint(3)

    def words(self, count: int) -> tuple[int, ...]:
        """`count` unsigned 32-bit numbers."""
        return struct.unpack(f">{count}I", self.take(4 * count))

    def rest(self) -> memoryview:
        return self._data[self._at :]
