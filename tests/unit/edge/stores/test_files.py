"""Bodies in files: what is read back is what was written, or nothing."""

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest

from edge.stores import files
from edge.stores.files import BodyFiles

BODY = bytes(range(256)) * 4


class Dripping(io.BytesIO):
    """A file that gives few bytes at a time, and counts those that are asked of it."""

    asked: list[int]

    def __enter__(self) -> "Dripping":
        return self

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None
        self.asked.append(size)
        return super().read(min(size, 100) if size >= 0 else -1)


LENGTHS = [  # what stands in the file, what is wanted of it, whether that is it
    (BODY, len(BODY), True),
    (BODY + b"x", len(BODY), False),
    (BODY[:-1], len(BODY), False),
    (b"", 0, True),
    (b"x", 0, False),
]


@pytest.mark.parametrize(("there", "size", "good"), LENGTHS)
@pytest.mark.parametrize("drips", [False, True])
def test_a_body_is_read_whole_and_no_further_than_a_byte_beyond(
    there: bytes, size: int, good: bool, drips: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = BodyFiles(tmp_path)
    bodies.write(7, there)
    asked: list[int] = []
    if drips:

        def opened(path: Any, *how: Any, **more: Any) -> Dripping:
            file = Dripping(Path(path).read_bytes())
            file.asked = asked
            return file

        monkeypatch.setattr(files, "open", opened, raising=False)
    body = bodies.read(7, size, hashlib.sha256(BODY[:size]).digest())
    assert body == (BODY[:size] if good else None)
    assert all(0 < most <= size + 1 for most in asked), "a file that has grown is not read to its end"


def test_what_is_not_there_is_nothing_and_goes_without_a_word(tmp_path: Path) -> None:
    bodies = BodyFiles(tmp_path)
    assert bodies.read(7, 0, hashlib.sha256(b"").digest()) is None
    assert bodies.remove(7)
    checksum = bodies.write(7, BODY)
    assert bodies.read(7, len(BODY), checksum) == BODY
    assert bodies.read(7, len(BODY), hashlib.sha256(b"another").digest()) is None
    assert bodies.remove(7) and bodies.read(7, len(BODY), checksum) is None
