"""SCTE-35 in `emsg` boxes: what a splice_info_section says, and when (DASH-IF ingest 1.2; ANSI/SCTE 35). Pure.

The time is that of the box. The section's own `pts_time` counts on the clock of some transport stream before it.
"""

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

SCHEME = b"urn:scte:scte35:2013:bin"
MOST_SPLICES = 64
"""Of a segment; real ones have one or two."""
LARGEST_SECTION = 4_096

_OUTS = frozenset({0x22, 0x30, 0x32, 0x34, 0x36, 0x38, 0x3A, 0x3C, 0x44, 0x46})
"""segmentation_type_id of what begins a break, an advertisement or the like; one more ends it (SCTE 35, table 23)."""
_CLOCK = 90_000


class Point(Enum):
    """What a section says of a splice."""

    OUT = "SCTE35-OUT"
    IN = "SCTE35-IN"
    OTHER = "SCTE35-CMD"
    CANCEL = "cancelled"


@dataclass(frozen=True, slots=True)
class Splice:
    """One splice_info_section of a track."""

    at: Fraction
    """Seconds on the track's timeline."""
    section: bytes
    point: Point
    event_id: int = 0
    duration: float | None = None
    """Seconds; None: not said."""
    returns: bool = False
    """It ends after its duration, without another section (auto_return)."""


class BadSplice(ValueError):
    """A box or a section that cannot be read."""


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data)
        self.left = 8 * len(data)

    def take(self, count: int) -> int:
        if count > self.left:
            raise BadSplice("it ends too early")
        self.left -= count
        return self._value >> self.left & ((1 << count) - 1)


def splices_of(lead: bytes, start: Fraction) -> list[Splice | BadSplice]:
    """Those of the boxes that stand before a fragment, which begins at `start` seconds; `BadSplice`: a damaged one."""
    found: list[Splice | BadSplice] = []
    at = 0
    while at + 8 <= len(lead) and len(found) < MOST_SPLICES:
        size = int.from_bytes(lead[at : at + 4])
        if lead[at + 4 : at + 8] == b"emsg":
            try:
                splice = _of_box(lead[at + 8 : at + size], start)
            except BadSplice as error:
                found.append(error)
            else:
                found += [splice] if splice is not None else []
        at += max(size, 8)
    return found


def _of_box(body: bytes, start: Fraction) -> Splice | None:
    """None: it is of another scheme."""
    version, rest = body[:1], body[4:]
    if version == b"\0":
        scheme, _, rest = rest.partition(b"\0")
        _, _, rest = rest.partition(b"\0")
        numbers, section = _Bits(rest[:16]), rest[16:]
        scale, time = numbers.take(32), numbers.take(32)
    elif version == b"\1":
        numbers = _Bits(rest[:20])
        scale, time = numbers.take(32), numbers.take(64)
        scheme, _, rest = rest[20:].partition(b"\0")
        section = rest.partition(b"\0")[2]
    else:
        return None
    if scheme != SCHEME:
        return None
    if not scale or not section or len(section) > LARGEST_SECTION:
        raise BadSplice(f"an emsg with timescale {scale} and {len(section)} bytes")
    return _read(section, Fraction(time, scale) + (start if version == b"\0" else 0))


def _read(section: bytes, at: Fraction) -> Splice:
    bits = _Bits(section)
    if bits.take(8) != 0xFC:
        raise BadSplice("a section that begins with another table_id than 0xFC")
    bits.take(24)  # flags, section_length, protocol_version
    encrypted = bits.take(1)
    bits.take(6 + 33 + 8 + 12)  # encryption_algorithm, pts_adjustment, cw_index, tier
    length, command = bits.take(12), bits.take(8)
    if encrypted or command not in (5, 6):
        return Splice(at, section, Point.OTHER)
    if command == 5:
        return _insert(bits, section, at)
    bits.take(8 * (1 if not bits.take(1) else 5) - 1)  # splice_time
    return _signal(bits, section, at, length)


def _insert(bits: _Bits, section: bytes, at: Fraction) -> Splice:
    """splice_insert (9.7.3)."""
    event, cancelled = bits.take(32), bits.take(1)
    bits.take(7)
    if cancelled:
        return Splice(at, section, Point.CANCEL, event)
    out, whole, timed, immediate = (bits.take(1) for _ in range(4))
    bits.take(4)
    for _ in range(1 if whole else bits.take(8)):
        if not whole:
            bits.take(8)
        if not immediate:
            bits.take(8 * (5 if bits.take(1) else 1) - 1)
    returns = bool(timed and bits.take(1))
    duration = None
    if timed:
        bits.take(6)
        duration = bits.take(33) / _CLOCK
    return Splice(at, section, Point.OUT if out else Point.IN, event, duration, returns)


def _signal(bits: _Bits, section: bytes, at: Fraction, length: int) -> Splice:
    """time_signal (9.7.4), with its first segmentation_descriptor (10.3.3)."""
    left = bits.take(16)
    while left >= 2:
        tag, size = bits.take(8), bits.take(8)
        left -= 2 + size
        body = _Bits(bits.take(8 * size).to_bytes(size))
        if tag != 2 or size < 9 or body.take(32) != 0x43554549:  # "CUEI"
            continue
        event, cancelled = body.take(32), body.take(1)
        body.take(7)
        if cancelled:
            return Splice(at, section, Point.CANCEL, event)
        whole, timed = body.take(1), body.take(1)
        body.take(6)
        if not whole:
            body.take(48 * body.take(8))
        duration = body.take(40) / _CLOCK if timed else None
        body.take(8)
        body.take(8 * body.take(8))  # segmentation_upid
        kind = body.take(8)
        point = Point.OUT if kind in _OUTS else Point.IN if kind - 1 in _OUTS else Point.OTHER
        return Splice(at, section, point, event, duration)
    return Splice(at, section, Point.OTHER)
