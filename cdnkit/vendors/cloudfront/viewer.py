"""The fields about a viewer that CloudFront makes up, as far as cdnlab knows what they tell.

Source: "Add CloudFront request headers". Not known here, and so not made: city, postal code, time zone, coordinates,
metro code, names in words, device types, TLS and HTTP versions, fingerprints, header order. That a field is left out
when its value is not known, and that a viewer's own field of such a name never counts, is ours (unverified).
"""

from collections.abc import Callable

from cdnkit.policy.http.messages import RequestHead

VIEWER_FIELDS: dict[str, Callable[[RequestHead], str]] = {
    "cloudfront-viewer-country": lambda request: request.place.country,
    "cloudfront-viewer-country-region": lambda request: request.place.region,
    "cloudfront-viewer-asn": lambda request: str(request.place.asn or ""),
    # address:port; IPv6 addresses stand without brackets
    "cloudfront-viewer-address": lambda request: f"{request.client_ip}:{request.client_port}",
    "cloudfront-forwarded-proto": lambda request: request.scheme,
}
