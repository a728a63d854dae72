"""What the gate costs: each scheme's check the first time and again, and a hit with token and country beside one without.

`make bench` compares with the last run; the last test holds the difference to a bound, by minima of one run.
"""

import gc
import time
from dataclasses import replace

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from cdnkit.policy import EdgeMachine, Fetch, Headers, RequestHead, ResponseHead, Serve, Service
from cdnkit.policy.http.place import Place
from cdnkit.policy.rules.service import Behavior, Geo, Key
from cdnkit.policy.rules.tokens import Akamai, CloudFront, Fastly
from cdnkit.policy.token.cloudfront import CloudFrontToken, signed
from tests.kit.tokens import (
    BASE64_SECRET,
    EC_KEY,
    END,
    HEX_KEY,
    KEY_ID,
    KINDS,
    PATH,
    RSA_KEY,
    URL,
    by_botocore,
    get,
    public,
)

NOW = END - 10.0
FIELDS = [
    ("host", "127.0.0.1:8081"), ("user-agent", "a player/1.0"), ("accept", "*/*"), ("accept-encoding", "gzip, br"),
    ("connection", "keep-alive"),
]  # fmt: skip


@pytest.mark.benchmark(group="gate: first time")
@pytest.mark.parametrize("name", KINDS)
def test_a_check_for_the_first_time(benchmark: BenchmarkFixture, name: str) -> None:
    kind = KINDS[name]
    request, scheme = get(kind.signed(URL, END)), kind.scheme()
    memo = scheme._memo  # type: ignore[attr-defined]

    def check() -> None:
        memo.forget()
        assert scheme.refusal(request, NOW) is None

    benchmark(check)


@pytest.mark.benchmark(group="gate: first time")
def test_ecdsa_for_the_first_time(benchmark: BenchmarkFixture) -> None:
    made = signed(EC_KEY, KEY_ID, expires_at=END, url=URL, hash_name="SHA256")
    request = get(f"{URL}?{'&'.join(f'{name}={value}' for name, value in made.items())}")
    scheme = CloudFrontToken({KEY_ID: public(EC_KEY)})

    def check() -> None:
        scheme._memo.forget()
        assert scheme.refusal(request, NOW) is None

    benchmark(check)


@pytest.mark.benchmark(group="gate: again")
@pytest.mark.parametrize("name", KINDS)
def test_a_check_again(benchmark: BenchmarkFixture, name: str) -> None:
    kind = KINDS[name]
    request, scheme = get(kind.signed(URL, END)), kind.scheme()
    assert benchmark(scheme.refusal, request, NOW) is None


GUARDS = {
    "open": (Behavior(path="*", key=Key(query="none")), ""),
    "fastly": (
        Behavior(path="*", token="fastly", geo=Geo(allow=("DE",)), key=Key(query="none")),
        KINDS["fastly"].signed(URL, END),
    ),
    "akamai": (
        Behavior(path="*", token="akamai", geo=Geo(allow=("DE",)), key=Key(query="none")),
        KINDS["akamai acl"].signed(URL, END),
    ),
    "cloudfront": (
        Behavior(path="*", token="cloudfront", geo=Geo(allow=("DE",)), key=Key(query="none")),
        by_botocore("https://media.example.net/live/*", END, custom=True),
    ),
}


def hitting(name: str) -> tuple[EdgeMachine, RequestHead]:
    """A machine with one stored response, and a request for it."""
    behavior, url = GUARDS[name]
    tokens = {
        "fastly": Fastly(key=BASE64_SECRET),
        "akamai": Akamai(scheme="akamai", key=HEX_KEY),
        "cloudfront": CloudFront(scheme="cloudfront", keys={KEY_ID: public(RSA_KEY)}),
    }
    edge = EdgeMachine(Service(name="fra", behaviors=(behavior,), tokens=tokens))
    query = url.partition("?")[2] or None
    request = RequestHead("GET", "https", "media.example.net", PATH, query, Headers(FIELDS), "192.0.2.7", Place("DE"))
    plan = edge.on_request(request, NOW)
    assert isinstance(plan, Fetch)
    edge.on_response(plan, ResponseHead(200, Headers([("cache-control", "max-age=600"), ("etag", '"1"')])), NOW)
    edge.on_body_end(plan, 1000, NOW)
    return edge, request


@pytest.mark.benchmark(group="gate: a hit")
@pytest.mark.parametrize("name", GUARDS)
def test_a_hit(benchmark: BenchmarkFixture, name: str) -> None:
    edge, request = hitting(name)
    assert isinstance(benchmark(edge.on_request, request, NOW + 1), Serve)


def seconds_of(edge: EdgeMachine, requests: list[RequestHead]) -> float:
    """CPU time of one hit: the least of several rounds, since what else runs on the machine only adds."""
    best = float("inf")
    gc.disable()
    for _ in range(15):
        start = time.thread_time()
        for request in requests:
            edge.on_request(request, NOW + 1)
        best = min(best, (time.thread_time() - start) / len(requests))
    gc.enable()
    return best


def own_queries(request: RequestHead) -> list[RequestHead]:
    """As players with CMCD ask: no two queries alike."""
    return [
        replace(request, query=f"CMCD=bl%3D{i}{'&' if request.query else ''}{request.query or ''}") for i in range(2000)
    ]


@pytest.mark.benchmark(group="gate: more")
@pytest.mark.parametrize("queries", ["one query", "own queries"])
@pytest.mark.parametrize("name", ["fastly", "akamai", "cloudfront"])
def test_token_and_country_cost_no_more_than_six_microseconds(
    benchmark: BenchmarkFixture, name: str, queries: str
) -> None:
    took = []
    for kind in ("open", name):
        edge, request = hitting(kind)
        took.append(seconds_of(edge, [request] * 2000 if queries == "one query" else own_queries(request)))
    more = (took[1] - took[0]) * 1e6
    benchmark.extra_info["microseconds_more"] = round(more, 2)
    benchmark.pedantic(lambda: None, rounds=1)
    print(f"{name}, {queries}: {more:.2f} µs more than a hit without")
    # Three times the goal: this bound is for a machine that does other things too.
    assert more < 18, f"{more:.1f} µs"
