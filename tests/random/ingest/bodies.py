"""Bodies of ingest requests and what may be wrong with them, as values that can be printed, and made smaller.

A request is a slice of a track that is well, then damages in order. A damage names what it does and where, as fractions
of what there is, so that it means something whatever the others have left.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from random import Random

from origin.media.fragments import of_samples
from origin.media.samples import NON_SYNC, Samples
from origin.media.tracks import read_init
from tests.kit.cmaf_sender import box, prft, styp
from tests.unit.origin.media.test_fragments import FTYP
from tests.unit.origin.media.test_sample_entries import asc, avcc, esds, pictures, sound
from tests.unit.origin.media.test_tracks import init

SCALE = 48_000
FRAGMENTS = 12
"""Of each track, half a second each."""
TRACKS = {"v.cmfv": (1920, 25), "w.cmfv": (1920, 25), "a.cmfa": (1024, 23)}
"""Path, ticks of a sample, samples of a fragment; sound has 23 or 24, as its frames fall."""


@cache
def header(path: str) -> bytes:
    if path.endswith("a"):
        return read_init(FTYP, init(box(b"mp4a", sound(esds(asc(2, 2)))))).data
    return read_init(FTYP, init(box(b"avc1", pictures(avcc())), b"vide")).data


@cache
def fragments(path: str, start: int = 0) -> tuple[bytes, ...]:
    """Pictures with a key frame a second; `start` in ticks."""
    found, at = [], start
    for index in range(FRAGMENTS):
        ticks, count = TRACKS[path]
        if path.endswith("a"):
            count = round((start + (index + 1) * SCALE / 2 - at) / ticks)
            table = Samples((ticks,) * count, (8,) * count, (0,) * count, (0,) * count)
        else:
            count = 12 + index % 2  # 25 a second
            key = 0 if index % 2 == 0 else NON_SYNC
            table = Samples((ticks,) * count, (9,) * count, (key, *[NON_SYNC] * (count - 1)), (0,) * count)
        sample = b"\0\0\0\x05\x41abcd" if not path.endswith("a") else b"12345678"
        one = of_samples(table, 7, at, sample * count)
        found.append(one.data)
        at = one.end
    return tuple(found)


@dataclass(frozen=True)
class Damage:
    """`where` and `much` are in [0, 1)."""

    kind: str
    where: float = 0.0
    much: float = 0.0


@dataclass(frozen=True)
class Post:
    """One request: `first` to `end` of the track's fragments, `begins` with its header or not."""

    path: str
    first: int = 0
    end: int = FRAGMENTS
    begins: bool = True
    ends: bool = True
    """As HTTP says it should; else the connection breaks."""
    client: int = 0
    """Whose connection it comes on."""
    piece: int = 4096
    """Bytes that come at once."""
    start: int = 0
    """Of the track, in ticks."""
    after: float = 0.0
    """When it begins, among the others: 0 at once, 1 when all of them are over."""
    damages: tuple[Damage, ...] = field(default=())

    def body(self) -> bytes:
        parts = [header(self.path)] if self.begins else []
        parts += fragments(self.path, self.start)[self.first : self.end]
        data = b"".join(parts)
        for damage in self.damages:
            data = DAMAGES[damage.kind](data, damage)
        return data


Case = tuple[Post, ...]


def _units(data: bytes) -> list[bytes]:
    """Boxes, as far as there are any; the rest is one."""
    found, at = [], 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8 or at + size > len(data):
            break
        found.append(data[at : at + size])
        at += size
    return [*found, data[at:]] if at < len(data) else found


def _pick(units: list[bytes], damage: Damage) -> int:
    return int(damage.where * len(units))


def _of_units(change: Callable[[list[bytes], int, Damage], None]) -> Callable[[bytes, Damage], bytes]:
    def damaged(data: bytes, damage: Damage) -> bytes:
        units = _units(data)
        if units:
            change(units, _pick(units, damage), damage)
        return b"".join(units)

    return damaged


SIZES = (0, 1, 7, 8, 16, 2**31, 2**32 - 1)


def _size(units: list[bytes], at: int, damage: Damage) -> None:
    right = len(units[at])
    wrong = (*SIZES, right - 1, right + 1, right + 8)
    units[at] = struct.pack(">I", max(0, wrong[int(damage.much * len(wrong))]) % 2**32) + units[at][4:]


def _long(units: list[bytes], at: int, damage: Damage) -> None:
    """A size of 64 bits: the right one, or one that nobody has."""
    one = units[at]
    size = len(one) + 8 if damage.much < 0.7 else (2**63, 15, 0)[int(damage.much * 10) % 3]
    units[at] = struct.pack(">I", 1) + one[4:8] + struct.pack(">Q", size) + one[8:]


def _twice(units: list[bytes], at: int, damage: Damage) -> None:
    units.insert(at, units[at])


def _again(units: list[bytes], at: int, damage: Damage) -> None:
    """A whole fragment a second time, perhaps later."""
    at -= at % 2
    units[max(at, int(damage.much * len(units))) : 0] = units[at : at + 2]


def _gone(units: list[bytes], at: int, damage: Damage) -> None:
    del units[at]


def _swap(units: list[bytes], at: int, damage: Damage) -> None:
    other = int(damage.much * len(units))
    units[at], units[other] = units[other], units[at]


INSERTED = (
    box(b"free", b"x" * 9), box(b"skip"), box(b"uuid", bytes(16)), styp(b"msdh", b"lmsg"), styp(b"slat"), prft(),
    box(b"emsg", bytes(30)), box(b"sidx", bytes(24)), box(b"mfra"), box(b"mdat", b"lonely"), box(b"moof"),
    box(b"moof", box(b"traf")), b"\0\0\0\x08\xff\xff\xff\xff", b"GET / HTTP/1.1\r\n", header("a.cmfa"), header("v.cmfv"),
)  # fmt: skip


def _insert(units: list[bytes], at: int, damage: Damage) -> None:
    units.insert(at, INSERTED[int(damage.much * len(INSERTED))])


def _cut(data: bytes, damage: Damage) -> bytes:
    return data[: int(damage.where * len(data))]


def _flip(data: bytes, damage: Damage) -> bytes:
    """One byte, nearly always of a `moov` or `moof`: these tests' samples are small."""
    if not data:
        return data
    at = int(damage.where * len(data))
    return data[:at] + bytes([data[at] ^ (1 << int(damage.much * 8))]) + data[at + 1 :]


def _field(data: bytes, damage: Damage) -> bytes:
    """Four bytes of a field become a number at the edge of what fits."""
    at = int(damage.where * len(data))
    edge = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)[int(damage.much * 5)]
    return data[:at] + struct.pack(">I", edge) + data[at + 4 :]


def _later(units: list[bytes], at: int, damage: Damage) -> None:
    """From here on, decode times are others: seconds, a part of a second, or days away."""
    shift = (-240_000, -48_000, -24_000, -1, 1, 700, 24_000, 48_000, 480_000, 2**40)[int(damage.much * 10)]
    for index in range(at, len(units)):
        if units[index][4:8] == b"moof" and (where := units[index].find(b"tfdt")) > 0 and units[index][where + 4] == 1:
            time = int.from_bytes(units[index][where + 8 : where + 16], "big") + shift
            units[index] = units[index][: where + 8] + struct.pack(">Q", time % 2**64) + units[index][where + 16 :]


DAMAGES: dict[str, Callable[[bytes, Damage], bytes]] = {
    "size": _of_units(_size), "long": _of_units(_long), "twice": _of_units(_twice), "again": _of_units(_again),
    "gone": _of_units(_gone), "swap": _of_units(_swap), "insert": _of_units(_insert), "later": _of_units(_later),
    "cut": _cut, "flip": _flip, "field": _field,
}  # fmt: skip


def some_case(chance: Random) -> Case:
    """Some requests, most of them well: damage is found where what surrounds it is taken."""
    posts = []
    for _ in range(chance.choice((1, 2, 2, 3, 3, 4, 6))):
        first = chance.choice((0, 0, 0, chance.randrange(FRAGMENTS)))
        damages = [
            Damage(chance.choice(list(DAMAGES)), int(1000 * chance.random()) / 1000, int(1000 * chance.random()) / 1000)
            for _ in range(chance.choice((0, 0, 1, 1, 1, 2, 3)))
        ]
        posts.append(
            Post(
                path=chance.choice(list(TRACKS)),
                first=first,
                end=chance.choice((FRAGMENTS, FRAGMENTS, chance.randrange(first, FRAGMENTS) + 1)),
                begins=chance.random() < 0.75,
                ends=chance.random() < 0.7,
                client=chance.randrange(3),
                piece=chance.choice((1, 7, 100, 4096, 4096, 2**20)) if chance.random() < 0.5 else 4096,
                start=chance.choice((0, 0, 0, 0, SCALE, 3 * SCALE, 1_800_000_000 * SCALE)),
                after=round(chance.choice((0.0, 0.0, chance.random(), 1.0)), 2),
                damages=tuple(damages),
            )
        )
    return tuple(posts)
