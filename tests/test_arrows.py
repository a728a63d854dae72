"""Which way imports point: docs/architecture.md's picture, read from the source."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

MAY_IMPORT = {
    "units": set(),
    "listening": {"units"},
    "policy": {"units"},
    "vendors": {"units", "policy"},
    "edge": {"units", "listening", "policy"},
    "replay": {"units", "policy"},
    "transcode": {"units"},
    "origin": {"units", "listening", "transcode.ladder"},  # the ladder's values only
    "loadtests": {"units", "policy.token", "policy.record", "cdnlab.document"},
    "cdnlab": {"units", "listening", "policy", "vendors", "transcode", "origin", "edge", "replay", "loadtests"},
}
"""Package -> packages or modules of ours that it may import, itself aside."""


def imports_of(file: Path) -> list[tuple[int, str]]:
    """(line, module) of every import in a file, inside functions too; `from a import b` is told as `a.b`."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_one_way(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files, f"{package} is gone: this table must be told"
    wrong = []
    for file in files:
        for line, module in imports_of(file):
            top = module.partition(".")[0]
            if top not in MAY_IMPORT or top == package:
                continue
            if not any(module == good or module.startswith(f"{good}.") for good in MAY_IMPORT[package]):
                wrong.append(f"{file.relative_to(ROOT)}:{line}: {package} may not import {module}")
    assert wrong == []


def test_every_package_is_in_the_table() -> None:
    packages = {file.parent.name for file in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages == set(MAY_IMPORT)


def test_the_policy_reads_no_clock_and_opens_nothing() -> None:
    """Pure: no I/O, no clock, no event loop, no randomness of its own."""
    forbidden = {"time", "asyncio", "socket", "random", "secrets", "threading", "os", "subprocess"}
    pure = {"time.gmtime"}  # an instant that is given, as a calendar has it
    wrong = [
        f"{file.name}:{line}: {module}"
        for file in (ROOT / "policy").rglob("*.py")
        for line, module in imports_of(file)
        if module.partition(".")[0] in forbidden and module not in pure
    ]
    assert wrong == []
