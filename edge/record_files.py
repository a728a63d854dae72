"""The names of record files: which node's (or service's), which of its lives, which part of that life.

    fra.jsonl           fra.part-2.jsonl      fra.part-3.jsonl     the first life, in parts; the last one grows
    fra.2.jsonl         fra.2.part-2.jsonl                         the life after a restart
    fra+images.jsonl                                               one of several services of the node
    fra.worker-2.jsonl    fra.2.worker-2.part-3.jsonl              what a further worker answered in that life

A part is written until it is full, and never again; when room is short the oldest is deleted. So a life is whole as
long as its first part is there.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

_NAME = re.compile(
    r"(?P<node>.+?)(?:\.(?P<life>[1-9][0-9]{0,8}))?(?:\.worker-(?P<worker>[1-9][0-9]{0,2}))?(?:\.part-(?P<part>[1-9][0-9]{0,8}))?(?P<suffix>\.[^.0-9][^.]*)?",
    re.DOTALL,
)


@dataclass(frozen=True, order=True, slots=True)
class RecordFile:
    """A name, taken apart. The order is that of time, within one node."""

    node: str
    """"fra", or "fra+images" for one of its services."""
    life: int = 1
    worker: int = 1
    part: int = 1
    suffix: str = ".jsonl"

    @classmethod
    def of(cls, path: Path) -> "RecordFile":
        found = _NAME.fullmatch(path.name)
        assert found is not None, "no file is without a name"
        life, worker, part = (int(found[name] or 1) for name in ("life", "worker", "part"))
        return cls(found["node"], life, worker, part, found["suffix"] or "")

    @property
    def life_name(self) -> str:
        """What the files of one life have in common: "fra", "fra.2"."""
        return self.node if self.life == 1 else f"{self.node}.{self.life}"

    @property
    def name(self) -> str:
        worker = "" if self.worker == 1 else f".worker-{self.worker}"
        return self.life_name + worker + ("" if self.part == 1 else f".part-{self.part}") + self.suffix

    def beside(self, folder: Path) -> "list[tuple[RecordFile, Path]]":
        """All files there of the same worker of the same node, oldest first."""
        named = [(RecordFile.of(path), path) for path in folder.iterdir()]
        own = (self.node, self.worker, self.suffix)
        return sorted(one for one in named if (one[0].node, one[0].worker, one[0].suffix) == own)


@dataclass(frozen=True, slots=True)
class Life:
    """The files of one life of a node, in their order."""

    name: str
    node: str
    files: tuple[Path, ...]
    workers: tuple[tuple[Path, ...], ...] = ()
    """Those of each further worker."""

    @property
    def all_files(self) -> tuple[Path, ...]:
        return sum(self.workers, self.files)


def of_worker(path: Path, number: int) -> Path:
    """The file of one of the workers, beside its lead's."""
    return path.with_name(replace(RecordFile.of(path), worker=number).name)


def lives_of(paths: Iterable[Path]) -> list[Life]:
    """The lives that these files belong to, by name."""
    found: dict[str, list[tuple[RecordFile, Path]]] = {}
    for path in paths:
        named = RecordFile.of(path)
        found.setdefault(named.life_name, []).append((named, path))
    lives = []
    for name, files in sorted(found.items()):
        files.sort()
        by_worker: dict[int, tuple[Path, ...]] = {1: ()}
        for named, path in files:
            by_worker[named.worker] = (*by_worker.get(named.worker, ()), path)
        lives.append(Life(name, files[0][0].node, by_worker.pop(1), tuple(by_worker.values())))
    return lives
