"""Server-Timing as CloudFront adds it. Source: CloudFront, "Understand response headers policies"."""

from hashlib import sha256

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import NOT_FORWARDED, Outcome
from cdnkit.policy.rules.signature import SignedResponse

SERVER_TIMING = "server-timing"


def wants_server_timing(request: RequestHead, percent: float, request_id: str) -> bool:
    """Whether this response carries Server-Timing: a sample of `percent`, and all to `Pragma: server-timing`.

    The sample is as random as `request_id`.
    """
    pragma = request.headers.joined("pragma")
    if pragma is not None and SERVER_TIMING in (word.strip().lower() for word in pragma.split(",")):
        return True
    return percent > 0 and int(sha256(request_id.encode()).hexdigest()[:8], 16) < percent / 100 * 2**32


def server_timing(answer: SignedResponse, *, pop: str, request_id: str) -> str:
    """CloudFront's metrics of one response of an edge; on a miss, after those that the origin sent.

    X-Cache on a response from a shield says whether the shield had the object. The times to the first byte from
    upstream and to the first byte to the viewer are the same here, in milliseconds, since a decision takes no time. DNS
    and connect times are not known here, and are left out.
    """
    headers, outcome = answer.headers, answer.outcome
    took = max(0, round((answer.now - answer.started_at) * 1000))
    above = (headers.first("x-cache") or "").partition(" from cloudfront")
    shield = above[0] if above[1] else ""
    common = f'cdn-pop;desc="{pop}",cdn-rid;desc="{request_id}"'
    if outcome in NOT_FORWARDED or (shield == "Hit" and outcome is not Outcome.REVALIDATED):
        layer = "EDGE" if outcome in NOT_FORWARDED else "Origin Shield"
        return f'cdn-cache-hit,{common},cdn-hit-layer;desc="{layer}",cdn-downstream-fbl;dur={took}'
    refreshed = outcome is Outcome.REVALIDATED or shield == "RefreshHit"
    layer = "Origin Shield" if shield else "EDGE"
    result = "cdn-cache-refresh" if refreshed else "cdn-cache-miss"
    upstream = f'cdn-upstream-layer;desc="{layer}",cdn-upstream-fbl;dur={took}'
    own = f"{upstream},{result},{common},cdn-downstream-fbl;dur={took}"
    origins = headers.joined(SERVER_TIMING)
    return f"{origins}, {own}" if origins and not refreshed else own
