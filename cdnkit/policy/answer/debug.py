"""What an answer tells a client who asks for more: Fastly's debug fields, CloudFront's Server-Timing.

Sources: Fastly, "Fastly-Debug-Path", "Fastly-Debug-TTL", "Fastly-Debug-Digest", and the VCL it generates for a service,
which builds the path: each node puts itself before what came from above, the fetching half (F) when the answer arrives
and so kept with the object, the delivering half (D) when it leaves. CloudFront, "Understand response headers policies".
"""

from hashlib import sha256

from cdnkit.policy.http.messages import Headers, Lines, RequestHead
from cdnkit.policy.outcomes import Outcome
from cdnkit.policy.store.index import Entry

PATH, TTL, DIGEST = "fastly-debug-path", "fastly-debug-ttl", "fastly-debug-digest"
FASTLY_DEBUG = frozenset({PATH, TTL, DIGEST})

SERVER_TIMING = "server-timing"

HELD = frozenset({Outcome.HIT, Outcome.HIT_STALE})
"""Outcomes of which the node can say for how long it has had the object, and for how long it is good."""

_NOT_ASKED = HELD | {Outcome.COLLAPSED, Outcome.REFUSED}
"""Outcomes for which this request itself went no further than this node."""


def wants_fastly_debug(request: RequestHead) -> bool:
    """Whether the answer tells of the nodes it came through: to a trusted client who asks, and to a node of ours, which
    keeps it for those who ask there (`Fastly-FF` marks one)."""
    return request.trusted and ("fastly-debug" in request.headers or "fastly-ff" in request.headers)


def fetched_by(headers: Headers, node: str, now: float) -> None:
    """Note on an answer that this node fetched it, before what the nodes above have noted."""
    above = headers.joined(PATH)
    step = f"(F {node} {int(now)})"
    headers.lines[:] = [
        *(line for line in headers.lines if line[0] != PATH),
        (PATH, f"{step} {above}" if above else step),
    ]


def fastly_debug(
    headers: Headers,
    node: str,
    key: str,
    entry: Entry | None,
    outcome: Outcome,
    age: int,
    stale_if_error: float,
    now: float,
) -> Lines:
    """The three fields, with what the nodes above wrote in `headers` behind our own. `entry`: what is answered with.

    `stale_if_error`: for how many seconds it may be served stale "if no backends are available".
    """
    hit = "H" if outcome in _NOT_ASKED else "M"
    left = "- -"
    if entry is not None and outcome in HELD:
        left = f"{entry.life.fresh_until - now:.3f} {stale_if_error:.3f}"
    return [
        (PATH, _before(f"(D {node} {int(now)})", headers, PATH)),
        (TTL, _before(f"({hit} {node} {left} {age})", headers, TTL)),
        (DIGEST, sha256(key.encode("latin-1")).hexdigest()),
    ]


def _before(own: str, headers: Headers, name: str) -> str:
    above = headers.joined(name)
    return f"{own} {above}" if above else own


def wants_server_timing(request: RequestHead, percent: float, request_id: str) -> bool:
    """Whether this answer carries Server-Timing: `percent` of all do, and all to requests with `Pragma: server-timing`.

    The sample is as random as `request_id`.
    """
    pragma = request.headers.joined("pragma")
    if pragma is not None and SERVER_TIMING in (word.strip().lower() for word in pragma.split(",")):
        return True
    return percent > 0 and int(sha256(request_id.encode()).hexdigest()[:8], 16) < percent / 100 * 2**32


def server_timing(
    headers: Headers, *, pop: str, request_id: str, outcome: Outcome, started_at: float, now: float
) -> str:
    """CloudFront's metrics of one answer of an edge; on a miss behind those the origin sent.

    `headers` as they came from the parent: a shield's X-Cache there says whether it had the object. Milliseconds until
    the first byte from above and until that to the viewer are the same here: a decision costs none. DNS and connecting
    are the wire's to know, and are left out.
    """
    took = max(0, round((now - started_at) * 1000))
    above = (headers.first("x-cache") or "").partition(" from cloudfront")
    shield = above[0] if above[1] else ""
    common = f'cdn-pop;desc="{pop}",cdn-rid;desc="{request_id}"'
    if outcome in _NOT_ASKED or (shield == "Hit" and outcome is not Outcome.REVALIDATED):
        layer = "EDGE" if outcome in _NOT_ASKED else "Origin Shield"
        return f'cdn-cache-hit,{common},cdn-hit-layer;desc="{layer}",cdn-downstream-fbl;dur={took}'
    refreshed = outcome is Outcome.REVALIDATED or shield == "RefreshHit"
    layer = "Origin Shield" if shield else "EDGE"
    told = f'cdn-upstream-layer;desc="{layer}",cdn-upstream-fbl;dur={took},' + (
        "cdn-cache-refresh" if refreshed else "cdn-cache-miss"
    )
    own = f"{told},{common},cdn-downstream-fbl;dur={took}"
    origins = headers.joined(SERVER_TIMING)
    return f"{origins}, {own}" if origins and not refreshed else own
