"""Validation, both ways: a client's conditions against the store, and a 304's effect on a stored response."""

from cdnkit.policy.http import dates, etags
from cdnkit.policy.http.hops import last_node
from cdnkit.policy.http.messages import Headers, RequestHead
from cdnkit.policy.store.index import Entry

BODY_FIELDS = frozenset({"content-length", "content-encoding", "content-range"})
"""Fields about the stored bytes, which an update leaves as they are (RFC 9111 §3.2): with the coding of a 304 that
names another, every viewer would decode the body wrongly."""

FIELDS_OF_304 = frozenset(
    {
        "etag", "date", "cache-control", "cdn-cache-control", "surrogate-control", "expires", "vary",
        "content-location", "last-modified", "age", "cache-status", "via", "x-cache", "server", "surrogate-key",
        "access-control-allow-origin", "access-control-allow-credentials", "access-control-expose-headers",
        "set-cookie", "server-timing",
    }
)  # fmt: skip
"""Fields of a 304 from the store (RFC 9110 §15.4.5), with those that browsers need to let a page see it. The fields of
the node's signature are added; a node of ours gets all the others too (`wants_all_fields`)."""


def wants_all_fields(request: RequestHead) -> bool:
    """Whether a 304 is for a node of ours: the request came through a node, over a trusted network.

    Such a node validates its copy with this one, and learns from nobody else what a 304 of the origin changed here. RFC
    9110 §15.4.5 lets a 304 carry metadata that guides a cache's update.
    """
    return request.trusted and last_node(request) != ""


def is_not_modified(request: RequestHead, entry: Entry, now: float) -> bool:
    """Whether the client's own copy is still good, so that a 304 answers it (RFC 9110 §13.2.2).

    With `If-None-Match`, matched or not, `If-Modified-Since` is ignored.
    """
    if request.method not in ("GET", "HEAD"):
        return False
    if_none_match = request.headers.joined("if-none-match")
    if if_none_match is not None:
        tags = etags.tag_list(if_none_match)
        if tags == ("*",):
            return True
        return entry.etag is not None and any(etags.weakly_equal(tag, entry.etag) for tag in tags)
    since = dates.parse_date(request.headers.first("if-modified-since"), now)
    if since is None:
        return False
    modified = dates.parse_date(entry.last_modified or entry.headers.first("date"), now)
    return modified is not None and modified <= since


def range_applies(request: RequestHead, entry: Entry, now: float) -> bool:
    """Whether `If-Range` (absent: always) lets the Range count: strong tags or an equal date (RFC 9110 §13.1.5)."""
    condition = request.headers.first("if-range")
    if condition is None:
        return True
    condition = condition.strip()
    if condition.startswith(('"', "W/")):
        return entry.etag is not None and etags.strongly_equal(condition, entry.etag)
    if entry.last_modified is None or condition != entry.last_modified.strip():
        return False
    # Two versions may have the same second: a date is strong only if the response is younger (RFC 9110 §8.8.2.2).
    modified, date = dates.parse_date(condition, now), dates.parse_date(entry.headers.first("date"), now)
    return modified is not None and date is not None and date - modified >= 1


def validators_differ(not_modified: Headers, entry: Entry) -> bool:
    """Whether a 304 has other validators than the stored response: then it must not freshen that (RFC 9111 §4.3.4)."""
    tag = not_modified.first("etag")
    if tag is None or not (etags.is_strong(tag) or etags.is_weak(tag)):
        return False
    if entry.etag is not None:
        return not etags.weakly_equal(tag, entry.etag)
    return entry.last_modified is None or not_modified.first("last-modified") != entry.last_modified


def same_representation(entry: Entry, headers: Headers) -> bool:
    """Whether a HEAD's fields match the stored response: validators and length, as far as the HEAD has them."""
    for name in ("etag", "last-modified", "content-length"):
        received, stored = headers.first(name), entry.headers.first(name)
        if name == "content-length" and stored is None and entry.length is not None:
            stored = str(entry.length)
        if received is not None and received != stored:
            return False
    return True


def freshened(stored: Headers, update: Headers) -> Headers:
    """Stored fields after a 304: each field it has replaces all stored lines of that name (RFC 9111 §3.2),
    but for those that belong to the stored body.

    An Age that the 304 does not repeat goes: it belonged to the old response.
    """
    names = {name for name, _ in update.lines} - BODY_FIELDS
    kept = [line for line in stored.lines if line[0] not in names and line[0] != "age"]
    return Headers.wrap(kept + [line for line in update.lines if line[0] in names])
