"""A message's content: whether a request has any (RFC 9110 §6.4, §9.3.1), and how that of a stream's responses is
written.

The form is told by the Content-Type first, then by the path (RFC 8216 §4, IANA's media types). A type that says nothing
(text/plain, application/octet-stream, none) leaves it to the path; so does a request whose response has not come. This
is the one place that says so: records and reports count by it, and the children of a playlist inherit its token, which
makes the playlist one viewer's alone.
"""

import re
from enum import Enum

from cdnkit.policy.http.messages import RequestHead


class Form(Enum):
    """How what a stream is made of is written."""

    HLS = "a playlist"
    DASH = "a manifest"
    MEDIA = "a segment, a part of one, or an init section"
    OTHER = "something else, or not known"


_TYPES = {
    "application/vnd.apple.mpegurl": Form.HLS,  # RFC 8216 §4, as is the next
    "audio/mpegurl": Form.HLS,
    "application/x-mpegurl": Form.HLS,  # older than the RFC, and still sent
    "audio/x-mpegurl": Form.HLS,
    "application/mpegurl": Form.HLS,
    "application/dash+xml": Form.DASH,
    "application/mp4": Form.MEDIA,
}
_NAMES = (
    (re.compile(r".*\.m3u8?", re.IGNORECASE), Form.HLS),
    (re.compile(r".*\.mpd", re.IGNORECASE), Form.DASH),
    (re.compile(r".*\.(m4[sva]|cmf[va]|ts|aac|mp4)", re.IGNORECASE), Form.MEDIA),
    (re.compile(r"seg-[0-9]+-[0-9]+\.vtt"), Form.MEDIA),  # our own origin's; others' WebVTT is mostly a whole file
)


def form_of(path: str, content_type: str = "") -> Form:
    """`content_type`: of the response, with its parameters; "" while there is none."""
    media_type = content_type.partition(";")[0].strip().lower()
    if (form := _TYPES.get(media_type)) is not None:
        return form
    if media_type.startswith(("video/", "audio/")):
        return Form.MEDIA
    name = name_of(path)
    return next((form for pattern, form in _NAMES if pattern.fullmatch(name)), Form.OTHER)


def is_playlist(path: str, content_type: str = "") -> bool:
    """It refers to others, in HLS or DASH."""
    return form_of(path, content_type) in (Form.HLS, Form.DASH)


def name_of(path: str) -> str:
    """The last segment, without its parameters: `x.m3u8;jsessionid=1` is `x.m3u8` (RFC 3986 §3.3)."""
    return path.rpartition("/")[2].partition(";")[0]


def has_body(request: RequestHead) -> bool:
    """Whether the head announces one (RFC 9110 §6.4.1); `Content-Length: 0` announces none."""
    return "transfer-encoding" in request.headers or request.headers.first("content-length") not in (None, "0")


def has_content(request: RequestHead) -> bool:
    """Whether the request carries content that goes on with it.

    Content in a GET or HEAD has no defined meaning (RFC 9110 §9.3.1) and is not forwarded: a cache answers such
    requests without reading it.
    """
    return request.method not in ("GET", "HEAD") and has_body(request)
