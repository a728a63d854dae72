"""Compressing what the origin sent as it is: whether, with which coding, and what becomes of the head.

Source: CloudFront, "Serving compressed files". The shell does the bytes while the body fills; what is stored, and what
everybody gets, is compressed, under a key that holds the codings their requests accept.
"""

from cdnkit.policy.freshness.storable import content_length
from cdnkit.policy.http import cache_control, etags
from cdnkit.policy.http.messages import RequestHead, ResponseHead
from cdnkit.policy.rules.profile import Compression

PREFERENCE = ("br", "gzip")


def coding_for(request: RequestHead, response: ResponseHead, rules: Compression, *, able: frozenset[str]) -> str | None:
    """The coding to put on a response that will be stored; None: it stays as it is.

    `request`: as it went to the parent: its Accept-Encoding is what the key holds. `able`: what the shell can do.
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
        # Ours, CloudFront's page does not speak of it: RFC 9110 §7.7 forbids.
        return None
    accepted = (request.headers.joined("accept-encoding") or "").replace(" ", "").split(",")
    return next((coding for coding in PREFERENCE if coding in accepted and coding in able), None)


def compressed(response: ResponseHead, coding: str) -> ResponseHead:
    """The head over a compressed body: a strong ETag becomes weak, a malformed one goes, the length is not known yet.

    The same again for a head that is so already.
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
