"""Which test modules exercise a file: those whose imports lead to it. First those named after it, then by the shortest way.

The map is read from the imports as they stand, so that a file or a test that moves needs no line here. `from package
import Name` leads to the file that defines the name, not to all that the package's first page shows. A tie goes to the
test that names more of the file's functions and classes, then to the one that reaches fewer files: it is the more
particular one, and quicker. A test that drives another program too, such as an edge in front of a policy, comes last.
The tests of what everything leads through are too many to try: then those that speak of the line's own words count too.
"""

import ast
import re
from collections import Counter, deque
from functools import cache
from pathlib import Path

from tests.mutants.places import Mutant

LEFT_OUT = {"bench", "soak", "outside", "live", "mutants", "test_examples.py"}
"""Folders and modules that take minutes or need what is not on every machine."""

READERS = ("tests/test_bounds.py",)
"""Test modules that read the text of every file, without an import; they take a second and come first."""

MOST = 32
"""Test modules for one mutant: more cost minutes and notice little that the nearest do not."""


class Nearest:
    def __init__(self, root: Path, packages: tuple[str, ...]) -> None:
        self.root = root
        files = [file for package in (*packages, "tests") for file in (root / package).rglob("*.py")]
        self.modules = {module_of(root, file): str(file.relative_to(root)) for file in files}
        self.trees = {name: ast.parse((root / file).read_bytes()) for name, file in self.modules.items()}
        self.tests = sorted(
            name
            for name, file in self.modules.items()
            if Path(file).name.startswith("test_") and not LEFT_OUT & set(Path(file).parts)
        )
        self.words = {test: words_of((root / self.modules[test]).read_text(encoding="utf-8")) for test in self.tests}
        self.imports = cache(self.imports)  # type: ignore[method-assign]
        self.reached = cache(self.reached)  # type: ignore[method-assign]

    def of(self, mutant: Mutant) -> list[str]:
        """Files of the test modules that exercise a mutant's file: in turn the nearest, and the one that speaks most of
        what stands in the line: what most tests reach, such as a key, is spoken of by few."""
        target = module_of(self.root, self.root / mutant.file)
        stem = Path(mutant.file).stem
        names = {n.name for n in self.trees[target].body if isinstance(n, ast.ClassDef | ast.FunctionDef)} | {stem}
        near = {target.split(".")[0], "cdnkit", "tests"}
        reaching = [test for test in self.tests if target in self.reached(test)]
        rarity = Counter(word for test in reaching for word in self.words[test])

        def nearness(test: str) -> tuple[object, ...]:
            ways = self.reached(test)
            drives = any(module.split(".")[0] not in near for module in ways)
            namesake = stem in Path(self.modules[test]).stem
            return not namesake, drives, ways[target], -len(names & self.words[test]), len(ways), test

        def silence(test: str) -> float:
            return -sum(1 / rarity[word] for word in words_of(mutant.before) & self.words[test])

        nearest = sorted(reaching, key=nearness)
        speaking = sorted(nearest, key=silence)
        in_turn = dict.fromkeys(test for pair in zip(nearest, speaking, strict=True) for test in pair)
        return [*READERS, *(self.modules[test] for test in list(in_turn)[:MOST])] if reaching else []

    def reached(self, test: str) -> dict[str, int]:
        """Modules that a test imports, each with the number of steps to it."""
        ways, waiting = {test: 0}, deque([test])
        while waiting:
            here = waiting.popleft()
            for module in sorted(self.imports(here)):
                if module not in ways:
                    ways[module] = ways[here] + 1
                    waiting.append(module)
        return ways

    def imports(self, module: str) -> set[str]:
        found = set()
        for node in ast.walk(self.trees[module]):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
                found |= {self.home_of(node.module, alias.name) for alias in node.names}
        return {name for name in found if name in self.modules}

    def home_of(self, module: str, name: str) -> str:
        """The module that `from module import name` is about."""
        if f"{module}.{name}" in self.modules:
            return f"{module}.{name}"
        if self.modules.get(module, "").endswith("__init__.py"):
            for node in self.trees[module].body:
                if isinstance(node, ast.ImportFrom) and node.module is not None:
                    for alias in node.names:
                        if name == (alias.asname or alias.name) and node.module != module:
                            return self.home_of(node.module, alias.name)
        return module


def words_of(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[A-Za-z]\w{2,}", text))


def module_of(root: Path, file: Path) -> str:
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
