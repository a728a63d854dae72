"""Which behavior rules a path: CloudFront, "Path pattern" of "Cache behavior settings", a row a rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdnkit.policy.rules.globs import glob
from cdnkit.policy.rules.matching import Matcher, shadowed
from cdnkit.policy.rules.service import Behavior

MATCHES = [  # pattern, path, does it match?
    ("*", "/a/b.m3u8", True),
    ("*.m3u8", "/live/media.m3u8", True),  # "*" is any number of characters, "/" among them
    ("/live/*", "/live/", True),  # none at all
    ("/live/*", "/live", False),
    ("/live/*/seg-*.m4s", "/live/a/b/seg-1.m4s", True),
    ("/seg-?.m4s", "/seg-1.m4s", True),
    ("/seg-?.m4s", "/seg-12.m4s", False),  # "?" is exactly one
    ("/seg-?.m4s", "/seg-.m4s", False),
    ("/a?b", "/a/b", True),
    ("live/*", "/live/a", True),  # a "/" before it is optional
    ("/live/*", "/LIVE/a", False),  # upper and lower case differ
    ("/a.b", "/axb", False),  # nothing else is special
    ("/a[bc]", "/ab", False),
    ("/a[bc]", "/a[bc]", True),
    ("/a", "/a/b", False),
    ("*/b", "/a\nx/b", True),
    ("/a*bc*bc", "/abc", False),  # no letter twice
    ("/a**?c", "/abbc", True),
    ("*ab*ab", "/abab", True),
    ("*a" * 40 + "b", "/" + "a" * 8000, False),  # decided at once, not after each way to lay forty stars
    ("*?" * 40, "/" + "a" * 8000, True),
]


@pytest.mark.parametrize(("pattern", "path", "matches"), MATCHES, ids=lambda value: str(value)[:24])
def test_path_patterns(pattern: str, path: str, matches: bool) -> None:
    behavior, otherwise = Behavior(path=pattern), Behavior(path="*")
    assert (Matcher([behavior], otherwise).match(path) is behavior) is matches


def test_the_first_that_matches_rules_and_the_default_is_the_last() -> None:
    rules = [Behavior(path=path) for path in ("*.m3u8", "/live/*", "/live/x.m4s")]
    matcher = Matcher(rules, Behavior(path="*"))
    found = [matcher.match(path).path for path in ("/live/a.m3u8", "/live/x.m4s", "/vod/a.mp4")]
    assert found == ["*.m3u8", "/live/*", "*"]


COVERS = [  # wide, narrow, does wide take all of narrow?
    ("*", "/live/*", True),
    ("*.m3u8", "/live/*.m3u8", True),
    ("/live/*", "*.m3u8", False),
    ("/live/*", "live/a", True),  # a leading "/" is optional
    ("/a?c", "/abc", True),
    ("/a?c", "/a*c", False),
    ("/a*c", "/a?c", True),
    ("/live/*", "/live/*", True),
    ("/live", "/live/", False),
]


@pytest.mark.parametrize(("wide", "narrow", "expected"), COVERS)
def test_a_glob_takes_all_of_another(wide: str, narrow: str, expected: bool) -> None:
    assert shadowed([Behavior(path=wide), Behavior(path=narrow)]) == ([(1, 0)] if expected else [])


def test_shadowed_behaviors_are_named_with_what_takes_their_place() -> None:
    behaviors = [Behavior(path=path) for path in ("/live/*", "*.m3u8", "/live/x.m3u8", "*", "/late")]
    assert shadowed(behaviors) == [(2, 0), (4, 3)]


def test_forty_stars_in_both_are_compared_at_once() -> None:
    assert not shadowed([Behavior(path="*a" * 40 + "b"), Behavior(path="a?" * 100 + "*c")])


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=10))
def test_a_glob_covers_what_its_definition_says(written: str, text: str) -> None:
    def covered(g: str, t: str) -> bool:
        if not g:
            return not t
        if g[0] == "*":
            return any(covered(g[1:], t[at:]) for at in range(len(t) + 1))
        return bool(t) and g[0] in ("?", t[0]) and covered(g[1:], t[1:])

    assert (glob(written).match(text) is not None) is covered(written, text)
