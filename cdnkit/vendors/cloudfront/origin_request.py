"""The origin request: what CloudFront sends on of a viewer's request.

Source: CloudFront, "Control origin requests with a policy"; "Request and response behavior, custom origins" (2023).
"""

from cdnkit.policy.http.conditions import CONDITIONS
from cdnkit.policy.http.messages import Headers, RequestHead
from cdnkit.policy.rules.profile import ForwardedRequest
from cdnkit.policy.rules.service import Behavior
from cdnkit.policy.store.key import keyed_coding, keyed_cookies, keyed_query
from cdnkit.vendors.cloudfront.signature import ID

_ALWAYS = frozenset({"content-length", "content-type", "content-encoding", "range", *CONDITIONS})
"""What a request is about and how its body is framed: every policy sends these on."""

_LEGACY_REMOVED = frozenset(
    {
        "accept", "accept-charset", "accept-language", "cookie", "proxy-connection", "referer", "x-forwarded-proto",
        "x-http-method-override", "x-real-ip",
    }
)  # fmt: skip
""""Request and response behavior, custom origins" (2023): taken out unless forwarded by name."""


def request_fields(onward: ForwardedRequest) -> tuple[str | None, Headers]:
    """The query and the fields: what is in the key, what the origin request policy lists, and a request id of ours."""
    request, behavior, policy = onward.request, onward.behavior, onward.policy
    everything = policy is not None and policy.query
    query = request.query if everything else keyed_query(request.query, behavior)
    return query, _fields(onward).without((ID,)).plus((ID, onward.request_id))


def _fields(onward: ForwardedRequest) -> Headers:
    """With a cache or origin request policy, the fields that the two list; without, by the legacy table."""
    request, headers, behavior, policy = onward.request, onward.headers, onward.behavior, onward.policy
    keyed = frozenset(behavior.key.headers)
    if policy is not None and policy.headers is None:
        kept = headers.without(("cookie", "accept-encoding"))
    elif policy is not None or behavior.cache_policy != "none":
        listed = (policy.headers or frozenset()) if policy is not None else frozenset()
        wanted = _ALWAYS | keyed | listed | frozenset(behavior.viewer_headers)
        kept = Headers.wrap([line for line in headers.lines if line[0] in wanted])
    else:
        shared = request.method in ("GET", "HEAD") or request.method in behavior.cached_methods.split(", ")
        removed = _LEGACY_REMOVED | ({"authorization"} if shared else set()) - keyed
        kept = Headers.wrap(
            [line for line in headers.lines if line[0] not in removed - keyed and not line[0].startswith("x-edge-")]
        )
        kept = kept.without(("cookie", "accept-encoding"))
    if "user-agent" not in keyed and (
        policy is None or (policy.headers is not None and "user-agent" not in policy.headers)
    ):
        kept = kept.without(("user-agent",)).plus(("user-agent", "Amazon CloudFront"))
    cookies = (
        request.headers.joined("cookie") if policy is not None and policy.cookies else keyed_cookies(request, behavior)
    )
    if cookies is not None:
        kept = kept.plus(("cookie", cookies))
    coding = _coding(request, behavior)
    return kept if coding is None else kept.without(("accept-encoding",)).plus(("accept-encoding", coding))


def _coding(request: RequestHead, behavior: Behavior) -> str | None:
    """Accept-Encoding for the origin; None: none is sent."""
    accepted = request.headers.joined("accept-encoding")
    if accepted is None:
        return None
    if behavior.key.accept_encoding:
        return keyed_coding(request, behavior) or "identity"
    return accepted if "accept-encoding" in behavior.key.headers else None
