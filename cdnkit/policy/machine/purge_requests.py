"""PURGE where viewers come: the URL it is sent to is purged. Fastly's own way, beside its API.

Source: "Purging" in Fastly's documentation: open to everybody unless the service asks for a token; a request with a
`Fastly-Soft-Purge` field, whatever it holds, makes stale. To CloudFront and RFC 9111 it is a method like any other.
"""

import hmac

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import Refusal
from cdnkit.policy.plan import PurgeKind, PurgeOrder
from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.service import Service


def purge_request(request: RequestHead, service: Service, profile: Profile) -> PurgeOrder | Refusal | None:
    """What a request asks to be purged, or why it may not; None: it is for the cache, like any other."""
    who = service.purge_requests or profile.purge_requests
    if request.method != "PURGE" or who == "nobody":
        return None
    if who == "token":
        given = request.headers.first("fastly-key") or ""
        # Without a token of the service's own nobody can have the right one.
        wanted = service.purge_token or ""
        if not wanted or not hmac.compare_digest(given.encode("latin-1"), wanted.encode()):
            return Refusal(401, "purge: Provided credentials are missing or invalid")
    url = request.url if profile.purge_names_host and request.host else request.target
    return PurgeOrder(PurgeKind.URL, url, soft="fastly-soft-purge" in request.headers)
