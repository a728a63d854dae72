"""What the very next request would get, in words, beside what is under way: each way that a node has."""

from collections.abc import Callable

import pytest

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.machine.explain import explain
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.outcomes import Failure
from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.service import Behavior
from cdnkit.vendors import CLOUDFRONT
from tests.kit.machine import NOW, fetched, filled, get, node
from tests.kit.machine import dated as says

Given = Callable[[EdgeMachine], object]


def nothing(edge: EdgeMachine) -> object:
    return None


def stored(*, age: float = 0.0, **fields: str) -> Given:
    return lambda edge: filled(edge, says(**fields), now=NOW - age)


def under_way(request: RequestHead) -> Given:
    return lambda edge: edge.on_request(request, NOW)


def variants(edge: EdgeMachine) -> object:
    """One in German is stored, one in English is asked for."""
    filled(edge, says(vary="accept-language", cache_control="max-age=60"), request=get(accept_language="de"))
    return fetched(edge, edge.on_request(get(accept_language="en"), NOW))


def failed(edge: EdgeMachine) -> object:
    return edge.on_failure(fetched(edge, edge.on_request(get(), NOW)), Failure.CONNECT, NOW)


PLAIN = get()
PART = get(range="bytes=5-9")
COVERS = {"cache_control": "max-age=60, stale-if-error=60"}
FRESH, SPENT = {"cache_control": "max-age=60"}, {"cache_control": "max-age=60, must-revalidate"}
NEXT: list[tuple[Profile, Given, RequestHead, str, bool]] = [
    # profile, what there is, the request          what it would get, is what it would wait for in flight
    (RFC9111, nothing, PLAIN, "fetch from the parent (cold)", False),
    (RFC9111, under_way(PLAIN), PLAIN, "wait for the fill that is in flight", True),
    (RFC9111, under_way(get("/b")), PLAIN, "fetch from the parent (cold)", False),
    (RFC9111, under_way(PLAIN), PART, "fetch from the parent (cold)", False),  # for another part nobody waits
    (RFC9111, under_way(PART), PART, "wait for the fill that is in flight", True),
    (RFC9111, variants, get(accept_language="en"), "wait for the fill that is in flight", True),
    (RFC9111, variants, get(accept_language="fr"), "fetch from the parent (vary)", False),
    (RFC9111, stored(**FRESH), PLAIN, "hit", False),
    (RFC9111, stored(age=100.0, etag='"1"', **SPENT), PLAIN, "revalidate with the parent (expired)", False),
    (RFC9111, stored(age=100.0, **SPENT), PLAIN, "fetch anew from the parent (expired)", False),
    (RFC9111, stored(age=100.0, **FRESH), PLAIN, "fetch anew from the parent (expired), and serve this copy if it does not answer at all", False),
    (RFC9111, stored(age=100.0, **COVERS), PLAIN, "fetch anew from the parent (expired), and serve this copy if it fails", False),
    (RFC9111, stored(age=120.0, **COVERS), PLAIN, "fetch anew from the parent (expired)", False),
    (CLOUDFRONT, failed, PLAIN, "502 origin: connect-refused, without asking for 10.0 s more, as the parent has just failed", False),
]  # fmt: skip


@pytest.mark.parametrize(("profile", "given", "request_head", "then", "in_flight"), NEXT)
def test_what_the_next_request_would_get(
    profile: Profile, given: Given, request_head: RequestHead, then: str, in_flight: bool
) -> None:
    edge = node(profile, Behavior(path="*"))
    given(edge)
    told = explain(edge, request_head, NOW)
    assert (told["next"], told["in_flight"]) == (then, in_flight)
    assert told == explain(edge, request_head, NOW), "to look changes nothing"
