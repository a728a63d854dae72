"""A hit is checked as if it were asked for first: what was verified before changes nothing, in any order of requests."""

import random

import pytest

from cdnkit.policy import EdgeMachine, Fetch, Headers, RequestHead, ResponseHead, Serve, Service
from cdnkit.policy.gate.gate import Node, ServiceGate
from cdnkit.policy.gate.limits import UNLIMITED
from cdnkit.policy.outcomes import Refusal
from cdnkit.policy.plan import Refuse
from cdnkit.policy.rules.profile import RFC9111
from cdnkit.policy.rules.service import Behavior, Geo
from cdnkit.policy.rules.tokens import Akamai, Cat, CloudFront, Fastly, Jwt
from cdnkit.policy.token import FastlyToken, TokenFault
from cdnkit.policy.token.akamai import AkamaiToken
from cdnkit.policy.token.scheme import Memo, refused
from tests.kit.refusals import first_refusal
from tests.kit.tokens import (
    BASE64_SECRET,
    END,
    HEX_KEY,
    KEY_ID,
    OTHER_RSA_KEY,
    RSA_KEY,
    START,
    TEXT_SECRET,
    by_botocore,
    by_cwt,
    get,
    jwt,
    public,
)

PATHS = [f"/{scheme}/{number}" for scheme in ("fastly", "cloudfront", "akamai", "jwt", "cat") for number in range(3)]
SERVICE = Service(
    tokens={
        "fastly": Fastly(key=BASE64_SECRET),
        "cloudfront": CloudFront(scheme="cloudfront", keys={KEY_ID: public(RSA_KEY), "K2": public(OTHER_RSA_KEY)}),
        "akamai": Akamai(scheme="akamai", key=HEX_KEY),
        "jwt": Jwt(scheme="jwt", key=TEXT_SECRET),
        "cat": Cat(scheme="cat", key=BASE64_SECRET),
    },
    behaviors=tuple(
        Behavior(path=f"/{name}/*", token=name, geo=Geo(allow=("DE", "FR")))
        for name in ("fastly", "cloudfront", "akamai", "jwt", "cat")
    ),
)


def tokens(rng: random.Random) -> list[str]:
    """Queries good for some paths, some times, some addresses; and damaged ones."""
    akamai, fastly = AkamaiToken(HEX_KEY), FastlyToken(BASE64_SECRET)
    made = ["", "a=1"]
    for number in range(3):
        end = END + 20 * number
        made += [f"token={fastly.sign(f'/fastly/{number}', end)}"]
        made += [by_botocore(f"https://h/cloudfront/{number}", end).partition("?")[2]]
        made += [f"__token__={akamai.sign(expires_at=end, url=f'/akamai/{number}')}"]
        made += [f"token={jwt.encode({'exp': end, 'paths': [f'/jwt/{number}']}, TEXT_SECRET, algorithm='HS256')}"]
        made += [f"cat={by_cwt({4: end, 312: {3: {0: f'/cat/{number}'}}})}"]
    made += [by_botocore("https://h/cloudfront/*", END, custom=True, ip="192.0.2.0/24", start=START).partition("?")[2]]
    made += [f"__token__={akamai.sign(expires_at=END, acls=('/akamai/*',), ip='192.0.2.7', starts_at=END - 30)}"]
    made += [f"token={jwt.encode({'exp': END, 'nbf': END - 30, 'countries': ['DE']}, TEXT_SECRET, algorithm='HS256')}"]
    made += [f"cat={by_cwt({4: END, 5: END - 30, 311: ['192.0.2.0/24'], 313: ['GET']})}"]
    for query in made[2:]:
        index = rng.randrange(len(query))
        made.append(query[:index] + rng.choice("0aA=&~.") + query[index + 1 :])
        made.append(query.replace(KEY_ID, "K2").replace("Expires", "Expire"))
    return made


def requests(rng: random.Random, count: int) -> list[tuple[RequestHead, float]]:
    known = tokens(rng)
    found = []
    for _ in range(count):
        query = rng.choice(known)
        scheme = {"t": ("fastly", "jwt"), "_": ("akamai",), "c": ("cat",)}.get(query[:1], ("cloudfront",))
        path = rng.choice(PATHS) if rng.random() < 0.2 else f"/{rng.choice(scheme)}/{rng.randrange(3)}"
        request = get(
            f"https://h{path}{'?' if query else ''}{query}",
            ip=rng.choice(["192.0.2.7", "192.0.2.8", "198.51.100.1", "2001:db8::1"]),
            country=rng.choice(["DE", "DE", "FR", "US", ""]),
            method=rng.choice(["GET", "GET", "HEAD"]),
        )
        if rng.random() < 0.2:
            request.headers = Headers([("range", "bytes=0-3")])
        found.append((request, END + rng.choice([-40.0, -30.0, -10.0, -0.5, 0.0, 10.0, 30.0, 100.0])))
    return found


def compared(count: int) -> tuple[int, int, int]:
    """Refused, served from the store, asked of the parent: by one machine that sees all, held against fresh gates."""
    rng = random.Random(count)
    gate = ServiceGate(SERVICE, {})
    edge = EdgeMachine(SERVICE, gate=gate)
    answer = ResponseHead(200, Headers([("cache-control", "max-age=999999"), ("content-length", "10")]))
    refused = hits = misses = 0
    node = Node(SERVICE, RFC9111, UNLIMITED, lambda path: None)
    afresh = ServiceGate(SERVICE, {})
    for number, (request, now) in enumerate(requests(rng, count)):
        if number % 50 == 0:
            afresh = ServiceGate(SERVICE, {})
        for scheme in afresh.schemes.values():
            scheme._memo.forget()  # type: ignore[attr-defined]
        checks = afresh.checks_of(edge.view.rule_of(request).behavior, None, node)
        wanted = first_refusal(checks, request, now)
        plan = edge.on_request(request, now)
        assert isinstance(plan, Refuse) is (wanted is not None), (request, now, wanted)
        if isinstance(plan, Refuse):
            assert wanted is not None
            assert (plan.status, plan.reason) == (wanted.status, wanted.reason)
            refused += 1
        elif isinstance(plan, Serve):
            assert "token" not in plan.entry.key
            hits += 1
        else:
            misses += 1
            assert isinstance(plan, Fetch)
            assert "token" not in plan.request.target
            edge.on_response(plan, answer, now)
            edge.on_body_end(plan, 10 if request.method == "GET" else 0, now)
    return refused, hits, misses


def test_its_room_is_bounded_and_what_is_asked_for_stays() -> None:
    asked: list[int] = []

    def verify(number: int) -> int | Refusal:
        asked.append(number)
        return refused(TokenFault.FORGED) if number < 0 else number

    memo: Memo[int] = Memo(verify, room=10)
    for number in range(1, 200):
        assert memo(number) == number
        assert memo(1) == 1
        assert len(memo) <= 10
    assert asked.count(1) == 1
    for _ in range(2):
        assert isinstance(memo(-1), Refusal)
    assert asked.count(-1) == 2, "a forgery takes no room"


def test_thousands_of_requests() -> None:
    refused, hits, misses = compared(10_000)
    assert refused > 3000
    assert hits > 300
    assert misses > 5


@pytest.mark.slow
def test_a_hundred_thousand_requests() -> None:
    refused, hits, _ = compared(100_000)
    assert refused > 30_000
    assert hits > 3_000
