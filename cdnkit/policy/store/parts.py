"""Stored parts: a 206 is stored as a part, grows by the part that follows it, and ends as the whole when complete.

A part answers only ranges wholly inside it (RFC 9111 §3.3); two are combined only under the same strong validator
(§3.4). Neither ever answers a request for the whole.
"""

from cdnkit.policy.http import etags, ranges
from cdnkit.policy.http.messages import Headers, ResponseHead
from cdnkit.policy.store.index import Entry


def covers(entry: Entry, wanted: str | None) -> bool:
    """Whether a stored part holds all that a Range asks for."""
    return wanted is not None and entry.part is not None and ranges.within(wanted, entry.part, entry.total) is not None


def may_be_completed(entry: Entry) -> bool:
    """Whether the rest of a stored part can be fetched: it begins at 0, is complete, and has a strong ETag."""
    return (
        entry.part is not None
        and entry.part.start == 0
        and entry.complete
        and entry.etag is not None
        and etags.is_strong(entry.etag)
    )


def continues(entry: Entry | None, received: ranges.ContentRange, head: ResponseHead) -> bool:
    """Whether a 206 has the bytes right behind a stored part, of the same representation."""
    if entry is None or entry.part is None or not entry.indexed or not entry.complete:
        return False
    tag = head.headers.first("etag")
    return (
        received.span.start == entry.part.stop
        and tag is not None
        and entry.etag is not None
        and etags.strongly_equal(tag, entry.etag)
    )


def whole_fields(headers: Headers, total: int) -> Headers:
    """The fields of a completed representation: those of its parts, framed as a whole."""
    return headers.without(("content-range", "content-length")).plus(("content-length", str(total)))
