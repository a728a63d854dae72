"""Server-Timing as CloudFront adds it. Source: CloudFront, "Understand response headers policies"."""

from hashlib import sha256

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import NOT_ASKED, Outcome
from cdnkit.policy.rules.signature import SignedResponse

SERVER_TIMING = "server-timing"


def wants_server_timing(request: RequestHead, percent: float, request_id: str) -> bool:
    """Whether this answer carries Server-Timing: `percent` of all do, and all to requests with `Pragma: server-timing`.

    The sample is as random as `request_id`.
    """
    pragma = request.headers.joined("pragma")
    if pragma is not None and SERVER_TIMING in (word.strip().lower() for word in pragma.split(",")):
        return True
    return percent > 0 and int(sha256(request_id.encode()).hexdigest()[:8], 16) < percent / 100 * 2**32


def server_timing(answer: SignedResponse, *, pop: str, request_id: str) -> str:
    """CloudFront's metrics of one answer of an edge; on a miss behind those the origin sent.

    A shield's X-Cache on what came from the parent says whether it had the object. Milliseconds until the first byte
    from above and until that to the viewer are the same here: a decision costs none. DNS and connecting are the wire's
    to know, and are left out.
    """
    headers, outcome = answer.headers, answer.outcome
    took = max(0, round((answer.now - answer.started_at) * 1000))
    above = (headers.first("x-cache") or "").partition(" from cloudfront")
    shield = above[0] if above[1] else ""
    common = f'cdn-pop;desc="{pop}",cdn-rid;desc="{request_id}"'
    if outcome in NOT_ASKED or (shield == "Hit" and outcome is not Outcome.REVALIDATED):
        layer = "EDGE" if outcome in NOT_ASKED else "Origin Shield"
        return f'cdn-cache-hit,{common},cdn-hit-layer;desc="{layer}",cdn-downstream-fbl;dur={took}'
    refreshed = outcome is Outcome.REVALIDATED or shield == "RefreshHit"
    layer = "Origin Shield" if shield else "EDGE"
    told = f'cdn-upstream-layer;desc="{layer}",cdn-upstream-fbl;dur={took},' + (
        "cdn-cache-refresh" if refreshed else "cdn-cache-miss"
    )
    own = f"{told},{common},cdn-downstream-fbl;dur={took}"
    origins = headers.joined(SERVER_TIMING)
    return f"{origins}, {own}" if origins and not refreshed else own
