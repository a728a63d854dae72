"""What every scheme refuses, whatever its words: each row is tried on all of them."""

import string
from dataclasses import replace

import pytest

from cdnkit.policy.token import TokenFault
from tests.kit.refusals import fault_of
from tests.kit.tokens import END, KINDS, PATH, URL, Kind, get

GOOD = END - 10.0

every_scheme = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def query_of(kind: Kind, url: str = URL, end: int = END) -> str:
    return kind.signed(url, end).partition("?")[2]


def fault(kind: Kind, query: str | None, now: float = GOOD, path: str = PATH) -> TokenFault | None:
    """As a fresh scheme says, and again by one that has seen a good token of the same viewer."""
    request = replace(get(f"https://media.example.net{path}"), query=query)
    fresh, seasoned = kind.scheme(), kind.scheme()
    assert seasoned.refusal(get(f"{URL}?{query_of(kind)}"), GOOD) is None
    refusals = [scheme.refusal(request, now) for scheme in (fresh, seasoned, seasoned)]
    assert refusals[0] == refusals[1] == refusals[2]
    return fault_of(refusals[0])


def with_value(query: str, name: str, value: str) -> str:
    return "&".join(f"{name}={value}" if part.startswith(f"{name}=") else part for part in query.split("&"))


def value_of(query: str, name: str) -> str:
    return next(part.partition("=")[2] for part in query.split("&") if part.startswith(f"{name}="))


@every_scheme
def test_a_good_one_is_good_until_its_end(kind: Kind) -> None:
    query = query_of(kind)
    assert fault(kind, query) is None
    assert fault(kind, query, END - 0.001) is None
    assert fault(kind, query, float(END)) is TokenFault.EXPIRED
    assert fault(kind, query, END + 10_000.0) is TokenFault.EXPIRED


@every_scheme
def test_how_long_ago_it_expired_is_told(kind: Kind) -> None:
    refusal = kind.scheme().refusal(get(f"{URL}?{query_of(kind)}"), END + 7.5)
    assert refusal is not None
    assert refusal.facts["seconds_past"] == 7.5
    assert str(END) in str(refusal.facts["wanted"])


@every_scheme
def test_none_at_all(kind: Kind) -> None:
    assert fault(kind, None) is TokenFault.MISSING
    assert fault(kind, "a=b") is TokenFault.MISSING


@every_scheme
def test_another_path(kind: Kind) -> None:
    assert fault(kind, query_of(kind), path="/live/1080p/seg_00042.m4s") in (TokenFault.FORGED, TokenFault.PATH)
    assert fault(kind, query_of(kind), path=f"{PATH}x") in (TokenFault.FORGED, TokenFault.PATH)


@every_scheme
def test_another_key(kind: Kind) -> None:
    refusal = kind.other_key().refusal(get(f"{URL}?{query_of(kind)}"), GOOD)
    assert refusal is not None
    assert fault_of(refusal) is TokenFault.FORGED


@every_scheme
def test_no_byte_of_it_may_change(kind: Kind) -> None:
    """Every character in turn, by another of those that may stand there. Base64's last holds bits of no account."""
    query = query_of(kind)
    value = value_of(query, kind.param)
    unused_bits = 1 if kind.param in ("Signature", "cat") or value.count(".") == 2 else 0
    scheme = kind.scheme()
    for index in range(len(value.rstrip("_")) - unused_bits):
        old = value[index]
        new = "f" if old == "0" else "0" if old in string.hexdigits else "A"
        request = get(f"{URL}?{with_value(query, kind.param, value[:index] + new + value[index + 1 :])}")
        assert scheme.refusal(request, GOOD) is not None, f"{old!r} at {index} changed to {new!r}"


@every_scheme
def test_nothing_may_be_cut_off(kind: Kind) -> None:
    query = query_of(kind)
    value = value_of(query, kind.param)
    scheme = kind.scheme()
    for length in range(len(value.rstrip("_"))):
        request = get(f"{URL}?{with_value(query, kind.param, value[:length])}")
        assert scheme.refusal(request, GOOD) is not None, f"{length} characters"


@every_scheme
def test_twice(kind: Kind) -> None:
    """Two readers might each take another one: even twice the same is refused."""
    query = query_of(kind)
    assert fault(kind, f"{query}&{kind.param}={value_of(query, kind.param)}") is TokenFault.MALFORMED
    assert fault(kind, f"{kind.param}=x&{query}") is TokenFault.MALFORMED


@every_scheme
def test_a_megabyte(kind: Kind) -> None:
    query = query_of(kind)
    long = with_value(query, kind.param, value_of(query, kind.param) + "A" * 2**20)
    assert fault(kind, long) is TokenFault.TOO_LONG


ENCODINGS = [
    "%",
    "%00",
    "\xff\xfe",
    "é",
    "../../etc/passwd",
    "'",
    "\x7f",
    "null",
    "-1",
    "0" * 4000,
    "=" * 50,
    "." * 50,
    "~" * 50,
]


@every_scheme
@pytest.mark.parametrize("garbage", ENCODINGS, ids=repr)
def test_what_is_no_token_at_all(kind: Kind, garbage: str) -> None:
    query = with_value(query_of(kind), kind.param, garbage)
    assert fault(kind, query) in (TokenFault.MALFORMED, TokenFault.FORGED)


@every_scheme
def test_the_rest_of_the_query_and_the_order_are_free(kind: Kind) -> None:
    """But for the schemes that sign the query, which is CloudFront: there the viewer's own parameters are signed."""
    query = query_of(kind)
    shuffled = "&".join(reversed(query.split("&")))
    assert fault(kind, shuffled) is None
    with_more = fault(kind, f"CMCD=bl%3D1&{query}")
    assert with_more is (None if kind.param != "Signature" else with_more)


@every_scheme
def test_the_token_leaves_the_request_and_nothing_else_does(kind: Kind) -> None:
    request = replace(get(URL, cookie="a=1; b=2", accept="*/*"), query=f"a=1&{query_of(kind)}&z")
    bare = kind.scheme().carriers.stripped(request)
    assert (bare.path, bare.query) == (PATH, "a=1&z")
    assert bare.headers == request.headers
    untouched = replace(request, query="a=1&z")
    assert kind.scheme().carriers.stripped(untouched) is untouched
    assert kind.scheme().carriers.stripped(replace(request, query=query_of(kind))).query is None


@every_scheme
def test_no_fact_of_a_refusal_holds_the_token(kind: Kind) -> None:
    query = query_of(kind)
    value = value_of(query, kind.param)
    for bad in (query, with_value(query, kind.param, value[:-5]), with_value(query, kind.param, value[::-1])):
        refusal = kind.scheme().refusal(replace(get(f"{URL}x"), query=bad), END + 1.0)
        assert refusal is not None
        assert value[5:] not in str(refusal.facts)
