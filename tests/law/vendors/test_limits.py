"""How large messages may be: CloudFront's "Quotas" and "Request and response behavior", Fastly's "Constraints and
limitations". Statuses that the vendors' pages do not name for certain are not asserted, but that a limit refuses is."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from cdnkit.policy.gate.limits import measured
from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import Failure, Outcome
from cdnkit.policy.plan import Fetch, Refuse, Serve
from cdnkit.policy.rules.profile import RFC9111, Profile, Quota
from cdnkit.policy.rules.service import Behavior, Service
from cdnkit.replay import read_trace, replay_node
from cdnkit.vendors import CLOUDFRONT, FASTLY
from tests.kit.http import ask as ask_over
from tests.kit.http import read_reply
from tests.kit.machine import NOW, fetched, filled, node
from tests.kit.machine import dated as says
from tests.kit.machine import get as ask
from tests.kit.node import running_node
from tests.kit.origin import Asked, running_origin

FRESH = {"cache_control": "max-age=60"}


def url_of(length: int) -> RequestHead:
    """A request whose URL has so many bytes: "http://h/a?" and the rest."""
    return measured(ask(query="u" * (length - len("http://h/a?"))))


def head_of(length: int, fields: int = 1) -> RequestHead:
    """A request whose head has so many bytes in so many fields."""
    bare = [(f"x-{number:03d}", "") for number in range(fields)]
    request = ask()
    request.headers.lines[:] = bare
    missing = length - measured(request).head_bytes
    request.headers.lines[0] = (bare[0][0], "v" * missing)
    return measured(request)


REQUESTS = [  # profile, request, is it taken?, the vendor's words
    (CLOUDFRONT, url_of(8192), True, ""),
    (CLOUDFRONT, url_of(8193), False, "InvalidRequest"),
    (CLOUDFRONT, head_of(20_480), True, ""),
    (CLOUDFRONT, head_of(20_481), False, "InvalidRequest"),
    (CLOUDFRONT, head_of(15_000, 1000), True, ""),  # no number of fields is named
    (FASTLY, url_of(8192), True, ""),
    (FASTLY, url_of(8193), False, "Too long request string"),
    (FASTLY, head_of(69 * 1024), True, ""),
    (FASTLY, head_of(69 * 1024 + 1), False, "Header overflow"),
    (FASTLY, head_of(20_000, 255), True, ""),
    (FASTLY, head_of(20_000, 256), False, "Header overflow"),
    (RFC9111, url_of(60_000), True, ""),
    (RFC9111, head_of(1_000_000, 2000), True, ""),
]


@pytest.mark.parametrize("stored", [False, True], ids=["cold", "a hit lies ready"])
@pytest.mark.parametrize(
    ("profile", "request_", "taken", "words"), REQUESTS,
    ids=[f"{row[0].name}-{len(row[1].url)}-{row[1].head_bytes}-{row[1].head_fields}" for row in REQUESTS],
)  # fmt: skip
def test_a_request(profile: Profile, request_: RequestHead, taken: bool, words: str, stored: bool) -> None:
    edge = node(profile)
    if stored:
        filled(edge, says(**FRESH), request=measured(ask(query=request_.query)) if taken else measured(ask()))
    plan = edge.on_request(request_, NOW + 1)
    assert isinstance(plan, Refuse) is not taken
    if isinstance(plan, Refuse):
        assert plan.words == words and plan.reason.startswith("limit: a ") and plan.status >= 400
        assert plan.outcome is Outcome.REFUSED


@pytest.mark.parametrize("request_", [url_of(8193), head_of(20_481)], ids=["URL", "head"])
def test_cloudfront_refuses_both_with_413(request_: RequestHead) -> None:
    """ "Request and response behavior" (2023), "Maximum length of a request and maximum length of a URL"."""
    refused = node(CLOUDFRONT).on_request(request_, NOW)
    assert isinstance(refused, Refuse) and refused.status == 413
    assert ("connection", "close") in refused.headers
    over_http2 = node(CLOUDFRONT).on_request(replace(request_, version="2"), NOW)
    assert isinstance(over_http2, Refuse) and "connection" not in dict(over_http2.headers)


def test_after_cloudfronts_413_the_connection_ends() -> None:
    """The same page: it "then terminates the TCP connection to the viewer"."""

    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, profile=CLOUDFRONT) as edge:
            origin.says("/a", b"body", **FRESH)
            reader, writer = await asyncio.open_connection(*edge.url.removeprefix("http://").split(":"))
            for target, status in (("/a", 200), ("/a?" + "u" * 8200, 413)):
                writer.write(f"GET {target} HTTP/1.1\r\nhost: h\r\n\r\n".encode())
                assert (await read_reply(reader)).status == status
            assert await asyncio.wait_for(reader.read(), 30) == b""
            writer.close()

    asyncio.run(run())


def test_fastly_takes_long_cookies_away_and_says_so() -> None:
    edge = node(FASTLY)
    short = fetched(edge, edge.on_request(ask("/a", cookie="c" * 32_768), NOW)).request
    assert short.headers.first("cookie") == "c" * 32_768 and "fastly-cookie-overflow" not in short.headers
    long = fetched(edge, edge.on_request(ask("/b", cookie="c" * 32_769, fastly_cookie_overflow="forged"), NOW)).request
    assert "cookie" not in long.headers and long.headers.all("fastly-cookie-overflow") == ["1"]


RESPONSES = [  # profile, bytes of one field of the origin's answer, fields beside, is it taken?, the words
    (CLOUDFRONT, 20_000, 0, True, ""),
    (CLOUDFRONT, 20_480, 0, False, "OriginHeaderTooBigError"),
    (CLOUDFRONT, 10, 200, True, ""),
    (FASTLY, 70_000, 0, True, ""),
    (FASTLY, 69 * 1024, 0, False, "backend read error"),
    (FASTLY, 10, 94, True, ""),  # with Date and the long one 96
    (FASTLY, 10, 95, False, "Header overflow"),
    (RFC9111, 100_000, 300, True, ""),
]


@pytest.mark.parametrize(("profile", "length", "beside", "taken", "words"), RESPONSES)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_response_head(profile: Profile, length: int, beside: int, taken: bool, words: str, method: str) -> None:
    edge = node(profile)
    plan = fetched(edge, edge.on_request(measured(ask(method=method)), NOW))
    response = says(200, *[(f"x-{number}", "") for number in range(beside)], x_long="v" * length)
    landing = edge.on_response(plan, response, NOW)
    answer = landing.answers[plan.ticket]
    assert isinstance(answer, Refuse) is not taken
    if isinstance(answer, Refuse):
        assert answer.words == words and answer.outcome is Outcome.FAILED and answer.status in (502, 503)
        assert landing.store is None


MOST = 20_971_520
OBJECTS = [  # profile, method, the origin's answer, is it taken?
    (FASTLY, "GET", says(content_length=str(MOST), **FRESH), True),
    (FASTLY, "GET", says(content_length=str(MOST + 1), **FRESH), False),
    (FASTLY, "GET", says(content_length=str(MOST + 1), cache_control="private"), True),  # passed, never an object
    (FASTLY, "POST", says(content_length=str(MOST + 1), **FRESH), True),
    (CLOUDFRONT, "GET", says(content_length=str(50 * 10**9), **FRESH), True),
    (CLOUDFRONT, "GET", says(content_length=str(50 * 10**9 + 1), **FRESH), False),
    (RFC9111, "GET", says(content_length=str(10**12), **FRESH), True),
]


@pytest.mark.parametrize(("profile", "method", "response", "taken"), OBJECTS)
@pytest.mark.parametrize("room", [10**7, 10**12], ids=["streams through", "may be stored"])
def test_an_object(profile: Profile, method: str, response: object, taken: bool, room: int) -> None:
    edge = node(profile, room=room, largest=room)
    plan = fetched(edge, edge.on_request(measured(ask(method=method)), NOW))
    answer = edge.on_response(plan, response, NOW).answers[plan.ticket]  # type: ignore[arg-type]
    assert isinstance(answer, Refuse) is not taken
    if isinstance(answer, Refuse) and profile is FASTLY:
        assert (answer.status, answer.words) == (503, "Response object too large")


def test_a_stored_object_outlives_a_successor_that_is_too_large() -> None:
    """Nothing is taken out for an answer that nobody gets."""
    edge = node(FASTLY, Behavior(path="*", stale_if_error=60.0))
    filled(edge, says(cache_control="max-age=1"), request=measured(ask()))
    plan = fetched(edge, edge.on_request(measured(ask()), NOW + 10))
    landing = edge.on_response(plan, says(content_length=str(MOST + 1), **FRESH), NOW + 10)
    answer = landing.answers[plan.ticket]
    assert isinstance(answer, Serve) and answer.outcome is Outcome.HIT_STALE and landing.dropped == []


def test_a_body_of_unknown_length_is_cut_where_it_grows_too_large() -> None:
    edge = node(FASTLY)
    plan = fetched(edge, edge.on_request(measured(ask()), NOW))
    landing = edge.on_response(plan, says(**FRESH), NOW)
    assert landing.cut_at == MOST
    edge.on_failure(plan, Failure.TOO_LARGE, NOW + 1)
    assert isinstance(edge.on_request(measured(ask()), NOW + 2), Fetch)
    for profile, response in ((RFC9111, says(**FRESH)), (FASTLY, says(content_length="10", **FRESH))):
        edge = node(profile)
        plan = fetched(edge, edge.on_request(measured(ask()), NOW))
        assert edge.on_response(plan, response, NOW).cut_at is None


def test_limits_on_the_wire_and_replayed(tmp_path: Path) -> None:
    """A long URL, a large head where a hit lies ready, and a chunked body that is cut; the replay says the same."""
    records = tmp_path / "fra.jsonl"
    small = replace(FASTLY.quotas, object=Quota(100_000, FASTLY.quotas.object.response))  # type: ignore[union-attr, type-var]
    profile = replace(FASTLY, quotas=small)

    async def endless(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(30):
            writer.write(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    async def run() -> None:
        async with (
            running_origin() as origin,
            running_node(origin.url, profile=profile, records=records) as edge,
        ):
            origin.says("/a", b"body", **FRESH)
            origin.does("/endless", endless)
            assert (await edge.get("/a")).status == 200
            over = await edge.get("/a", x_large="v" * 50_000)
            assert over.status == 200
            large = await edge.get("/a", x_large="v" * 72_000)
            assert large.status == 503 and b"Header overflow" in large.body
            many = await ask_over(edge.url, "/a", **{f"x_{number}": "1" for number in range(300)})
            assert many.status == 503 and b"Header overflow" in many.body
            long = await edge.get("/a?" + "u" * 9000)
            assert long.status >= 400 and b"Too long request string" in long.body
            cut = await edge.get("/endless")
            assert cut.status == 200 and not cut.whole and len(cut.body) <= 100_000
            assert origin.count["/a"] == 1

    asyncio.run(run())
    told = [line for line in map(json.loads, records.read_text().splitlines()) if line["kind"] == "request"]
    assert [line["outcome"] for line in told] == ["miss", "hit", "refused", "refused", "refused", "miss"]
    assert told[3]["head_fields"] >= 300 and told[1]["head_bytes"] > 50_000
    service = Service(name="fra", profile="fastly", behaviors=(Behavior(path="*"),))
    assert replay_node(read_trace(records), service, profile).differences == []
