"""A switch without a source does not exist: read from the vendors' own files."""

import ast
from dataclasses import fields
from pathlib import Path

import pytest

from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.vendors import CLOUDFRONT, FASTLY

FILES = sorted((Path(__file__).parents[3] / "cdnkit" / "vendors").glob("*/profile.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_every_switch_names_its_source(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    calls = [
        node
        for node in ast.walk(ast.parse("\n".join(lines)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Profile"
    ]
    assert len(calls) == 1
    bare = [
        keyword.arg
        for keyword in calls[0].keywords
        if keyword.arg not in ("name", "page") and not _source(lines, keyword.value.lineno)
    ]
    assert bare == []


def _source(lines: list[str], line: int) -> str:
    """The comment of a switch's first line, or the heading of its group where that names a page."""
    own = lines[line - 1].partition("  # ")[2]
    if own:
        return own
    headings = [text for text in lines[:line] if text.strip().startswith("# ----")]
    return headings[-1].partition(":")[2].strip(" -") if headings else ""


@pytest.mark.parametrize("profile", [CLOUDFRONT, FASTLY], ids=lambda profile: profile.name)
def test_a_vendors_file_sets_only_what_differs_from_the_standard(profile: Profile) -> None:
    """But for two that are set to what the default happens to be, since the vendor's page says so."""
    file = next(file for file in FILES if file.parent.name == profile.name)
    written = {
        keyword.arg
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Profile"
        for keyword in node.keywords
    }
    differing = {one.name for one in fields(Profile) if getattr(profile, one.name) != getattr(RFC9111, one.name)}
    assert differing <= written and written - differing <= {"hit_for_pass", "x_cache"}
