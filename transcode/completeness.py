"""Whether a folder of VOD is whole: every playlist ends, every segment it names is there to its last byte.

An exit status says too little: with the disk full, the hls muxer of ffmpeg 9 drops segments and playlists, ends with
status 0 and logs no line about it.
"""

import os
from collections.abc import Iterable
from pathlib import Path

_ENDED = "#EXT-X-ENDLIST"


def lacking(folder: Path, playlists: Iterable[str], media_time: float) -> list[str]:
    """What a rendition of `media_time` seconds lacks, one phrase each; empty if it is whole.

    `playlists` are the media playlists that must be there, relative to `folder`.
    """
    return [phrase for name in playlists for phrase in _of_playlist(folder / name, name, media_time)]


def _of_playlist(path: Path, name: str, media_time: float) -> list[str]:
    if not path.is_file():
        return [f"{name} is missing"]
    lines = path.read_text().splitlines()
    if _ENDED not in lines:
        return [f"{name} has no {_ENDED}"]
    wrong = [
        f"{Path(name).parent / line} is cut short"
        for line in lines
        if line and not line.startswith("#") and not ends_with_a_box(path.parent / line)
    ]
    length = sum(float(line[8:].partition(",")[0]) for line in lines if line.startswith("#EXTINF:"))
    # Half a second: sound and picture of one file seldom end together.
    if length < media_time - 0.5:
        wrong.append(f"{name} is {length:.1f} s long, not {media_time:.1f} s")
    return wrong


def ends_with_a_box(path: Path) -> bool:
    """True if the file is a row of whole top-level ISO BMFF boxes; reads eight bytes of each."""
    if not path.is_file():
        return False
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            length = int.from_bytes(file.read(8)[:4], "big")
            if length < 8:
                return False
            at += length
    return at == size > 0


def is_full(folder: Path) -> bool:
    """True if the disk under `folder` has less than a megabyte, or one per cent of itself if that is less."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize < min(1_000_000, disk.f_blocks * disk.f_frsize // 100)
