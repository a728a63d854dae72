"""The policy names no vendor: what is one CDN's own lies in its folder of `cdnkit/vendors`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

POLICY = Path(__file__).parents[3] / "cdnkit/policy"

VENDORS = re.compile(r"fastly|cloud.?front|akamai|amazon|x-amz|varnish", re.IGNORECASE)

ALLOWED = {
    "token": "schemes have the names that their publishers gave them, and any profile may use any of them",
    "rules/tokens.py": "the settings of those schemes",
    "http/client.py": "the settings' words for fields that a proxy in front of a node may write, whatever the profile",
    "rules/parent_headers.py": "beginnings of names that no setting may write, whatever the profile",
    "rules/response_headers.py": "names that no setting may write, whatever the profile",
    "record/secrets.py": "fields and parameters that are secret at every node",
}
"""Room or file -> why it may."""


def words_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, text) of every identifier and of every string that is not a docstring."""
    told = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        for field, value in ast.iter_fields(node):
            if isinstance(value, str) and id(node) not in told and field != "type_comment":
                yield line, value


def named_in(source: str) -> list[str]:
    return [f"{line}: {text}" for line, text in words_of(ast.parse(source)) if VENDORS.search(text)]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("class FastlyToken: ...", ["1: FastlyToken"]),
        ("def f(fastly=1): ...", ["1: fastly"]),
        ("if x is Family.CLOUDFRONT: ...", ["1: CLOUDFRONT"]),
        ("import cdnkit.vendors.fastly", ["1: cdnkit.vendors.fastly"]),
        ('FIELD = f"x-amz-{name}"', ["1: x-amz-"]),
        ('def f() -> None:\n    """Source: Fastly, "Purging"."""\nLIMIT = 1\n"""CloudFront takes 8192."""', []),
        ("limit = 1  # as Varnish has it", []),
    ],
)
def test_what_counts_as_naming_one(source: str, found: list[str]) -> None:
    assert named_in(source) == found


def test_the_policy_names_no_vendor() -> None:
    wrong = []
    for file in sorted(POLICY.rglob("*.py")):
        name = file.relative_to(POLICY)
        if not {name.parts[0], name.as_posix()} & ALLOWED.keys():
            wrong += [
                f"{name}:{one}" for one in [*named_in(file.read_text("utf-8")), name.as_posix()] if VENDORS.search(one)
            ]
    assert wrong == []


@pytest.mark.parametrize("place", ALLOWED)
def test_what_is_allowed_is_needed(place: str) -> None:
    files = [POLICY / place] if place.endswith(".py") else list((POLICY / place).glob("*.py"))
    assert any(named_in(file.read_text("utf-8")) for file in files)
