"""Lines of answers that depend on an instant or on what the tier above said: rows beside those of each vendor's pages."""

import pytest

from cdnkit.policy.answer.status import cache_status
from cdnkit.policy.http.dates import format_date
from cdnkit.policy.outcomes import Cause
from cdnkit.policy.plan import Serve
from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.service import Behavior
from cdnkit.vendors import CLOUDFRONT, FASTLY
from tests.kit.machine import NOW, fetched, filled, node
from tests.kit.machine import dated as says
from tests.kit.machine import get as ask

MEMBERS = [  # why it was asked for, was something stored?     the member
    (Cause.COLD, False, "fra; fwd=uri-miss"),
    (Cause.COLD, True, "fra; fwd=stale"),  # stored once, so no miss of the URI
    (Cause.EXPIRED, False, "fra; fwd=stale"),
    (Cause.EXPIRED, True, "fra; fwd=stale"),
    (Cause.VARY, True, "fra; fwd=vary-miss"),
    (Cause.METHOD, True, "fra; fwd=method"),
    (Cause.BYPASS, True, "fra; fwd=bypass"),
    (Cause.REQUEST, True, "fra; fwd=request"),
    (Cause.PARTIAL, True, "fra; fwd=partial"),
]


@pytest.mark.parametrize(("cause", "had_stale", "member"), MEMBERS)
def test_the_reason_of_a_forward(cause: Cause, had_stale: bool, member: str) -> None:
    assert cache_status("fra", cause=cause, had_stale=had_stale) == member


TTLS = [  # seconds that are left   as written
    (0.5, "fra; hit; ttl=1"),  # not yet 0: that would say stale
    (0.0, "fra; hit; ttl=0"),
    (1.0, "fra; hit; ttl=1"),
    (1.001, "fra; hit; ttl=2"),
    (-0.5, "fra; hit; ttl=0"),
    (-1.0, "fra; hit; ttl=-1"),
    (-1.9, "fra; hit; ttl=-1"),
]


@pytest.mark.parametrize(("left", "member"), TTLS)
def test_what_is_left_of_a_lifetime(left: float, member: str) -> None:
    assert cache_status("fra", hit=True, ttl=left) == member


DATES = [  # the date of an answer from the store: the origin's, or now as Fastly has it
    (RFC9111, [0.0, 0.0, 0.0, 0.0]),
    (CLOUDFRONT, [0.0, 0.0, 0.0, 0.0]),
    (FASTLY, [1.0, 1.0, 2.0, 3.0]),
]


@pytest.mark.parametrize(("profile", "dates"), DATES, ids=lambda value: getattr(value, "name", ""))
def test_date_and_age_of_hits_change_each_in_its_own_instant(profile: Profile, dates: list[float]) -> None:
    edge = node(profile)
    filled(edge, says(cache_control="max-age=60", date=format_date(NOW)), NOW + 0.5)
    told = []
    for now in (NOW + 1.4, NOW + 1.9, NOW + 2.1, NOW + 3.0):
        answer = edge.on_request(ask(), now)
        assert isinstance(answer, Serve)
        told.append(dict(answer.headers))
    assert [one["date"] for one in told] == [format_date(NOW + at) for at in dates]
    ages = [int(one["age"]) for one in told]
    assert ages == sorted(ages) and ages[-1] - ages[0] in (1, 2)


def test_server_timing_of_a_refresh_leaves_out_what_the_origin_said_before() -> None:
    """A miss puts its metrics behind those of the origin; a refresh tells of a stored answer, whose times are old."""
    edge = node(CLOUDFRONT, Behavior(path="*", server_timing=0.0))
    filled(edge, says(server_timing="db;dur=53", cache_control="max-age=1", etag='"1"'))
    plan = fetched(edge, edge.on_request(ask(pragma="server-timing"), NOW + 30))
    answer = edge.on_response(plan, says(304), NOW + 30).answers[plan.ticket]
    assert isinstance(answer, Serve)
    told = dict(answer.headers)["server-timing"]
    assert told.startswith("cdn-upstream-layer") and "db;" not in told
