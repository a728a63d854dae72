"""How long answers stay good, and what they are good for afterwards: RFC 9111 §4.2, RFC 5861, the vendors' tables."""

import pytest

from cdnkit.policy.freshness.lifetime import HEURISTIC_STATUSES, NEGATIVE_STATUSES, lifetime_of
from cdnkit.policy.freshness.reuse import Standing, standing
from cdnkit.policy.http.dates import format_date
from cdnkit.policy.http.messages import Headers, ResponseHead
from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.service import Behavior, Ttl
from cdnkit.vendors import CLOUDFRONT, FASTLY

NOW = 1_795_000_000.0


def head(status: int = 200, **fields: str) -> ResponseHead:
    lines = [(name.replace("_", "-"), value) for name, value in fields.items()]
    return ResponseHead(status, Headers([("date", format_date(NOW)), *lines]))


def fresh_for(response: ResponseHead, behavior: Behavior, profile: Profile = RFC9111) -> float:
    life = lifetime_of(response, behavior, profile, sent_at=NOW, now=NOW)
    return life.fresh_until - NOW


PLAIN = Behavior(path="*")

REUSE = [  # given Cache-Control                after  then
    ("max-age=6", 5.9, Standing.FRESH),
    ("max-age=6", 6.0, Standing.SPENT),  # fresh is strictly younger
    ("max-age=6, stale-while-revalidate=4", 9.9, Standing.REFRESHABLE),
    ("max-age=6, stale-while-revalidate=4", 10.0, Standing.SPENT),
    ("max-age=6, stale-if-error=60", 7.0, Standing.FALLBACK),
    ("max-age=60, s-maxage=2", 3.0, Standing.SPENT),  # shared: s-maxage rules
    ("s-maxage=2, stale-while-revalidate=10", 3.0, Standing.REFRESHABLE),  # the origin's own word stands
    ("max-age=6, must-revalidate, stale-if-error=60", 7.0, Standing.SPENT),
    ("max-age=6, proxy-revalidate, stale-while-revalidate=60", 7.0, Standing.SPENT),
    ("no-cache, max-age=60", 1.0, Standing.SPENT),
    ("max-age=x", 0.0, Standing.SPENT),
]


@pytest.mark.parametrize(("control", "after", "expected"), REUSE)
def test_standing(control: str, after: float, expected: Standing) -> None:
    life = lifetime_of(head(cache_control=control), PLAIN, RFC9111, sent_at=NOW, now=NOW)
    assert standing(life, NOW + after) is expected


FRESHNESS = [  # given fields                                                    seconds
    ({"cache_control": "max-age=60"}, 60),
    ({"cache_control": "max-age=60", "expires": format_date(NOW + 9)}, 60),
    ({"cache_control": "max-age=x", "expires": format_date(NOW + 9)}, 0),  # unreadable is stale, not absent
    ({"expires": format_date(NOW + 300)}, 300),
    ({"expires": format_date(NOW)}, 0),
    ({"expires": "0"}, 0),
    ({"last_modified": format_date(NOW - 1000)}, 100),  # a tenth of the time since
    ({"last_modified": format_date(NOW + 1000)}, 0),
    ({"last_modified": format_date(NOW - 10**9)}, 86_400),  # capped
    ({"cache_control": "max-age=60", "age": "10"}, 50),
    ({"cache_control": "max-age=60", "age": "10, 20"}, 50),  # the first member
    ({"cache_control": "max-age=60", "age": "x"}, 60),  # unreadable: as if it were not there
    ({"cache_control": "max-age=60", "age": "-5"}, 60),
    ({"cache_control": "max-age=99999999999999"}, 2**31),
    ({"cache_control": "max-age=0060"}, 60),
    ({"cache_control": "s-maxage=0, max-age=600"}, 0),
    ({"cache_control": "max-age=9, max-age=60"}, 9),  # the first of two
    ({"cache_control": "s-maxage=60", "expires": format_date(NOW + 9)}, 60),
    ({"cache_control": "s-maxage=60", "expires": "0"}, 60),  # not looked at, valid or not
    ({"expires": format_date(NOW + 300), "age": "100"}, 200),  # age counts for every kind of lifetime
    ({"expires": format_date(NOW - 300)}, 0),
    ({"cache_control": "max-age=60", "age": "100"}, -40),  # older than its lifetime when it came
    ({"cache_control": "max-age=60", "age": "99999999999999"}, 60 - 2**31),
    ({"cache_control": "max-age=60", "pragma": "no-cache"}, 60),  # in a response it means nothing (§5.4)
    ({"cache_control": "public", "last_modified": format_date(NOW - 1000)}, 100),
]


@pytest.mark.parametrize(("fields", "seconds"), FRESHNESS)
def test_freshness_lifetime(fields: dict[str, str], seconds: float) -> None:
    assert fresh_for(head(**fields), PLAIN) == seconds


HOURS = 7200.0
LINES = [  # the fields line by line, seconds it is fresh: RFC 9111 §4.2.1, §4.2.3, §5.1, §5.3
    ([("date", format_date(NOW)), ("cache-control", "public"), ("cache-control", "max-age=60")], 60),
    ([("date", format_date(NOW)), ("expires", format_date(NOW + 60)), ("expires", format_date(NOW + 60))], 60),
    ([("date", format_date(NOW)), ("expires", format_date(NOW + 60)), ("expires", format_date(NOW + 90))], 0),
    ([("date", format_date(NOW)), ("age", "10"), ("age", "50"), ("cache-control", "max-age=60")], 50),
    # both ends of Expires come from the origin: a clock that is hours ahead or behind is of no account for them
    ([("date", format_date(NOW + HOURS)), ("expires", format_date(NOW + HOURS + 60))], 60),
    ([("date", format_date(NOW - HOURS)), ("expires", format_date(NOW - HOURS + 60))], 60 - HOURS),  # but its age is
    # a Date that cannot be read is none
    ([("date", "yesterday"), ("cache-control", "max-age=60")], 60),
    ([("date", "yesterday"), ("expires", format_date(NOW + 60))], 60),
    ([("date", "yesterday"), ("last-modified", format_date(NOW - 1000))], 100),
    ([("cache-control", "max-age=60")], 60),
    ([("date", format_date(NOW - 10)), ("date", format_date(NOW - 20)), ("cache-control", "max-age=60")], 50),
]


@pytest.mark.parametrize(("lines", "seconds"), LINES)
def test_freshness_line_by_line(lines: list[tuple[str, str]], seconds: float) -> None:
    assert fresh_for(ResponseHead(200, Headers(lines)), PLAIN) == seconds


def test_heuristics_are_for_the_statuses_of_the_list_and_for_what_says_public() -> None:
    modified = {"last_modified": format_date(NOW - 1000)}
    for status in sorted(HEURISTIC_STATUSES - NEGATIVE_STATUSES):
        assert fresh_for(head(status, **modified), PLAIN) == 100
    for status in (302, 307, 400, 403, 500, 503, 599):
        assert fresh_for(head(status, **modified), PLAIN) == 0
        assert fresh_for(head(status, cache_control="public", **modified), PLAIN) == 100


def test_age_counts_from_date_and_from_the_wait() -> None:
    old = ResponseHead(200, Headers([("date", format_date(NOW - 30)), ("cache-control", "max-age=60")]))
    assert lifetime_of(old, PLAIN, RFC9111, sent_at=NOW, now=NOW).fresh_until == NOW + 30
    slow = lifetime_of(head(cache_control="max-age=60"), PLAIN, RFC9111, sent_at=NOW - 5, now=NOW)
    assert slow.fresh_until == NOW + 55
    ahead = ResponseHead(200, Headers([("date", format_date(NOW + 99)), ("cache-control", "max-age=60")]))
    assert lifetime_of(ahead, PLAIN, RFC9111, sent_at=NOW, now=NOW).age(NOW) == 0


def ttl(least: float, default: float, most: float) -> Behavior:
    return Behavior(path="*", ttl=Ttl(min=least, default=default, max=most))


IN = "max-age=60"
CLOUDFRONT_VECTORS = [  # the vendor's table: id, min, default, max, origin's fields, edge TTL
    ("CF-T01", 0, 86_400, 31_536_000, {}, 86_400),
    ("CF-T02", 0, 86_400, 31_536_000, {"cache_control": IN}, 60),
    ("CF-T03", 0, 86_400, 31_536_000, {"cache_control": "max-age=60, s-maxage=10"}, 10),
    ("CF-T04", 0, 30, 30, {"cache_control": IN}, 30),
    ("CF-T05", 0, 86_400, 31_536_000, {"cache_control": "max-age=0"}, 0),
    ("CF-T06", 0, 86_400, 31_536_000, {"expires": format_date(NOW + 300)}, 300),
    ("CF-T07", 0, 86_400, 31_536_000, {"cache_control": IN, "expires": format_date(NOW + 300)}, 60),
    ("CF-T08", 0, 86_400, 31_536_000, {"expires": format_date(NOW - 10)}, 0),
    ("CF-T11", 1, 86_400, 31_536_000, {"cache_control": "max-age=0"}, 1),
    ("CF-T12", 100, 100, 31_536_000, {}, 100),
    ("CF-T13", 5, 10, 60, {"cache_control": "max-age=600"}, 60),
    ("CF-T14", 5, 10, 60, {"cache_control": "max-age=2"}, 5),
    ("CF-T16", 0, 86_400, 31_536_000, {"cache_control": "public"}, 86_400),
]


@pytest.mark.parametrize("row", CLOUDFRONT_VECTORS, ids=lambda row: row[0])
def test_cloudfront_ttl(row: tuple[str, float, float, float, dict[str, str], float]) -> None:
    _, least, default, most, fields, seconds = row
    assert fresh_for(head(**fields), ttl(least, default, most), CLOUDFRONT) == seconds


def test_fastly_and_negative_lifetimes() -> None:
    assert fresh_for(head(), PLAIN, FASTLY) == 3600  # FA-T01
    assert fresh_for(head(cache_control="max-age=30", age="10"), PLAIN, FASTLY) == 20  # FA-T06
    assert fresh_for(head(404), PLAIN, FASTLY) == 3600  # FA-T11
    assert fresh_for(head(404), PLAIN, CLOUDFRONT) == 10  # CF-T17
    assert fresh_for(head(404), PLAIN) == 1
    assert fresh_for(head(404, cache_control="max-age=9"), PLAIN) == 9


def test_a_soft_purge_begins_the_stale_windows_now() -> None:
    life = lifetime_of(
        head(cache_control="max-age=60, stale-while-revalidate=10"), PLAIN, RFC9111, sent_at=NOW, now=NOW
    )
    purged = life.made_stale(NOW + 5)
    assert standing(purged, NOW + 5) is Standing.REFRESHABLE
    assert standing(purged, NOW + 15) is Standing.SPENT
    assert purged.made_stale(NOW + 7) is purged
