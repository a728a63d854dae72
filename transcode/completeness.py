"""Whether a folder of VOD is whole: every playlist ends, every segment and init section it names is there to its last
byte, whether it is a file or a range of one.

An exit status says too little: with the disk full, the hls muxer of ffmpeg 9 drops segments and playlists, ends with
status 0 and logs no line about it.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

_ENDED = "#EXT-X-ENDLIST"
_MAP = re.compile(r'URI="([^"]*)"(?:,BYTERANGE="([^"]*)")?')


def lacking(folder: Path, kinds: Iterable[Sequence[str]], media_time: float) -> list[str]:
    """What a rendition of `media_time` seconds lacks, one phrase each; empty if it is whole.

    `kinds` are the media playlists that must be there, relative to `folder`: those of pictures, those of sound. Those
    of one kind are equally long, and those of one kind at least as long as the whole.
    """
    lengths: dict[str, float] = {}
    wrong = []
    for names in kinds:
        for name in names:
            wrong += _of_playlist(folder / name, name, lengths)
        wrong += _too_short(lengths, names, max((lengths.get(name, 0.0) for name in names), default=0.0))
    if not wrong and not any(_whole(length, media_time) for length in lengths.values()):
        wrong = _too_short(lengths, lengths, media_time)
    return wrong


def _of_playlist(path: Path, name: str, lengths: dict[str, float]) -> list[str]:
    if not path.is_file():
        return [f"{name} is missing"]
    lines = path.read_text().splitlines()
    if _ENDED not in lines:
        return [f"{name} has no {_ENDED}"]
    starts: dict[Path, set[int]] = {}
    wrong = []
    for uri, span in _named(lines):
        file = path.parent / uri
        if file not in starts:
            starts[file] = box_starts(file)
        if not starts[file]:
            wrong.append(f"{Path(name).parent / uri} is cut short")
        elif span is not None and not starts[file].issuperset(span):
            wrong.append(f"{Path(name).parent / uri} has no boxes at bytes {span[0]} to {span[1]}")
    lengths[name] = sum(float(line[8:].partition(",")[0]) for line in lines if line.startswith("#EXTINF:"))
    return list(dict.fromkeys(wrong))


def _too_short(lengths: Mapping[str, float], names: Iterable[str], wanted: float) -> list[str]:
    return [
        f"{name} is {lengths[name]:.1f} s long, not {wanted:.1f} s"
        for name in names
        if name in lengths and not _whole(lengths[name], wanted)
    ]


def _whole(length: float, wanted: float) -> bool:
    # Half a second: sound and picture of one file seldom end together.
    return length >= wanted - 0.5


def _named(lines: Iterable[str]) -> Iterator[tuple[str, tuple[int, int] | None]]:
    """Each URI of a media playlist, and the bytes that are meant of it; None: all of them."""
    span = None
    for line in lines:
        if line.startswith("#EXT-X-MAP:") and (found := _MAP.search(line)):
            yield found[1], _span(found[2]) if found[2] else None
        elif line.startswith("#EXT-X-BYTERANGE:"):
            span = _span(line.partition(":")[2])
        elif line and not line.startswith("#"):
            yield line, span
            span = None


def _span(text: str) -> tuple[int, int]:
    """First byte, and the one behind the last. Offsets are always written (`playlist`)."""
    length, offset = map(int, text.split("@"))
    return offset, offset + length


def box_starts(path: Path) -> set[int]:
    """Where top-level ISO BMFF boxes begin in a file, and its end; reads eight bytes of each.

    Empty where it is no row of whole boxes.
    """
    if not path.is_file():
        return set()
    size, at = path.stat().st_size, 0
    starts = {0}
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            length = int.from_bytes(file.read(8)[:4], "big")
            if length < 8:
                return set()
            at += length
            starts.add(at)
    return starts if at == size > 0 else set()


def is_full(folder: Path) -> bool:
    """True if the disk under `folder` has less than a megabyte, or one per cent of itself if that is less."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize < min(1_000_000, disk.f_blocks * disk.f_frsize // 100)
