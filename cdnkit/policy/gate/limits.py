"""How large a message may be, and the refusal of a larger one: the quotas of a profile and the limits of a node.

A profile's quotas are its CDN's. A node's limits are its own, and protect it whatever the profile. The listener limits
how long a request may take and how many there may be at once: these are not facts of one request.

Sizes are those in HTTP/1.1, whatever version the message came by: what fits over one connection fits over all.
"""

from dataclasses import dataclass
from typing import ClassVar

from cdnkit.policy.gate.check import Check, Reads
from cdnkit.policy.http.messages import Headers, RequestHead, ResponseHead
from cdnkit.policy.outcomes import Refusal, RefusalKind
from cdnkit.policy.rules.profile import Quota, Quotas

UNBOUNDED = 2**31
"""Characters of a target for which there is no limit."""


def measured(request: RequestHead) -> RequestHead:
    """The request with the size of its head and the number of its fields. A record has both, since it does not have
    every field."""
    request.head_bytes = len(request.method) + len(request.target) + 12 + _fields_bytes(request.headers) + 2
    request.head_fields = len(request.headers.lines)
    return request


class QuotaCheck(Check):
    """A request that is larger than the CDN accepts; `measured` gives its size."""

    __slots__ = ("_limits",)
    name = "quotas"
    kind = RefusalKind.LIMIT
    reads = Reads.SIZE

    def __init__(self, limits: Quotas) -> None:
        self._limits = limits

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        limits = self._limits
        return (
            _over("limit: a URL of", len(request.url), "bytes", limits.url)
            or _over("limit: a request head of", request.head_bytes, "bytes", limits.request_head)
            or _over("limit: a request of", request.head_fields, "fields", limits.request_fields)
        )

    def longest_target(self, request: RequestHead) -> int:
        limits = self._limits
        of_url = UNBOUNDED if limits.url is None else limits.url.most - len(request.url) + 1
        of_head = UNBOUNDED if limits.request_head is None else limits.request_head.most - request.head_bytes
        return min(of_url, of_head)


def response_over(head: ResponseHead, limits: Quotas) -> Refusal | None:
    """The refusal of a response head that is larger than the CDN accepts from its origin."""
    size_bytes = 17 + _fields_bytes(head.headers) + 2
    return _over("origin: a response head of", size_bytes, "bytes", limits.response_head) or _over(
        "origin: a response of", len(head.headers.lines), "fields", limits.response_fields
    )


def object_over(length: int | None, limits: Quotas) -> Refusal | None:
    """The refusal of a body that is larger than the CDN stores; None if its length is unknown."""
    return None if length is None else _over("origin: an object of", length, "bytes", limits.object)


def with_short_cookies(request: RequestHead, limits: Quotas) -> RequestHead:
    """The request; if its cookies are too long, without them, and with the CDN's field that says so, if it has one.

    Source: Fastly, "Constraints and limitations".
    """
    if limits.cookie_bytes is None:
        return request
    if sum(len(value) for name, value in request.headers.lines if name == "cookie") <= limits.cookie_bytes:
        return request
    if limits.cookie_overflow is None:
        return request.with_fields(request.headers.without(("cookie",)))
    headers = request.headers.without(("cookie", limits.cookie_overflow))
    return request.with_fields(headers.plus((limits.cookie_overflow, "1")))


def _over(what: str, found: int, unit: str, limit: Quota | None) -> Refusal | None:
    if limit is None or found <= limit.most:
        return None
    response = limit.response
    reason = f"{what} {found} {unit}, {limit.most} are taken"
    return Refusal(RefusalKind.LIMIT, response.status, reason, words=response.words, ends=response.ends)


def _fields_bytes(headers: Headers) -> int:
    """Field lines with their ": " and line ends."""
    # A list, not a generator: this stands before every request of a CDN that has limits.
    return sum([len(name) + len(value) + 4 for name, value in headers.lines])


@dataclass(frozen=True, slots=True)
class RequestLimits(Check):
    """The largest request that a node accepts. Sizes in bytes; None: no limit."""

    name: ClassVar[str] = "node limits"
    kind: ClassVar[RefusalKind] = RefusalKind.LIMIT
    reads: ClassVar[Reads] = Reads.SIZE

    url: int | None = None
    """Path and query. CloudFront and Fastly accept 8192."""
    head: int | None = None
    """The request line and all fields as in HTTP/1.1, whatever the version."""
    fields: int | None = None
    """Field lines."""
    content: int | None = None
    """The content, if the request has a Content-Length; otherwise the reader of the content counts."""

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        """414 (RFC 9110 §15.5.15), 431 (RFC 6585 §5), 413 (RFC 9110 §15.5.14)."""
        if self.url is not None:
            size = len(request.path) + (0 if request.query is None else 1 + len(request.query))
            if size > self.url:
                return _refused(414, f"the URL has {size} bytes", self.url)
        if self.head is not None and request.head_bytes > self.head:
            return _refused(431, f"the request's head has {request.head_bytes} bytes", self.head)
        if self.fields is not None and len(request.headers.lines) > self.fields:
            return _refused(431, f"the request has {len(request.headers.lines)} fields", self.fields)
        if self.content is not None:
            promised = request.headers.first("content-length") or ""
            if promised.isdigit() and int(promised[:20]) > self.content:
                return _refused(413, f"the content has {promised} bytes", self.content)
        return None

    def longest_target(self, request: RequestHead) -> int:
        of_head = UNBOUNDED if self.head is None else self.head - request.head_bytes
        return min(UNBOUNDED if self.url is None else self.url, of_head)


UNLIMITED = RequestLimits()


def _refused(status: int, found: str, most: int) -> Refusal:
    return Refusal(RefusalKind.LIMIT, status, f"limit: {found}, {most} are taken")
