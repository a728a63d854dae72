"""The bounds of an index, each with a row on it; and a file that is joined of others."""

import struct
from pathlib import Path

import pytest

from transcode.errors import OutputError
from transcode.media import Init, Segment
from transcode.single_file import LARGEST_SEGMENT, MOST_SEGMENTS, index, join

INIT = Init(b"init", 1, 90_000, 0)


def segment(path: Path = Path("x"), size: int = 100) -> Segment:
    return Segment(path, 4, size, 900_000, 180_000)


def test_an_index_counts_its_references_in_16_bits() -> None:
    most = index(INIT, [segment()] * MOST_SEGMENTS)
    assert struct.unpack_from(">I4s", most) == (len(most), b"sidx")
    with pytest.raises(OutputError, match=r"65536 segments.*wanted at most 65535"):
        index(INIT, [segment()] * (MOST_SEGMENTS + 1))


def test_a_segment_has_31_bits_for_its_size() -> None:
    assert index(INIT, [segment(size=LARGEST_SEGMENT - 8)])
    with pytest.raises(OutputError, match="wanted at most"):
        index(INIT, [segment(size=LARGEST_SEGMENT - 7)])


class Stop(Exception):
    """What a caller ends it with."""


def test_segments_are_joined_and_deleted_one_by_one(tmp_path: Path) -> None:
    parts = []
    for number in range(3):
        (tmp_path / f"seg-{number}.m4s").write_bytes(b"head" + bytes([number]) * 100)
        parts.append(segment(tmp_path / f"seg-{number}.m4s"))
    behind = len(INIT.data) + len(index(INIT, parts))
    found = join(tmp_path / "all.mp4", INIT, parts)
    assert [one.name for one in tmp_path.iterdir()] == ["all.mp4"]
    assert [(one.offset, one.size) for one in found] == [(behind + 8 + 108 * number, 100) for number in range(3)]
    assert [one.read() for one in found] == [bytes([number]) * 100 for number in range(3)]


def test_joining_ends_where_it_is_told_to(tmp_path: Path) -> None:
    (tmp_path / "seg-0.m4s").write_bytes(bytes(104))

    def check() -> None:
        raise Stop

    with pytest.raises(Stop):
        join(tmp_path / "all.mp4", INIT, [segment(tmp_path / "seg-0.m4s")], check)
    assert (tmp_path / "seg-0.m4s").exists()
