"""Transport packets and PES headers (ISO/IEC 13818-1 2.4.3).

A segment is made by itself, and players read it after the one before: the continuity counters have to go on. So each
segment begins the counter of its media at 0, and has a multiple of 16 packets of it: its last PES packet is spread
over up to 15 packets more. That costs 2.8 kB at most. To begin anew with `discontinuity_indicator` costs nothing, and
says on the packets with the PCR that the clock jumped (2.4.3.5), which it did not.
"""

from collections.abc import Iterator

PACKET = 188
ROOM = 184
"""Bytes of a packet after its header."""
WRAP = 2**33
"""Of PTS, DTS and PCR base."""

_START = 0x4000
"""payload_unit_start_indicator."""
_FF = b"\xff" * ROOM


def pes_header(stream_id: int, size: int, pts: int, dts: int) -> bytes:
    """The header of a PES packet whose `size` bytes of media begin an access unit; with no DTS that is the PTS."""
    stamps = _stamp(2, pts) if pts == dts else _stamp(3, pts) + _stamp(1, dts)
    length = 3 + len(stamps) + size
    flags = bytes((0x84, 0x80 if pts == dts else 0xC0, len(stamps)))  # data_alignment_indicator
    # 0 is allowed for pictures alone: their end is where the next packet begins.
    return b"\0\0\1" + bytes((stream_id,)) + (length if length < 2**16 else 0).to_bytes(2, "big") + flags + stamps


def _stamp(mark: int, value: int) -> bytes:
    value %= WRAP
    high, middle, low = value >> 30, value >> 15 & 0x7FFF, value & 0x7FFF
    return (mark << 36 | high << 33 | 1 << 32 | middle << 17 | 1 << 16 | low << 1 | 1).to_bytes(5, "big")


def adaptation(*, random_access: bool = False, pcr: int | None = None) -> bytes:
    """An adaptation field's bytes after its length; nothing where it would say nothing."""
    if pcr is None:
        return b"\x40" if random_access else b""
    stamp = (pcr % WRAP << 15 | 0x7E00).to_bytes(6, "big")
    return bytes((0x10 | (0x40 if random_access else 0),)) + stamp


def _stuffed(field: bytes, length: int) -> bytes:
    """An adaptation field of `length` bytes in all."""
    if length < 2:
        return b"\0" * length
    field = field or b"\0"
    return bytes((length - 1,)) + field + _FF[: length - 1 - len(field)]


class Packets:
    """The packets of one PID. Mutable: the continuity counter."""

    def __init__(self, pid: int, counter: int = 0) -> None:
        self._plain = [(0x47 << 24 | pid << 8 | 0x10 | one).to_bytes(4, "big") for one in range(16)]
        self._pid = pid
        self._counter = counter % 16

    def _head(self, *, start: bool, field: bool, payload: bool) -> bytes:
        if payload:
            counter, self._counter = self._counter, (self._counter + 1) % 16
        else:
            counter = (self._counter - 1) % 16  # a packet without payload is not counted
        word = 0x47 << 24 | ((_START if start else 0) | self._pid) << 8
        return (word | (0x20 if field else 0) | (0x10 if payload else 0) | counter).to_bytes(4, "big")

    def write(self, data: bytes, field: bytes = b"", *, last: bool = False) -> Iterator[bytes | memoryview]:
        """Pieces of the packets of one PES packet or section; `field`: what `adaptation` gave.

        `last`: so many packets that the counter would next be 0; `data` then has at least 16 bytes.
        """
        view, at = memoryview(data), 0
        first = ROOM - (len(field) + 1 if field else 0)
        left = 1 + max(0, -(-(len(data) - first) // ROOM))
        if last:
            left += -(self._counter + left) % 16
        while left:
            left -= 1
            room = first if at == 0 else ROOM
            size = min(room, len(data) - at - left)
            if at and size == ROOM:
                yield self._plain[self._counter]
                self._counter = (self._counter + 1) % 16
            else:
                stuffing = ROOM - size
                yield self._head(start=at == 0, field=stuffing > 0, payload=True)
                if stuffing:
                    yield _stuffed(field if at == 0 else b"", stuffing)
            yield view[at : at + size]
            at += size

    def clock(self, pcr: int) -> bytes:
        """A packet that carries a PCR alone."""
        return self._head(start=False, field=True, payload=False) + _stuffed(adaptation(pcr=pcr), ROOM)

    def section(self, data: bytes) -> bytes:
        """The packet of one short section, with its pointer_field (2.4.4.1)."""
        return self._head(start=True, field=False, payload=True) + (b"\0" + data).ljust(ROOM, b"\xff")
