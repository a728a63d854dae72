"""The glossary: every term of docs/glossary.md is in use, and names that say too little stay out of the sources."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("cdnkit", "cdnlab", "edge", "loadtests", "origin", "transcode")
GLOSSARY = ROOT / "docs/glossary.md"
TERMS = re.findall(r"(?m)^\| \*\*(.+?)\*\* \|", GLOSSARY.read_text("utf-8"))

NO_NAMES = frozenset(
    {
        "told", "said", "heard", "tells", "telling", "asking", "note", "verdict",
        "answering", "deciding", "judging", "screening", "settling", "spelling",
    }
)  # fmt: skip
"""Names of no function, class or module: sent, returned, recorded, read or configured are five different things."""

NO_MODULES = NO_NAMES | {
    "explaining", "filling", "keeping", "loading", "paging", "purging", "reading", "recording", "replaying", "slicing",
}  # fmt: skip
"""Names of no module: a file is named by a noun, which says what is in it."""


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


@cache
def everything_written() -> str:
    """Code and documents but for the glossary, in lower case, with one space between words."""
    texts = [path.read_text("utf-8") for path in sources()]
    texts += [path.read_text("utf-8") for path in [*ROOT.glob("docs/*.md"), ROOT / "README.md"] if path != GLOSSARY]
    return re.sub(r"[\s_-]+", " ", " ".join(texts)).lower()


@pytest.mark.parametrize("term", TERMS)
def test_a_term_of_the_glossary_is_used_somewhere(term: str) -> None:
    words = re.sub(r"[\s_-]+", " ", term).lower()
    assert re.search(rf"\b{re.escape(words)}", everything_written()), term


def test_a_term_stands_in_the_glossary_once() -> None:
    assert len(TERMS) > 60
    assert [term for term, count in Counter(TERMS).items() if count > 1] == []


def test_a_row_of_the_glossary_has_a_meaning() -> None:
    rows = [line for line in GLOSSARY.read_text("utf-8").splitlines() if line.startswith("| **")]
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 4 and cells[1].endswith("."), row


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/architecture.md"])
def test_the_front_pages_lead_to_the_glossary(page: str) -> None:
    assert "glossary.md" in (ROOT / page).read_text("utf-8")


def offenders(banned: frozenset[str], banned_modules: frozenset[str]) -> Iterator[str]:
    """`package/file.py` or `package/file.py: name` for every banned name, underscores and case aside."""
    for path in sources():
        where = path.relative_to(ROOT).as_posix()
        if path.stem.strip("_") in banned_modules:
            yield where
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            defines = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            if defines and node.name.strip("_").lower() in banned:
                yield f"{where}: {node.name}"


def test_no_function_class_or_module_has_a_banned_name() -> None:
    assert list(offenders(NO_NAMES, NO_MODULES)) == []
