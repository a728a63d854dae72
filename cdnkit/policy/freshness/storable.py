"""May this response be stored? (RFC 9111 §3)"""

from cdnkit.policy.freshness.directives import response_directives
from cdnkit.policy.freshness.lifetime import freshness_lifetime, overridden_by_min_ttl
from cdnkit.policy.http import cache_control
from cdnkit.policy.http.cache_control import CacheControl
from cdnkit.policy.http.messages import Headers, RequestHead, ResponseHead, end_to_end
from cdnkit.policy.http.target import resolved
from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.service import Behavior

UNDERSTOOD_STATUSES = frozenset(
    {200, 203, 204, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 410, 414, 500, 501, 502, 503, 504}
)
"""Statuses whose caching rules this cache implements, for `must-understand`. 206 and 304 have rules of their own."""

NEVER_STORED = frozenset({304, 416, 428, 429, 431, 511})
"""These are about one request: RFC 9110 (304, 416), RFC 6585 §3 to §6 (a condition is missing, too many requests,
fields too large, a log-in first)."""


def why_not_store(
    request: RequestHead,
    response: ResponseHead,
    behavior: Behavior,
    profile: Profile,
    *,
    largest: int,
    now: float,
    part: bool = False,
) -> str | None:
    """The rule that forbids storing, as a token for `Cache-Status; detail`; None when it may be stored.

    `part`: the caller stores parts, so a 206 may be stored.
    """
    kept = request.method == "GET" or (request.method == "OPTIONS" and "OPTIONS" in behavior.cached_methods)
    kept = kept or (request.method == "HEAD" and profile.head_responses_stored)
    if not kept and not (profile.post_responses_stored and _answers_later_gets(request, response)):
        return "method"
    status = response.status
    # A 412 answers one request's condition and a 416 its Range, not the target (CloudFront may keep a 412).
    if status in NEVER_STORED or status < 200 or (status == 206 and not part):
        return "status"
    if status == 412 and profile.error_caching is None:
        return "status"
    if profile.storable_statuses is not None and status not in profile.storable_statuses:
        return "status"
    headers = response.headers
    if status in profile.cache_control_needed and "cache-control" not in headers:
        return "status"
    directives = response_directives(headers, profile).control
    errors = profile.error_caching
    if errors is not None and status >= 400:
        explicit = directives.max_age is not None or directives.s_maxage is not None
        if status not in errors.always and not (explicit and status in errors.if_explicit):
            return "status"
    elif not overridden_by_min_ttl(directives, behavior, profile):
        why = _forbidden(directives, status)
        if why is not None:
            return why
    if profile.pass_words is not None:
        control = headers.joined("cache-control") or ""
        word = next((word for word in profile.pass_words if word in control), None)
        if word is not None:
            return word
    if profile.request_directives and cache_control.of(request.headers.joined("cache-control")).no_store:
        return "request-no-store"
    if (
        profile.authorization_guarded
        and "authorization" in request.headers
        and not (directives.public or directives.s_maxage is not None or directives.must_revalidate)
    ):
        return "authorization"
    if profile.set_cookie_passes and "set-cookie" in headers:
        return "set-cookie"
    if "*" in (headers.joined("vary") or "") and not profile.vary_star_stored:
        return "vary-star"
    if freshness_lifetime(response, behavior, profile, now)[0] is None:
        return "no-lifetime"
    length = content_length(headers)
    if length is not None and length > largest and request.method != "HEAD":
        return "too-large"
    return None


def _forbidden(directives: CacheControl, status: int) -> str | None:
    """The response's own directive that forbids a shared cache to store it; None: none does."""
    if directives.must_understand:
        if status not in UNDERSTOOD_STATUSES:
            return "must-understand"
    elif directives.no_store:
        return "no-store"
    return "private" if directives.private else None


def received(response: ResponseHead, behavior: Behavior, profile: Profile) -> ResponseHead:
    """The parent's response as this CDN takes it in: its end-to-end fields, without those that the CDN never passes on.

    Source, CloudFront: "Request and response behavior, custom origins": Set-Cookie where no cookies are forwarded;
    Vary cut to Accept-Encoding, Cookie and the fields that are forwarded.
    """
    headers = passed_on(response, profile)
    if profile.set_cookie_needs_cookies and not forwards_cookies(behavior, profile):
        headers = headers.without(("set-cookie",))
    vary = None if profile.vary_selects else headers.joined("vary")
    if vary is not None:
        members = [name.strip() for name in vary.split(",")]
        policy = profile.origin_request_policies.get(behavior.origin_request_policy)
        shown = {"accept-encoding", "cookie", *behavior.key.headers, *behavior.viewer_headers}
        listed = frozenset() if policy is None else policy.headers
        kept = [name for name in members if name != "*" and (listed is None or name.lower() in shown | listed)]
        if "*" in members and behavior.ttl.min == 0:
            kept = ["*"]
        headers = headers.without(("vary",))
        if kept:
            headers.lines.append(("vary", ", ".join(kept)))
    return ResponseHead(response.status, Headers.remembered(headers.lines))


def passed_on(response: ResponseHead, profile: Profile) -> Headers:
    """The fields of a response, interim or final, that are passed on: the end-to-end ones that this CDN does not keep.

    Content-Length goes where there can be no content: a recipient that does not know the status would wait for that
    many bytes (RFC 9110 §8.6).
    """
    headers = end_to_end(response.headers, named=profile.connection_names_fields)
    if profile.ends_here:
        headers = headers.without(profile.ends_here)
    return headers.without(("content-length",)) if response.status < 200 or response.status == 204 else headers


def forwards_cookies(behavior: Behavior, profile: Profile) -> bool:
    """Whether the origin receives any cookie of a request under this behavior."""
    if behavior.key.cookies != "none":
        return True
    policy = profile.origin_request_policies.get(behavior.origin_request_policy)
    return policy is not None and policy.cookies


def content_length(headers: Headers) -> int | None:
    """Content-Length as a number; None when absent or not one number."""
    text = headers.joined("content-length")
    if text is None:
        return None
    if "," in text:
        values = {part.strip() for part in text.split(",")}
        if len(values) != 1:
            return None
        text = values.pop()
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _answers_later_gets(request: RequestHead, response: ResponseHead) -> bool:
    """Whether a POST's response says that later GETs of its target may have it: its Content-Location is the target, and
    it names a lifetime (RFC 9110 §9.3.3)."""
    if request.method != "POST":
        return False
    location = response.headers.first("content-location")
    if location is None or resolved(request, location) != resolved(request, request.target):
        return False
    directives = cache_control.of(response.headers.joined("cache-control"))
    explicit = directives.max_age is not None or directives.s_maxage is not None
    return explicit or "expires" in response.headers


def stored_headers(response: ResponseHead, profile: Profile) -> Headers:
    """The end-to-end fields, without those that `private` and `no-cache` name (RFC 9111 §3.1, §5.2.2)."""
    directives = response_directives(response.headers, profile).control
    headers = end_to_end(response.headers, named=profile.connection_names_fields)
    named = (*directives.private_fields, *directives.no_cache_fields)
    return headers.without(named) if named else headers
