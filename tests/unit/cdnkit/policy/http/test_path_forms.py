"""One path, many spellings (RFC 3986 §6.2.2, and what lenient origins make of them)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdnkit.policy.http.path_forms import path_forms
from cdnkit.policy.rules.matching import Matcher
from cdnkit.policy.rules.service import Behavior

NORMAL = [
    ("/", "/"),
    ("/a/b.m3u8", "/a/b.m3u8"),
    ("/%61/%7e%2D", "/a/~-"),  # unreserved characters are themselves (§6.2.2.2)
    ("/a%2fb", "/a%2Fb"),  # reserved ones are not; hex digits are upper case (§6.2.2.1)
    ("/a/./b/../c", "/a/c"),  # §5.2.4
    ("/a/b/..", "/a/"),
    ("/../../a", "/a"),
    ("/a/%2e%2E/b", "/b"),
    ("//a///b", "/a/b"),  # CloudFront: "multiple slashes (//)"
    ("/a%", "/a%"),
    ("/a%zz", "/a%zz"),
    ("/...", "/..."),
    ("/.well-known", "/.well-known"),
]


@pytest.mark.parametrize(("path", "normal"), NORMAL)
def test_the_normal_form(path: str, normal: str) -> None:
    assert path_forms(path).normal == normal


OTHERS = [  # a path                  what some origin takes it for
    ("/a%2fb", "/a/b"),
    ("/a/..%2fb", "/b"),
    ("/a/%252e%252e/b", "/b"),
    ("/%25252561", None),  # four times is nobody
    ("/a\\..\\b", "/b"),
    ("/a%5cb", "/a/b"),
    ("/a/..;/b", "/b"),
    ("/b;x=y", "/b"),
    ("/b%00.png", "/b"),
    ("/b%3fx.m3u8", "/b"),
    ("/a/%c0%ae%c0%ae/b", "/b"),
    ("/a%c0%afb", "/a/b"),
    ("/a%e0%80%afb", "/a/b"),
    ("/a%u002fb", "/a/b"),
    ("/a/b", None),
]


@pytest.mark.parametrize(("path", "other"), OTHERS)
def test_what_an_origin_may_make_of_it(path: str, other: str | None) -> None:
    assert other in path_forms(path).lenient if other else not {"/a", "/b"} & set(path_forms(path).lenient)


def test_dot_segments_are_seen_in_any_spelling() -> None:
    climbing = ["/a/../b", "/a/%2e./b", "/a/..%2fb", "/a/..;/b", "/a\\..\\b", "/a/%252e%252e/b", "/a/."]
    assert all(path_forms(path).has_dot_segments for path in climbing)
    assert not any(path_forms(path).has_dot_segments for path in ["/a..b/c", "/..a", "/a%20b", "/a;..", "//a"])


@given(st.text(alphabet="/.%2e5cfFuU0;\\aA?#~", max_size=24))
def test_a_normal_form_is_its_own_and_reads_as_what_it_was(text: str) -> None:
    normal = path_forms("/" + text).normal
    again = path_forms(normal)
    assert normal.startswith("/") and again.normal == normal


def test_a_pattern_is_normal_too() -> None:
    named, rest = Behavior(path="/caf%c3%a9/%7E*"), Behavior(path="*")
    matcher = Matcher([named], rest)
    assert matcher.match("/caf%C3%A9/~x") is named and matcher.match("/caf%c3%a9/%7ex") is named
