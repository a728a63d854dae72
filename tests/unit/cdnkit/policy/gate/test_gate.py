"""The gate: tokens."""

import pytest

from cdnkit.policy.gate.gate import ServiceGate
from cdnkit.policy.http.messages import Headers, RequestHead, ResponseHead
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.plan import Fetch, Refuse, Serve
from cdnkit.policy.rules.service import Behavior, Service
from cdnkit.policy.rules.tokens import Fastly
from cdnkit.policy.token import FastlyToken, TokenFault
from tests.kit.refusals import fault_of

# AUTH-4 of the vendor facts: key, path and expiry with both hashes.
KEY, PATH, EXPIRY = "RmFzdGx5IFRva2VuIFRlc3Q=", "/live/720p/seg_00042.m4s", 1767225600


def fault(token: FastlyToken, path: str, query: str | None, now: float) -> TokenFault | None:
    refusal = token.refusal(RequestHead("GET", "http", "h", path, query, Headers()), now)
    return fault_of(refusal)


SHA1 = "22d173457e3822a3888ba80c88fb08162328cd07"
SHA256 = "0d40fbe0cc3dad96f874c526d1ab32de6daf2f98e3f8ac09336fc4b502d5b73e"


@pytest.mark.parametrize(("hash_name", "digest"), [("sha1", SHA1), ("sha256", SHA256)])
def test_the_published_vector(hash_name: str, digest: str) -> None:
    token = FastlyToken(KEY, hash=hash_name)
    assert token.sign(PATH, EXPIRY) == f"{EXPIRY}_{digest}"
    assert fault(token, PATH, f"a=b&token={EXPIRY}_{digest}", EXPIRY - 1) is None


GOOD = f"{EXPIRY}_{SHA256}"
CHECKS = [  # query, seconds before expiry, verdict
    (None, 1, TokenFault.MISSING),
    ("a=b", 1, TokenFault.MISSING),
    (f"token={GOOD}", 1, None),
    (f"token={GOOD.upper()}", 1, None),  # hex has no case
    (f"token={GOOD}", 0, TokenFault.EXPIRED),
    (f"token={EXPIRY + 9}_{SHA256}", 1, TokenFault.FORGED),
    (f"token={EXPIRY}_{SHA1}", 1, TokenFault.FORGED),
    ("token=", 1, TokenFault.MALFORMED),
    ("token=1_2", 1, TokenFault.MALFORMED),
    (f"token=x&token={GOOD}", 1, TokenFault.MALFORMED),  # neither counts
]


@pytest.mark.parametrize(("query", "before", "wanted"), CHECKS)
def test_token_checks(query: str | None, before: float, wanted: TokenFault | None) -> None:
    assert fault(FastlyToken(KEY), PATH, query, EXPIRY - before) is wanted


def test_another_path_is_another_token() -> None:
    assert fault(FastlyToken(KEY), "/other", f"token={GOOD}", 0) is TokenFault.FORGED


@pytest.mark.parametrize("key", ["", "not base64!", "===="])
def test_a_key_that_is_none_is_an_error(key: str) -> None:
    with pytest.raises(ValueError, match="base64"):
        FastlyToken(key)


DROPS = [
    ("token=x", None),
    ("a=1&token=x&b=2", "a=1&b=2"),
    ("tokens=x", "tokens=x"),
    ("a=token", "a=token"),
    (None, None),
]


@pytest.mark.parametrize(("query", "left"), DROPS)
def test_the_token_leaves_the_query_and_nothing_else_does(query: str | None, left: str | None) -> None:
    assert FastlyToken(KEY).carriers.stripped(RequestHead("GET", "http", "h", "/", query, Headers())).query == left


def test_time_is_looked_at_when_a_request_begins_and_no_later() -> None:
    """CloudFront, "When does CloudFront check the expiration": a download in flight ends, a range after it is refused."""
    service = Service(behaviors=(Behavior(path="*", token="viewer"),), tokens={"viewer": Fastly(key=KEY)})
    edge = EdgeMachine(service, gate=ServiceGate(service, {}))
    asking = RequestHead("GET", "http", "h", PATH, f"token={GOOD}", Headers())
    plan = edge.on_request(asking, EXPIRY - 1)
    assert isinstance(plan, Fetch)
    head = ResponseHead(200, Headers([("cache-control", "max-age=60"), ("content-length", "10")]))
    answer = edge.on_response(plan, head, EXPIRY + 5).answers[plan.ticket]
    assert isinstance(answer, Serve) and answer.status == 200
    edge.on_body_end(plan, 10, EXPIRY + 9)
    rest = RequestHead("GET", "http", "h", PATH, f"token={GOOD}", Headers([("range", "bytes=5-")]))
    assert isinstance(edge.on_request(rest, EXPIRY + 10), Refuse)
