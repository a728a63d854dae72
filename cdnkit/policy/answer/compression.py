"""Compression of responses that came without a content coding: whether, with which coding, and what the head becomes.

Source: CloudFront, "Serving compressed files". The shell compresses the body while it fills. The stored response is the
compressed one, under a key with the codings that the requests accept.
"""

from cdnkit.policy.freshness.storable import content_length
from cdnkit.policy.http import cache_control, etags
from cdnkit.policy.http.messages import RequestHead, ResponseHead
from cdnkit.policy.rules.profile import Compression

PREFERENCE = ("br", "gzip")


def coding_for(request: RequestHead, response: ResponseHead, rules: Compression, *, able: frozenset[str]) -> str | None:
    """The coding to put on a response that will be stored; None: it stays as it is.

    `request`: the upstream request, whose Accept-Encoding is that of the key. `able`: the codings that the shell has.
    """
    headers = response.headers
    length = content_length(headers)
    if response.status not in rules.statuses or "content-encoding" in headers or request.version == "1.0":
        return None
    if length is None or not rules.min_bytes <= length <= rules.max_bytes:
        return None
    media_type = (headers.first("content-type") or "").partition(";")[0].strip().lower()
    if media_type not in rules.types:
        return None
    if "no-transform" in cache_control.directives(headers.joined("cache-control") or ""):
        # Ours: CloudFront's page does not mention it, but RFC 9110 §7.7 forbids it.
        return None
    accepted = (request.headers.joined("accept-encoding") or "").replace(" ", "").split(",")
    return next((coding for coding in PREFERENCE if coding in accepted and coding in able), None)


def compressed(response: ResponseHead, coding: str) -> ResponseHead:
    """The head over a compressed body: a strong ETag becomes weak, a malformed one goes, the length is not known yet.

    A head that is already changed so stays the same.
    """
    headers = response.headers.without(("content-encoding", "content-length", "etag", "accept-ranges"))
    tag = response.headers.first("etag")
    if tag is not None and etags.is_strong(tag):
        headers.lines.append(("etag", f"W/{tag}"))
    elif tag is not None and etags.is_weak(tag):
        headers.lines.append(("etag", tag))
    headers.lines.append(("content-encoding", coding))
    vary = headers.joined("vary")
    if vary is None or not {"*", "accept-encoding"} & {name.strip().lower() for name in vary.split(",")}:
        # For caches and browsers behind us (RFC 9110 §12.5.5).
        headers.lines.append(("vary", "accept-encoding"))
    return ResponseHead(response.status, headers)
