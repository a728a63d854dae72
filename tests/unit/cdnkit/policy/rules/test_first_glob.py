"""The first glob that matches, beside a loop that tries each."""

from hypothesis import example, given
from hypothesis import strategies as st

from cdnkit.policy.rules.first_glob import FirstGlob
from cdnkit.policy.rules.globs import glob

GLOBS = st.lists(st.text("ab/*?", max_size=7), max_size=12)
TEXTS = st.lists(st.text("ab/", max_size=9), max_size=6)


@given(GLOBS, TEXTS)
@example(["/a*a", "/a"], ["/a", "/aa"])  # one letter is not both the beginning and the end
@example(["*", "/a"], ["/a"])
@example(["/ab", "*b", "/*"], ["/ab", "b", "/"])
@example(["*ab", "?b", ""], ["b", "ab", ""])  # an end that is longer than the text
def test_it_is_the_one_that_a_loop_finds(globs: list[str], texts: list[str]) -> None:
    several: FirstGlob[int] = FirstGlob()
    for place, written in enumerate(globs):
        several.add(written, place)
    for text in texts:
        assert several.first(text) == next((at for at, one in enumerate(globs) if glob(one).match(text)), None)


@given(GLOBS, TEXTS)
def test_what_is_added_meanwhile_comes_behind(globs: list[str], texts: list[str]) -> None:
    several: FirstGlob[int] = FirstGlob()
    for place, written in enumerate(globs):
        for text in texts:
            assert several.first(text) == next(
                (at for at, one in enumerate(globs[:place]) if glob(one).match(text)), None
            )
        several.add(written, place)


def test_a_glob_that_is_never_tried_is_never_compiled() -> None:
    several: FirstGlob[int] = FirstGlob()
    for number in range(1000):
        several.add(f"/{number}/*.ts", number)
    assert several.first("/500/a.ts") == 500
    held = [one for lengths in several._by_beginning.values() for ends in lengths.values() for one in ends[3][".ts"]]
    assert sum(one._pattern is not None for one in held) == 1
