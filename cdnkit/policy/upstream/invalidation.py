"""What the success of an unsafe request invalidates (RFC 9111 §4.4)."""

from urllib.parse import urlsplit

from cdnkit.policy.http.messages import RequestHead, ResponseHead
from cdnkit.policy.http.target import resolved

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def invalidates(request: RequestHead, response: ResponseHead) -> bool:
    """A non-error answer to an unsafe method; unknown methods count as unsafe."""
    return request.method not in SAFE_METHODS and 200 <= response.status < 400


def related_targets(request: RequestHead, response: ResponseHead) -> list[str]:
    """Targets that `Location` and `Content-Location` name, of the same origin only: for another origin's the response
    has no authority."""
    here = urlsplit(request.url)
    found = []
    for name in ("location", "content-location"):
        reference = response.headers.first(name)
        if reference is None:
            continue
        try:
            there = urlsplit(resolved(request, reference))
        except ValueError:
            continue
        if (there.scheme, there.netloc) == (here.scheme, here.netloc):
            target = there.path or "/"
            found.append(f"{target}?{there.query}" if there.query else target)
    return found
