"""A request's fields from HTTP/2 and HTTP/3, in the form that they have in HTTP/1.1 and so in ASGI."""

from hypercorn.utils import filter_pseudo_headers

Fields = list[tuple[bytes, bytes]]


def malformed(came: Fields, *, ended: bool) -> bool:
    """Whether a request's head is malformed although the libraries let it pass: one rule for HTTP/2 and HTTP/3.

    A head has one scheme, http or https; one path; one authority, which no Host contradicts; at most one length, which
    may be true (`ended`: no content follows). `:protocol` belongs to CONNECT (RFC 9113 §8.1.1, §8.3.1, RFC 8441 §4;
    RFC 9114 §4.1.2, §4.3.1, RFC 9220).
    """
    pseudo = {name: value for name, value in came if name.startswith(b":")}
    hosts = [value for name, value in came if name == b"host"]
    lengths = {value for name, value in came if name == b"content-length"}
    authority = pseudo.get(b":authority")
    if len(hosts) > 1 or (authority is not None and hosts not in ([], [authority])) or not (authority or any(hosts)):
        return True
    if (
        len(lengths) > 1
        or not all(length.isdigit() for length in lengths)
        or (ended and any(length.strip(b"0") for length in lengths))
    ):
        return True
    if any(name == b"" for name, _ in came) or b":method" not in pseudo:
        return True
    if pseudo[b":method"] == b"CONNECT":
        return False  # CONNECT has neither scheme nor path, unless it is for a `:protocol`
    path = pseudo.get(b":path", b"")
    is_path = path.startswith(b"/") or (bool(path) and b"://" not in path)  # other bad paths get a 400 later
    known = pseudo.get(b":scheme", b"").lower() in (b"http", b"https")
    return b":protocol" in pseudo or not (known and is_path and path.isascii())


def request_fields(came: Fields, *, ended: bool) -> Fields:
    """The fields of ASGI: one `host`, from `:authority`; one `cookie`; the content's framing.

    `ended`: no content follows.
    """
    fields = _whole_cookie(filter_pseudo_headers(came))
    if not ended and not any(name == b"content-length" for name, _ in fields):
        # Content of unknown length follows: HTTP/1.1 says so in this field, and so ASGI does.
        fields.append((b"transfer-encoding", b"chunked"))
    return fields


def _whole_cookie(fields: Fields) -> Fields:
    """The Cookie field in one line: clients may split it into several (RFC 9113 §8.2.3, RFC 9114 §4.2.1)."""
    crumbs = [value for name, value in fields if name == b"cookie"]
    if len(crumbs) < 2:
        return fields
    return [*(line for line in fields if line[0] != b"cookie"), (b"cookie", b"; ".join(crumbs))]
