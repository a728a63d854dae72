"""Accept-Encoding as Fastly reduces it before VCL, cache key and origin see it.

Source: Fastly, "Accept-Encoding": reduced before VCL, kept as Fastly-Orig-Accept-Encoding.
"""

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.http.negotiation import weighted

ORIGINAL = "fastly-orig-accept-encoding"


def reduced_coding(accept_encoding: str) -> str | None:
    """`br`, else `gzip`, else nothing."""
    taken = {coding for coding, weight in weighted(accept_encoding) if weight > 0}
    return next((coding for coding in ("br", "gzip") if coding in taken), None)


def with_reduced_coding(request: RequestHead) -> RequestHead:
    """The request with its Accept-Encoding reduced; the original is kept beside it."""
    accepted = request.headers.joined("accept-encoding")
    if accepted is None:
        return request
    coding = reduced_coding(accepted)
    headers = request.headers.without(("accept-encoding", ORIGINAL)).plus((ORIGINAL, accepted))
    return request.with_fields(headers if coding is None else headers.plus(("accept-encoding", coding)))
