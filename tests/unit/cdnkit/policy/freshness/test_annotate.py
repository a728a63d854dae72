"""What is told of a stored response's words: a row for each way in which one is read or ignored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdnkit.policy.freshness.annotate import Annotator
from cdnkit.policy.freshness.lifetime import lifetime_of
from cdnkit.policy.freshness.storable import why_not_store
from cdnkit.policy.http.messages import Headers, ResponseHead
from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.resolve import resolve
from cdnkit.policy.rules.service import Behavior, Ttl
from cdnkit.vendors import CLOUDFRONT, FASTLY, RFC9111
from tests.kit.machine import NOW, at
from tests.kit.machine import get as ask


def reader(
    profile: Profile, lines: list[tuple[str, str]], status: int = 200, behavior: Behavior | None = None
) -> Annotator:
    rules = resolve(behavior or Behavior(path="*"), profile)
    head = ResponseHead(status, Headers([("date", at(0)), *lines]))
    return Annotator(head, rules, profile, lifetime_of(head, rules, profile, sent_at=NOW, now=NOW).rule, NOW)


def cc(text: str) -> list[tuple[str, str]]:
    return [("cache-control", text)]


MIN = Behavior(path="*", ttl=Ttl(min=7.0, default=9.0, max=60.0))
TARGETED = [("cdn-cache-control", "max-age=60, must-revalidate"), ("cache-control", "max-age=5"), ("expires", at(9))]
SURROGATE = [("surrogate-control", "max-age=60, stale-while-revalidate=30, no-store"), *cc("max-age=5, s-maxage=6")]
AIMED = [
    ("surrogate-control", 'max-age=60+30;cdnlab, max-age=9;other, max-age=8, content="ESI/1.0"'),
    *cc("max-age=5, s-maxage=6"),
]
ROWS = [  # profile, behavior, status, fields, the word, is it read?, part of why
    (RFC9111, None, 200, cc("max-age=60"), "max-age=60", True, "sets the lifetime"),
    (RFC9111, None, 200, cc("max-age=60, s-maxage=10"), "max-age=60", False, "s-maxage wins"),
    (RFC9111, None, 200, cc("max-age=60, s-maxage=10"), "s-maxage=10", True, "sets the lifetime"),
    (RFC9111, None, 200, cc("max-age=1.5"), "max-age=1.5", True, "unreadable"),
    (RFC9111, None, 200, [*cc("max-age=60"), ("expires", at(9))], at(9), False, "max-age wins"),
    (RFC9111, None, 200, [("expires", at(9))], at(9), True, "sets the lifetime"),
    (RFC9111, None, 200, TARGETED, "max-age=60", True, "sets the lifetime"),
    (RFC9111, None, 200, TARGETED, "must-revalidate", True, "never served stale"),
    (RFC9111, None, 200, TARGETED, "max-age=5", False, "cdn-cache-control rules alone"),
    (RFC9111, None, 200, TARGETED, at(9), False, "cdn-cache-control rules alone"),
    (RFC9111, None, 200, [("cdn-cache-control", "max age"), *cc("max-age=5")], "max age", False, "no valid dictionary"),
    (CLOUDFRONT, None, 200, TARGETED, "max-age=60, must-revalidate", False, "cloudfront does not read it"),
    (CLOUDFRONT, None, 200, SURROGATE, SURROGATE[0][1], False, "cloudfront does not read it"),
    (RFC9111, None, 200, AIMED, "max-age=60+30;cdnlab", True, "sets the lifetime"),
    (RFC9111, None, 200, AIMED, "max-age=9;other", False, "meant for another"),
    (RFC9111, None, 200, AIMED, "max-age=8", False, "max-age=60+30 comes before it"),
    (RFC9111, None, 200, AIMED, "content=ESI/1.0", False, "not read in this field"),
    (RFC9111, None, 200, AIMED, "s-maxage=6", False, "surrogate-control rules alone"),
    (RFC9111, None, 200, [AIMED[0], *TARGETED], AIMED[0][1], False, "cdn-cache-control comes first"),
    (RFC9111, None, 200, [("surrogate-control", "a"), *cc("max-age=5")], "a", False, "nothing of caching"),
    (FASTLY, None, 200, SURROGATE, "max-age=60", True, "sets the lifetime"),
    (FASTLY, None, 200, SURROGATE, "stale-while-revalidate=30", True, "served stale"),
    (FASTLY, None, 200, SURROGATE, "no-store", False, "not read in this field"),
    (FASTLY, None, 200, SURROGATE, "s-maxage=6", False, "surrogate-control wins"),
    (RFC9111, None, 200, cc("no-cache, max-age=5"), "no-cache", True, "asked again before every use"),
    (FASTLY, None, 200, cc("no-cache, max-age=5"), "no-cache", False, "fastly does not hear it"),
    (FASTLY, None, 200, cc('max-age="5"'), "max-age=5", False, "in quotes itself"),
    (FASTLY, None, 200, cc('x="max-age=5"'), "max-age=5", True, "sets the lifetime"),
    (FASTLY, None, 200, cc('max-age="5", x="max-age=6"'), "max-age=6", True, "sets the lifetime"),
    (FASTLY, None, 200, cc("Max-Age=5"), "Max-Age=5", False, "lower case alone"),
    (CLOUDFRONT, MIN, 200, cc("no-store, max-age=5"), "no-store", False, "ttl.min above 0 overrides it"),
    (CLOUDFRONT, MIN, 200, cc("no-store, max-age=5"), "max-age=5", False, "against the origin's will"),
    (CLOUDFRONT, None, 500, cc("no-store"), "no-store", False, "kept whatever it says"),
    (RFC9111, None, 200, cc("no-store, must-understand, max-age=5"), "no-store", False, "must-understand"),
    (RFC9111, None, 200, cc("no-store, must-understand, max-age=5"), "must-understand", True, "understood"),
    (RFC9111, None, 200, cc('private="x-a", max-age=5'), "private=x-a", True, "x-a is not kept"),
    (RFC9111, None, 200, cc("max-age=5, stale-if-error=60"), "stale-if-error=60", True, "when the origin fails"),
    (FASTLY, None, 200, cc("max-age=5, stale-if-error=60"), "stale-if-error=60", False, "only the behavior's"),
    (
        RFC9111, None, 200, cc("max-age=5, stale-if-error=60, must-revalidate"), "stale-if-error=60", False,
        "must-revalidate forbids it",
    ),
    (RFC9111, None, 200, cc("max-age=5, public"), "public", False, "without it"),
    (RFC9111, MIN, 302, cc("public"), "public", True, "without a lifetime"),
    (RFC9111, None, 200, cc("max-age=5, immutable"), "immutable", True, "while it is fresh"),
    (FASTLY, None, 200, cc("max-age=5, immutable"), "immutable", False, "about anything here"),
    (RFC9111, None, 200, cc("max-age=5, community=ucla"), "community=ucla", False, "not known"),
    (RFC9111, None, 200, [*cc("max-age=60"), ("age", "7")], "7", True, "on arrival"),
    (FASTLY, None, 200, [("age", "7")], "7", False, "ttl.default counts from the arrival"),
    (FASTLY, None, 200, [("age", "7"), ("expires", at(9))], "7", False, "starts at age 0"),
    (RFC9111, None, 200, [*cc("max-age=60"), ("pragma", "no-cache")], "no-cache", False, "means nothing"),
    (RFC9111, None, 200, [*cc("max-age=60"), ("vary", "origin")], "origin", True, "the same of these fields"),
    (CLOUDFRONT, None, 200, [*cc("max-age=60"), ("vary", "origin")], "origin", False, "only the cache key"),
    (FASTLY, None, 200, [*cc("max-age=60"), ("vary", "*")], "*", False, "takes no account"),
    (RFC9111, None, 200, [("last-modified", at(-900))], at(-900), True, "a share of the time"),
]  # fmt: skip


@pytest.mark.parametrize(("profile", "behavior", "status", "lines", "word", "used", "why"), ROWS)
def test_what_becomes_of_a_word(
    profile: Profile,
    behavior: Behavior | None,
    status: int,
    lines: list[tuple[str, str]],
    word: str,
    used: bool,
    why: str,
) -> None:
    found = [note for note in reader(profile, lines, status, behavior).annotations() if note.word == word]
    assert [note.used for note in found] == [used], found
    assert why in found[0].why


LIFETIMES = [  # profile, behavior, status, fields, in words
    (RFC9111, MIN, 200, cc("max-age=600"), "ttl.max cut 600 s to 60 s"),
    (RFC9111, MIN, 200, cc("max-age=2"), "ttl.min raised 2 s to 7 s"),
    (RFC9111, MIN, 200, [], "ttl.default: 9 s, as the origin names none"),
    (RFC9111, None, 200, [("last-modified", at(-900))], "heuristic: 90 s, a share of the time since Last-Modified"),
    (RFC9111, None, 404, [], "error_ttl: 1 s, as the origin names none"),
    (RFC9111, None, 200, [("etag", '"1"')], "none: nothing names a lifetime"),
    (RFC9111, None, 200, cc("max-age=60, s-maxage=10"), "s-maxage: 10 s"),
    (CLOUDFRONT, MIN, 200, cc("no-store"), "ttl.min: 7 s, against the origin's will"),
    (
        CLOUDFRONT, MIN, 200, [*cc("max-age=60"), ("age", "59")],
        "ttl.min: 7 s from its arrival, as its age leaves less of 60 s",
    ),
    (CLOUDFRONT, None, 503, cc("max-age=2"), "error_ttl raised 2 s to 10 s"),
    (CLOUDFRONT, None, 200, [("expires", at(300))], "expires: 300 s"),
    (FASTLY, None, 200, SURROGATE, "surrogate-control: 60 s"),
    (RFC9111, None, 200, AIMED, "surrogate-control: 60 s"),
]  # fmt: skip


@pytest.mark.parametrize(("profile", "behavior", "status", "lines", "words"), LIFETIMES)
def test_how_a_lifetime_came_to_be(
    profile: Profile, behavior: Behavior | None, status: int, lines: list[tuple[str, str]], words: str
) -> None:
    assert reader(profile, lines, status, behavior).lifetime() == words


WORDS = st.sampled_from(
    [
        "max-age=60", "max-age=0", "max-age=x", "s-maxage=10", "no-cache", "no-store", "private", "public",
        "must-revalidate", "proxy-revalidate", "must-understand", "stale-while-revalidate=30", "stale-if-error=60",
        "immutable", 'no-cache="x"', "no-transform",
    ]
)  # fmt: skip
FIELDS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["cache-control", "surrogate-control", "cdn-cache-control"]),
            st.lists(WORDS, min_size=1, max_size=4, unique_by=lambda word: word.partition("=")[0]).map(", ".join),
        ),
        st.tuples(st.just("expires"), st.sampled_from([at(9), "0"])),
        st.tuples(st.just("age"), st.sampled_from(["3", "99"])),
    ),
    max_size=4,
    unique_by=lambda line: line[0],
)


@given(
    st.sampled_from([RFC9111, CLOUDFRONT, FASTLY]), st.sampled_from([None, MIN]), st.sampled_from([200, 404]), FIELDS
)
def test_what_is_told_is_what_was_decided(
    profile: Profile, behavior: Behavior | None, status: int, lines: list[tuple[str, str]]
) -> None:
    """Of what is stored: one word sets the lifetime if and only if the rule is the origin's, and it is the rule's."""
    rules = resolve(behavior or Behavior(path="*"), profile)
    head = ResponseHead(status, Headers([("date", at(0)), *lines]))
    if why_not_store(ask(), head, rules, profile, largest=10**9, now=NOW) is not None:
        return
    life = lifetime_of(head, rules, profile, sent_at=NOW, now=NOW)
    told = reader(profile, lines, status, behavior)
    setting = [
        note.field if note.field in ("expires", "surrogate-control") else note.word.partition("=")[0]
        for note in told.annotations()
        if note.why.endswith("sets the lifetime") and note.used
    ]
    assert setting == ([life.rule] if life.rule in ("s-maxage", "max-age", "expires", "surrogate-control") else [])
    assert told.lifetime().startswith(life.rule)
    assert life.fresh_until + told.windows.refresh == life.refreshable_until
    assert life.fresh_until + told.windows.fallback == life.fallback_until
    assert life.fresh_until + told.windows.unreachable == life.unreachable_until
    assert any(note.word == "no-cache" and note.used for note in told.annotations()) is life.revalidate_always
