"""What the machine's decisions cost, in microseconds, beside the plain dictionary look-up that a hit cannot beat."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from cdnkit.policy import EdgeMachine, Fetch, Headers, RequestHead, ResponseHead, Serve, Service

NOW = 1_795_000_000.0
FIELDS = Headers(
    [
        ("host", "127.0.0.1:8081"), ("user-agent", "a player/1.0"), ("accept", "*/*"), ("accept-encoding", "gzip, br"),
        ("connection", "keep-alive"),
    ]
)  # fmt: skip
ANSWER = Headers(
    [
        ("content-type", "video/mp4"), ("cache-control", "public, max-age=31536000, immutable"), ("etag", '"abc"'),
        ("surrogate-key", "live live/720p segment"), ("access-control-allow-origin", "*"),
        ("content-length", "1500000"),
        ("last-modified", "Mon, 23 Nov 2026 09:11:01 GMT"), ("date", "Mon, 23 Nov 2026 09:11:01 GMT"),
    ]
)  # fmt: skip


def get(path: str) -> RequestHead:
    return RequestHead("GET", "http", "127.0.0.1:8081", path, None, FIELDS, "198.51.100.7")


def filled(count: int) -> EdgeMachine:
    edge = EdgeMachine(Service(name="fra", room=2**44))
    for i in range(count):
        plan = edge.on_request(get(f"/live/720p/seg-{i}.m4s"), NOW)
        assert isinstance(plan, Fetch)
        edge.on_response(plan, ResponseHead(200, ANSWER), NOW)
        edge.on_body_end(plan, 1_500_000, NOW)
    return edge


@pytest.mark.benchmark(group="hit")
def test_a_fresh_hit(benchmark: BenchmarkFixture) -> None:
    edge, request = filled(10_000), get("/live/720p/seg-5000.m4s")
    assert isinstance(benchmark(edge.on_request, request, NOW + 1), Serve)


@pytest.mark.benchmark(group="hit")
def test_a_variant_hit(benchmark: BenchmarkFixture) -> None:
    edge = EdgeMachine(Service(name="fra"))
    varying = ANSWER.plus(("vary", "accept-language"))
    for language in ("de", "en", "fr", "nl"):
        asked = RequestHead("GET", "http", "h", "/a.m3u8", None, FIELDS.plus(("accept-language", language)))
        plan = edge.on_request(asked, NOW)
        assert isinstance(plan, Fetch)
        edge.on_response(plan, ResponseHead(200, varying), NOW)
        edge.on_body_end(plan, 1_500_000, NOW)
    request = RequestHead("GET", "http", "h", "/a.m3u8", None, FIELDS.plus(("accept-language", "en")))
    assert isinstance(benchmark(edge.on_request, request, NOW + 1), Serve)


@pytest.mark.benchmark(group="hit")
def test_beside_a_dictionary_look_up(benchmark: BenchmarkFixture) -> None:
    entries = {f"/live/720p/seg-{i}.m4s": i for i in range(10_000)}
    assert benchmark(entries.get, "/live/720p/seg-5000.m4s") == 5000


@pytest.mark.benchmark(group="miss")
def test_a_miss_from_request_to_body_end(benchmark: BenchmarkFixture) -> None:
    edge = filled(1000)
    numbers = iter(range(10**9))

    def miss() -> None:
        plan = edge.on_request(get(f"/new/{next(numbers)}.m4s"), NOW)
        edge.on_response(plan, ResponseHead(200, ANSWER), NOW)  # type: ignore[arg-type]
        edge.on_body_end(plan, 1_500_000, NOW)  # type: ignore[arg-type]

    benchmark(miss)


@pytest.mark.benchmark(group="miss")
def test_a_revalidation(benchmark: BenchmarkFixture) -> None:
    edge = EdgeMachine(Service(name="fra"))
    request, stale = get("/a.m3u8"), ANSWER.without(("cache-control",)).plus(("cache-control", "max-age=0"))
    first = edge.on_request(request, NOW)
    edge.on_response(first, ResponseHead(200, stale), NOW)  # type: ignore[arg-type]
    edge.on_body_end(first, 1_500_000, NOW)  # type: ignore[arg-type]
    not_modified = ResponseHead(304, stale)

    def revalidate() -> None:
        plan = edge.on_request(request, NOW)
        edge.on_response(plan, not_modified, NOW)  # type: ignore[arg-type]
        edge.on_body_end(plan, 0, NOW)  # type: ignore[arg-type]

    benchmark(revalidate)


@pytest.mark.benchmark(group="landing")
def test_a_landing_for_a_thousand_waiters(benchmark: BenchmarkFixture) -> None:
    def opened() -> tuple[tuple[EdgeMachine, Fetch], dict[str, object]]:
        edge = EdgeMachine(Service(name="fra"))
        plans = [edge.on_request(get("/new.m4s"), NOW) for _ in range(1000)]
        assert isinstance(plans[0], Fetch)
        return (edge, plans[0]), {}

    def land(edge: EdgeMachine, fetch: Fetch) -> None:
        assert len(edge.on_response(fetch, ResponseHead(200, ANSWER), NOW).answers) == 1000

    benchmark.pedantic(land, setup=opened, rounds=20)
