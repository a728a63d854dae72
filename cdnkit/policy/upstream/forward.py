"""The forwarded request: which fields go on to the parent, and which the node adds (RFC 9110 §7.6)."""

from cdnkit.policy.freshness.surrogate import capability
from cdnkit.policy.http.conditions import CONDITIONS
from cdnkit.policy.http.hops import hops_left
from cdnkit.policy.http.messages import Headers, Lines, RequestHead, end_to_end
from cdnkit.policy.rules.profile import RFC9111, ForwardedRequest, Hop, Profile
from cdnkit.policy.rules.service import Behavior
from cdnkit.policy.store.key import keyed_coding

NOT_FORWARDED = ("cdnlab-client-ip", "cdnlab-debug", "cdnlab-service", "expect", "client-cert", "client-cert-chain")
"""Fields that end at a node: `Expect` is between it and the client (RFC 9110 §10.1.1), and a client's own claims about
its certificate do not count, since no node asks for one (RFC 9440 §2.4)."""

NODE_FIELDS = ("host", "via", "x-forwarded-for", *NOT_FORWARDED)
"""Those, and the fields that a node writes itself."""


def forwarded(
    request: RequestHead,
    name: str,
    *,
    conditions: bool = True,
    ranges: bool = True,
    behavior: Behavior | None = None,
    profile: Profile = RFC9111,
    request_id: str = "",
    added: Lines | None = None,
    faces_viewers: bool = True,
) -> RequestHead:
    """The request as it goes to the parent: the fields that the profile lets through, our Via, the client's address,
    and Max-Forwards less one. A `host` field among them is sent as Host; without one, Host is the parent's own name.

    Without `conditions` and `ranges` it is for the complete representation, unconditionally. `request_id`: fresh.
    `added`: fields of the node's settings, which replace the viewer's. `faces_viewers`: False at a shield.
    """
    received = request.with_fields(end_to_end(request.headers))
    headers = received.headers.without(NODE_FIELDS)
    if behavior is not None and profile.viewer_fields:
        named = {*behavior.key.headers, *behavior.viewer_headers}
        headers = headers.without(name for name in profile.viewer_fields if name not in named)
    if behavior is not None and profile.request_fields is not None:
        policy = profile.origin_request_policies.get(behavior.origin_request_policy)
        query, headers = profile.request_fields(ForwardedRequest(request, headers, behavior, policy, request_id))
        request = request.with_target(request.path, query, request.headers)
    elif behavior is not None and behavior.key.accept_encoding and "accept-encoding" in headers:
        # A response in a coding that is not in the key would be served to clients that cannot decode it.
        coding = keyed_coding(request, behavior) or "identity"
        headers = headers.without(("accept-encoding",)).plus(("accept-encoding", coding))
    if profile.surrogate:
        headers = headers.without(("surrogate-capability",)).plus(capability(headers))
    if not conditions:
        headers = headers.without(name for name in CONDITIONS if name != "if-range")  # which belongs to the range
    if not ranges:
        headers = headers.without(("range", "if-range"))
    hops = hops_left(request)
    if hops is not None and request.method == "OPTIONS":
        headers = headers.without(("max-forwards",)).plus(("max-forwards", str(max(0, hops - 1))))
    if profile.hop_fields is not None:
        lines = profile.hop_fields(Hop(received, name, faces_viewers, request_id))
        headers = headers.without(line[0] for line in lines).plus(*lines)
    if behavior is not None and request.host and _takes_host(behavior, profile):
        headers = headers.plus(("host", request.host.lower() if profile.host_sent == "viewer" else request.host))
    if added:
        headers = headers.without(name for name, _ in added).plus(*added)
    via, forwarded_for = request.headers.joined("via"), request.headers.joined("x-forwarded-for")
    ours = f"{request.version} {name}"  # the version that it came by (RFC 9110 §7.6.3)
    headers.lines.append(("via", f"{via}, {ours}" if via else ours))
    if request.client_ip and profile.hop_fields is None:
        ip = request.client_ip
        headers.lines.append(("x-forwarded-for", f"{forwarded_for}, {ip}" if forwarded_for else ip))
    return request.with_fields(headers)


def _takes_host(behavior: Behavior, profile: Profile) -> bool:
    """Whether the viewer's Host goes on to the parent."""
    if profile.host_sent != "where-named":
        return profile.host_sent == "viewer"
    policy = profile.origin_request_policies.get(behavior.origin_request_policy)
    return "host" in behavior.key.headers or (policy is not None and policy.host)


def conditional(request: RequestHead, etag: str | None, last_modified: str | None) -> RequestHead:
    """A forwarded request that revalidates a stored response; the validators go exactly as they came.

    Source: RFC 9111 §4.3.1.
    """
    lines = list(request.headers.lines)
    if etag is not None:
        lines.append(("if-none-match", etag))
    if last_modified is not None:
        lines.append(("if-modified-since", last_modified))
    return request.with_fields(Headers.wrap(lines))


def for_the_rest(request: RequestHead, start: int, etag: str) -> RequestHead:
    """A forwarded request for the bytes from `start` on, if the representation is still the one `etag` names.

    Source: RFC 9111 §3.4.
    """
    return request.with_fields(request.headers.plus(("range", f"bytes={start}-"), ("if-range", etag)))
