"""The fields on Fastly's responses to requests with `Fastly-Debug`.

Sources: Fastly, "Fastly-Debug-Path", "Fastly-Debug-TTL", "Fastly-Debug-Digest", and the VCL it generates for a service,
which builds the path. Each node puts itself before what came from its parent: the fetching half (F) when the response
arrives, which is so kept with the object, and the delivering half (D) when the response leaves.
"""

from hashlib import sha256

from cdnkit.policy.http.messages import Headers, Lines
from cdnkit.policy.outcomes import HELD, NOT_FORWARDED
from cdnkit.policy.rules.signature import SignedResponse

PATH, TTL, DIGEST = "fastly-debug-path", "fastly-debug-ttl", "fastly-debug-digest"
DEBUG = frozenset({PATH, TTL, DIGEST})

ASKED_BY = frozenset({"fastly-debug", "fastly-ff"})
"""A client sends the first. The second marks a node: it stores these fields for its own clients."""


def fetched_by(headers: Headers, node: str, now: float) -> None:
    """Write on a response that this node fetched it, before what the nodes above wrote."""
    step = _before(f"(F {node} {int(now)})", headers, PATH)
    headers.lines[:] = [*(line for line in headers.lines if line[0] != PATH), (PATH, step)]


def debug(answer: SignedResponse, node: str) -> Lines:
    """The three fields, with what the nodes above wrote behind our own."""
    headers, now = answer.headers, answer.now
    age = next((value for name, value in answer.lines if name == "age"), "0")
    hit = "H" if answer.outcome in NOT_FORWARDED else "M"
    left = "- -"
    if answer.fresh_until is not None and answer.outcome in HELD:
        # For how long it may be served stale "if no backends are available".
        left = f"{answer.fresh_until - now:.3f} {answer.stale_if_error():.3f}"
    return [
        (PATH, _before(f"(D {node} {int(now)})", headers, PATH)),
        (TTL, _before(f"({hit} {node} {left} {age})", headers, TTL)),
        (DIGEST, sha256(answer.key.encode("latin-1")).hexdigest()),
    ]


def _before(own: str, headers: Headers, name: str) -> str:
    above = headers.joined(name)
    return f"{own} {above}" if above else own
