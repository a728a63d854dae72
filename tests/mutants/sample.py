"""Which mutants are tried: the same seed, number and source give the same list.

The kind is drawn first, then the place: constants, of which there are most, do not crowd out the rest.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.mutants.places import Mutant, Source, mutants_of

PACKAGES = ("cdnkit/policy", "edge", "origin", "transcode", "cdnkit/serving")
EQUIVALENTS = Path(__file__).with_name("equivalents.toml")


@dataclass(frozen=True, slots=True)
class Equivalent:
    """A mutant that does the same as the original, and why; its line's text finds it, because line numbers move."""

    file: str
    before: str
    after: str
    reason: str


def equivalents() -> list[Equivalent]:
    document = tomllib.loads(EQUIVALENTS.read_text(encoding="utf-8"))
    return [Equivalent(**row) for row in document.get("equivalent", [])]


def all_mutants(root: Path, packages: tuple[str, ...]) -> list[Mutant]:
    """Of folders, or of single files."""
    named = [root / package for package in packages]
    files = sorted({file for one in named for file in (one.rglob("*.py") if one.is_dir() else [one])})
    return [mutant for file in files for mutant in mutants_of(Source(root, str(file.relative_to(root))))]


def sample(mutants: list[Mutant], number: int, seed: int) -> list[Mutant]:
    """At most `number` mutants, none twice, none that is known to be equivalent."""
    known = {(row.file, row.before, row.after) for row in equivalents()}
    kinds: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        if (mutant.file, mutant.before, mutant.after) not in known:
            kinds.setdefault(mutant.kind, []).append(mutant)
    chance = Random(seed)
    drawn: list[Mutant] = []
    while kinds and len(drawn) < number:
        kind = chance.choice(sorted(kinds))
        drawn.append(kinds[kind].pop(chance.randrange(len(kinds[kind]))))
        if not kinds[kind]:
            del kinds[kind]
    return drawn


def package_of(mutant: Mutant) -> str:
    return next((name for name in PACKAGES if mutant.file.startswith(name + "/")), mutant.file.split("/")[0])
