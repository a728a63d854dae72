"""The fields about a viewer that CloudFront adds to a request, as far as cdnlab knows their values.

Source: "Add CloudFront request headers". Not known here, and so not added: city, postal code, time zone, coordinates,
metro code, names in words, device types, TLS and HTTP versions, fingerprints, header order. Two rules are our own
(unverified): a field whose value is not known is left out, and a viewer's own field of such a name never counts.
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
