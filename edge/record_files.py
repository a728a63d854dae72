"""The names of record files: which node's (or service's), which of its lives, which part of that life.

    fra.jsonl           fra.part-2.jsonl      fra.part-3.jsonl     the first life, in parts; the last one grows
    fra.2.jsonl         fra.2.part-2.jsonl                         the life after a restart
    fra+images.jsonl                                               one of several services of the node

A part is written until it is full, and never again; when room is short the oldest is deleted. So a life is whole as
long as its first part is there.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(
    r"(?P<node>.+?)(?:\.(?P<life>[1-9][0-9]{0,8}))?(?:\.part-(?P<part>[1-9][0-9]{0,8}))?(?P<suffix>\.[^.0-9][^.]*)?",
    re.DOTALL,
)


@dataclass(frozen=True, order=True, slots=True)
class RecordFile:
    """A name, taken apart. The order is that of time, within one node."""

    node: str
    """"fra", or "fra+images" for one of its services."""
    life: int = 1
    part: int = 1
    suffix: str = ".jsonl"

    @classmethod
    def of(cls, path: Path) -> "RecordFile":
        found = _NAME.fullmatch(path.name)
        assert found is not None, "no file is without a name"
        return cls(found["node"], int(found["life"] or 1), int(found["part"] or 1), found["suffix"] or "")

    @property
    def life_name(self) -> str:
        """What the files of one life have in common: "fra", "fra.2"."""
        return self.node if self.life == 1 else f"{self.node}.{self.life}"

    @property
    def name(self) -> str:
        return self.life_name + ("" if self.part == 1 else f".part-{self.part}") + self.suffix

    def beside(self, folder: Path) -> "list[tuple[RecordFile, Path]]":
        """All files there of the same node, oldest first."""
        named = [(RecordFile.of(path), path) for path in folder.iterdir()]
        return sorted(one for one in named if (one[0].node, one[0].suffix) == (self.node, self.suffix))


@dataclass(frozen=True, slots=True)
class Life:
    """The files of one life of a node, in their order."""

    name: str
    node: str
    files: tuple[Path, ...]


def lives_of(paths: Iterable[Path]) -> list[Life]:
    """The lives that these files belong to, by name."""
    found: dict[str, list[tuple[RecordFile, Path]]] = {}
    for path in paths:
        named = RecordFile.of(path)
        found.setdefault(named.life_name, []).append((named, path))
    lives = []
    for name, files in sorted(found.items()):
        files.sort()
        lives.append(Life(name, files[0][0].node, tuple(path for _, path in files)))
    return lives
