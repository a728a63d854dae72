"""PURGE requests of viewers: each purges the URL that it is sent to. Some CDNs take them beside their API.

The profile's `PurgeMethod` says which method it is, and which fields carry a token or ask for a soft purge. To a CDN
without one, PURGE is a method like any other.
"""

import hmac

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import Refusal, RefusalKind
from cdnkit.policy.plan import PurgeKind, PurgeOrder
from cdnkit.policy.rules.profile import Profile, PurgeMethod
from cdnkit.policy.rules.service import Service


def purge_request(
    request: RequestHead, service: Service, profile: Profile, how: PurgeMethod
) -> PurgeOrder | Refusal | None:
    """What a request asks to be purged, or why it may not; None: it is for the cache, like any other."""
    who = service.purge_requests or profile.purge_requests
    if request.method != how.method or who == "nobody":
        return None
    if who == "token":
        given = request.headers.first(how.token_field) or ""
        # A service without a token of its own accepts none.
        wanted = service.purge_token or ""
        if not wanted or not hmac.compare_digest(given.encode("latin-1"), wanted.encode()):
            return Refusal(RefusalKind.PURGE, 401, "Provided credentials are missing or invalid")
    url = request.url if profile.purge_names_host and request.host else request.target
    return PurgeOrder(PurgeKind.URL, url, soft=how.soft_field in request.headers)
