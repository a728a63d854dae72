"""What a node's longest steps take when it is full: 100,000 stored responses, or thousands of variants of one URL.

Each is a stall of every client of the node, since one loop does all.
"""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from cdnkit.policy import EdgeMachine, Fetch, Headers, PurgeKind, PurgeOrder, RequestHead, ResponseHead, Serve, Service

NOW = 1_795_000_000.0
STORED = 100_000
FIELDS = [
    ("cache-control", "max-age=31536000"), ("content-length", "1000"), ("content-type", "text/plain"),
    ("date", "Sun, 29 Nov 2026 04:00:00 GMT"),
]  # fmt: skip


def get(path: str, *lines: tuple[str, str]) -> RequestHead:
    return RequestHead("GET", "http", "h", path, None, Headers(lines))


def store(edge: EdgeMachine, request: RequestHead, *lines: tuple[str, str]) -> None:
    plan = edge.on_request(request, NOW)
    assert isinstance(plan, Fetch)
    edge.on_response(plan, ResponseHead(200, Headers([*FIELDS, *lines])), NOW)
    edge.on_body_end(plan, 1000, NOW)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
def test_a_purge_of_a_key_that_all_share(benchmark: BenchmarkFixture, soft: bool) -> None:
    benchmark.group = "purge of a key that 100,000 share"
    edge = EdgeMachine(Service(name="fra", room=2**40))
    for n in range(STORED):
        store(edge, get(f"/live/{n // 10}/seg-{n % 10}.m4s"), ("surrogate-key", f"live one-{n}"), ("etag", f'"{n}"'))
    order = PurgeOrder(PurgeKind.SURROGATE_KEYS, "live", soft)
    done = benchmark.pedantic(edge.on_purge, args=(order, NOW), rounds=1)
    assert done.count == STORED


@pytest.mark.parametrize("variants", [10, 1000, 5000])
def test_a_hit_on_one_of_many_variants(benchmark: BenchmarkFixture, variants: int) -> None:
    benchmark.group = "a hit on one of many variants"
    edge = EdgeMachine(Service.model_validate({"name": "fra", "room": 2**40, "variants": 10_000}))
    for n in range(variants):
        store(edge, get("/live/x", ("x-variant", str(n))), ("vary", "x-variant"))
    numbers = iter(range(10**9))

    def hit() -> None:
        asked = get("/live/x", ("x-variant", str(next(numbers) * 7919 % variants)))
        assert isinstance(edge.on_request(asked, NOW + 1), Serve)

    benchmark(hit)
