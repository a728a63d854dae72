"""What is answered to which request fields: RFC 9110 13 (conditions) and 14 (ranges), as tables."""

import pytest
from starlette.datastructures import Headers

from origin.publishing.responses import Resource, matches, respond

MODIFIED = 1_800_000_000.7
HTTP_DATE = "Fri, 15 Jan 2027 08:00:00 GMT"
LATER, EARLIER = "Fri, 15 Jan 2027 08:00:01 GMT", "Fri, 15 Jan 2027 07:59:59 GMT"

ANSWERS = [  # given request fields                              then status  bytes       Content-Range
    ({},                                                              200, (0, 1000), None),
    ({"range": "bytes=0-0"},                                          206, (0, 1), "bytes 0-0/1000"),
    ({"range": "bytes=10-19"},                                        206, (10, 20), "bytes 10-19/1000"),
    ({"range": "bytes=990-"},                                         206, (990, 1000), "bytes 990-999/1000"),
    ({"range": "bytes=-10"},                                          206, (990, 1000), "bytes 990-999/1000"),
    ({"range": "bytes=-5000"},                                        206, (0, 1000), "bytes 0-999/1000"),
    ({"range": "bytes=990-5000"},                                     206, (990, 1000), "bytes 990-999/1000"),
    ({"range": "BYTES=1-2"},                                          206, (1, 3), "bytes 1-2/1000"),
    ({"range": "bytes=1000-"},                                        416, (0, 0), "bytes */1000"),
    ({"range": "bytes=-0"},                                           416, (0, 0), "bytes */1000"),
    ({"range": "bytes=5-4"},                                          200, (0, 1000), None),  # malformed: ignored
    ({"range": "bytes=-"},                                            200, (0, 1000), None),
    ({"range": "bytes=a-b"},                                          200, (0, 1000), None),
    ({"range": "bytes=0-1,5-6"},                                      200, (0, 1000), None),  # several: may be ignored
    ({"range": "items=0-1"},                                          200, (0, 1000), None),
    ({"range": "bytes=" + "9" * 40 + "-"},                            200, (0, 1000), None),
    ({"range": "bytes=0-0", "if-range": '"e1"'},                      206, (0, 1), "bytes 0-0/1000"),
    ({"range": "bytes=0-0", "if-range": 'W/"e1"'},                    200, (0, 1000), None),  # strong comparison
    ({"range": "bytes=0-0", "if-range": '"other"'},                   200, (0, 1000), None),
    ({"range": "bytes=0-0", "if-range": HTTP_DATE},                   206, (0, 1), "bytes 0-0/1000"),
    ({"range": "bytes=0-0", "if-range": LATER},                       200, (0, 1000), None),  # exactly ours, or not
    ({"if-none-match": '"e1"'},                                       304, (0, 0), None),
    ({"if-none-match": 'W/"e1"'},                                     304, (0, 0), None),  # weak comparison
    ({"if-none-match": '"a", "e1"'},                                  304, (0, 0), None),
    ({"if-none-match": "*"},                                          304, (0, 0), None),
    ({"if-none-match": '"other"'},                                    200, (0, 1000), None),
    ({"if-none-match": '"other"', "if-modified-since": LATER},        200, (0, 1000), None),  # the tag rules
    ({"if-modified-since": HTTP_DATE},                                304, (0, 0), None),
    ({"if-modified-since": LATER},                                    304, (0, 0), None),
    ({"if-modified-since": EARLIER},                                  200, (0, 1000), None),
    ({"if-modified-since": "yesterday"},                              200, (0, 1000), None),
    ({"if-none-match": '"e1"', "range": "bytes=0-0"},                 304, (0, 0), None),  # conditions come first
]  # fmt: skip


def resource() -> Resource:
    return Resource("video/mp4", 1000, '"e1"', MODIFIED, 60.0, "live live/720p segment", immutable=True)


@pytest.mark.parametrize(("fields", "status", "span", "content_range"), ANSWERS)
def test_get(fields: dict[str, str], status: int, span: tuple[int, int], content_range: str | None) -> None:
    reply = respond(resource(), "GET", Headers(fields), "*")
    headers = dict(reply.headers)
    assert (reply.status, (reply.first, reply.end)) == (status, span)
    assert headers.get("Content-Range") == content_range
    assert headers.get("Content-Length") == (None if status == 304 else str(span[1] - span[0]))
    # RFC 9110 15.4.5: a 304 carries what would have been sent with a 200 and may change a stored response.
    assert headers["ETag"] == '"e1"'
    assert headers["Last-Modified"] == HTTP_DATE
    assert headers["Cache-Control"] == "public, max-age=60, immutable"
    assert headers["Surrogate-Key"] == "live live/720p segment"
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert {"Age", "Date", "Cache-Status", "ETag", "Content-Range"} <= set(
        headers["Access-Control-Expose-Headers"].split(", ")
    )


def test_a_playlist_that_changes_twice_a_second_is_not_compared_by_date() -> None:
    playlist = resource()
    playlist.dated = False
    assert respond(playlist, "GET", Headers({"if-modified-since": LATER}), "*").status == 200
    assert respond(playlist, "GET", Headers({"if-none-match": '"e1"'}), "*").status == 304
    assert respond(playlist, "GET", Headers({"range": "bytes=0-0", "if-range": HTTP_DATE}), "*").status == 200


def test_head_says_what_get_would_and_sends_nothing() -> None:
    reply = respond(resource(), "HEAD", Headers({"range": "bytes=0-9"}), "")
    headers = dict(reply.headers)
    assert (reply.status, reply.first, reply.end) == (200, 0, 0)  # RFC 9110 14.2: Range is for GET alone
    assert headers["Content-Length"] == "1000"
    assert "Access-Control-Allow-Origin" not in headers


REPLACEMENTS = [  # given fields of a PUT, and the ETag of what is there, then whether it may go on (RFC 9110 13.1)
    ({}, None, True),
    ({}, '"a"', True),
    ({"if-none-match": "*"}, None, True),
    ({"if-none-match": "*"}, '"a"', False),
    ({"if-none-match": 'W/"a"'}, '"a"', False),
    ({"if-none-match": '"b"'}, '"a"', True),
    ({"if-match": "*"}, None, False),
    ({"if-match": "*"}, '"a"', True),
    ({"if-match": '"b", "a"'}, '"a"', True),
    ({"if-match": '"b"'}, '"a"', False),
    ({"if-match": 'W/"a"'}, '"a"', False),  # strong comparison
    ({"if-match": 'W/"b", "a"'}, '"a"', True),
    ({"if-match": '"a"', "if-none-match": "*"}, '"a"', True),  # If-Match goes first, and alone
]


@pytest.mark.parametrize(("fields", "etag", "goes_on"), REPLACEMENTS)
def test_whether_a_resource_may_be_replaced(fields: dict[str, str], etag: str | None, goes_on: bool) -> None:
    assert matches(fields, etag) is goes_on


def test_a_secret_is_stored_nowhere() -> None:
    key = Resource("application/octet-stream", 16, '"k"', 0.0, 60.0, secret=True)
    assert ("Cache-Control", "private, no-store") in respond(key, "GET", {}, "").headers


SENT = [  # given                                                           then Vary       Priority
    (Resource("video/mp4", 9, '"e"', 0.0, 1.0, urgency=4),                   None,              "u=4"),
    (Resource("video/mp4", 9, '"e"', 0.0, 1.0),                              None,              None),
    (Resource("application/vnd.apple.mpegurl", 9, '"e"', 0.0, 1.0),          "Accept-Encoding", "u=1"),
    (Resource("application/dash+xml", 9, '"e"', 0.0, 1.0),                   "Accept-Encoding", "u=1"),
    (Resource("text/vtt", 9, '"e"', 0.0, 1.0),                               "Accept-Encoding", None),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "vary", "priority"), SENT)
@pytest.mark.parametrize("fields", [{}, {"if-none-match": '"e"'}, {"range": "bytes=0-1"}, {"range": "bytes=9-"}])
def test_what_depends_on_the_resource_is_said_whatever_the_status(
    resource: Resource, vary: str | None, priority: str | None, fields: dict[str, str]
) -> None:
    headers = dict(respond(resource, "GET", Headers(fields), "*").headers)
    assert (headers.get("Vary"), headers.get("Priority")) == (vary, priority)
