"""What a request may be. A larger one is refused before anything else is looked at: gate, store or parent.

How long a request may take, and how many there may be at once, is the listener's to say: it is no fact of the request.
"""

from dataclasses import dataclass

from policy.access import Refusal
from policy.messages import RequestHead
from policy.storing import content_length


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """The largest request that is answered. Sizes in bytes; None: no limit."""

    url: int | None = None
    """Path and query. CloudFront and Fastly take 8192."""
    head: int | None = None
    """The request line and all fields, as HTTP/1.1 writes them, whichever version brought them."""
    fields: int | None = None
    """Field lines."""
    content: int | None = None
    """The content, where it says its length ahead; without that, whoever reads it counts."""

    def excess(self, request: RequestHead) -> Refusal | None:
        """Why a request is too large to be answered: 414 (RFC 9110 §15.5.15), 431 (RFC 6585 §5), 413 (§15.5.14)."""
        if self.url is not None:
            size = len(request.path) + (0 if request.query is None else 1 + len(request.query))
            if size > self.url:
                return Refusal(414, f"limit: the URL has {size} bytes, {self.url} are taken")
        if self.head is not None and request.head_bytes > self.head:
            return Refusal(431, f"limit: the request's head has {request.head_bytes} bytes, {self.head} are taken")
        if self.fields is not None and len(request.headers.lines) > self.fields:
            return Refusal(431, f"limit: the request has {len(request.headers.lines)} fields, {self.fields} are taken")
        if self.content is not None:
            promised = content_length(request.headers)
            if promised is not None and promised > self.content:
                return Refusal(413, f"limit: the content has {promised} bytes, {self.content} are taken")
        return None


UNLIMITED = RequestLimits()
