"""A request's fields as HTTP/2 and HTTP/3 bring them, in the form that HTTP/1.1 has for them, and so ASGI."""

from hypercorn.utils import filter_pseudo_headers

Fields = list[tuple[bytes, bytes]]


def request_fields(came: Fields, *, ended: bool) -> Fields:
    """`ended`: no content follows. One `host`, from `:authority`; one `cookie`; the content's framing."""
    fields = _whole_cookie(filter_pseudo_headers(came))
    if not ended and not any(name == b"content-length" for name, _ in fields):
        # Content of a length that is not known: HTTP/1.1 has a field to say that some follows, and so has ASGI.
        fields.append((b"transfer-encoding", b"chunked"))
    return fields


def _whole_cookie(fields: Fields) -> Fields:
    """One Cookie line, of those that the client may split it into (RFC 9113 §8.2.3, RFC 9114 §4.2.1)."""
    crumbs = [value for name, value in fields if name == b"cookie"]
    if len(crumbs) < 2:
        return fields
    return [*(line for line in fields if line[0] != b"cookie"), (b"cookie", b"; ".join(crumbs))]
