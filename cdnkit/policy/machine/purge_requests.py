"""PURGE where viewers come: the URL it is sent to is purged. Some CDNs take that beside their API.

Which method it is, and which fields carry a token and ask for a soft purge, the profile says (`PurgeMethod`). To a CDN
that has none it is a method like any other.
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
        # Without a token of the service's own nobody can have the right one.
        wanted = service.purge_token or ""
        if not wanted or not hmac.compare_digest(given.encode("latin-1"), wanted.encode()):
            return Refusal(RefusalKind.PURGE, 401, "Provided credentials are missing or invalid")
    url = request.url if profile.purge_names_host and request.host else request.target
    return PurgeOrder(PurgeKind.URL, url, soft=how.soft_field in request.headers)
