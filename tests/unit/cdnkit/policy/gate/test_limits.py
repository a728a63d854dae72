"""What a request may be: the largest that is answered, and the smallest that is not."""

import pytest

from cdnkit.policy.gate.limits import UNLIMITED, RequestLimits, measured
from cdnkit.policy.http.messages import Headers, RequestHead, ResponseHead
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.outcomes import Failure, Outcome, Purpose, Refusal, RefusalKind
from cdnkit.policy.plan import Fetch, Refuse, Serve
from cdnkit.policy.rules.service import Behavior, Service

LIMITS = RequestLimits(url=20, head=1000, fields=3, content=50)


def request(path: str = "/a", query: str | None = None, head_bytes: int = 100, **fields: str) -> RequestHead:
    headers = Headers((name.replace("_", "-"), value) for name, value in fields.items())
    return RequestHead("GET", "http", "x", path, query, headers, head_bytes=head_bytes)


EXCESS = [  # given                                          then
    (request("/" + "a" * 19), None),
    (request("/" + "a" * 20), (414, "limit: the URL has 21 bytes, 20 are taken")),
    (request("/a", "b" * 17), None),
    (request("/a", "b" * 18), (414, "limit: the URL has 21 bytes, 20 are taken")),  # the "?" counts
    (request(head_bytes=1000), None),
    (request(head_bytes=1001), (431, "limit: the request's head has 1001 bytes, 1000 are taken")),
    (request(a="1", b="2", c="3"), None),
    (request(a="1", b="2", c="3", d="4"), (431, "limit: the request has 4 fields, 3 are taken")),
    (request(content_length="50"), None),
    (request(content_length="51"), (413, "limit: the content has 51 bytes, 50 are taken")),
    (request(transfer_encoding="chunked"), None),  # who reads it counts
    (request("/" + "a" * 99, head_bytes=5000), (414, "limit: the URL has 100 bytes, 20 are taken")),  # the first wins
]


@pytest.mark.parametrize(("given", "then"), EXCESS)
def test_excess(given: RequestHead, then: tuple[int, str] | None) -> None:
    assert LIMITS.refusal(given, 0.0) == (None if then is None else Refusal(RefusalKind.LIMIT, *then))
    assert UNLIMITED.refusal(given, 0.0) is None


def test_a_request_beyond_the_limits_is_refused_even_where_it_would_be_a_hit() -> None:
    machine = EdgeMachine(Service(behaviors=(Behavior(path="*"),)), limits=LIMITS)
    fetch = machine.on_request(request(), 0.0)
    assert isinstance(fetch, Fetch)
    machine.on_response(fetch, ResponseHead(200, Headers([("cache-control", "max-age=60")])), 0.0)
    machine.on_body_end(fetch, 0, 0.0)
    assert isinstance(machine.on_request(request(), 1.0), Serve)
    refused = machine.on_request(request(head_bytes=1001), 1.0)
    assert isinstance(refused, Refuse)
    assert (refused.status, refused.outcome) == (431, Outcome.REFUSED)
    names = dict(refused.headers)
    assert names["via"] and "limit: the request's head" in names["cache-status"]


@pytest.mark.parametrize(
    ("why", "status"), [(Failure.CONTENT_TOO_LARGE, 413), (Failure.CONTENT_LATE, 408), (Failure.RESET, 502)]
)
def test_content_beyond_the_limits_is_not_the_parents_failure(why: Failure, status: int) -> None:
    machine = EdgeMachine(Service())
    fetch = machine.on_request(RequestHead("POST", "http", "x", "/a", None, Headers()), 0.0)
    assert isinstance(fetch, Fetch) and fetch.purpose is Purpose.PASS
    (answer,) = machine.on_failure(fetch, why, 1.0).answers.values()
    assert isinstance(answer, Refuse)
    assert (answer.status, answer.reason.partition(":")[0]) == (status, "origin" if status == 502 else "limit")


def test_a_request_that_cannot_be_read_changes_nothing() -> None:
    machine = EdgeMachine(Service(name="fra"))
    told = machine.unreadable(431, "limit: the request's head is too large", 5.0)
    assert told.status == 431 and "fra; detail=" in dict(told.headers)["cache-status"]
    assert machine.events == 0


WRITTEN = [  # method, target, fields: the head as HTTP/1.1 writes it is as long as it is measured
    ("GET", "/", []),
    ("GET", "/a?b=c", [("host", "x")]),
    ("OPTIONS", "/a?", [("host", "x"), ("x-empty", ""), ("x-long", "v" * 1000), ("x-long", "w")]),
]


@pytest.mark.parametrize(("method", "target", "lines"), WRITTEN)
def test_a_head_is_measured_as_it_is_written(method: str, target: str, lines: list[tuple[str, str]]) -> None:
    text = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines) + "\r\n"
    path, mark, query = target.partition("?")
    head = measured(RequestHead(method, "http", "x", path, query if mark else None, Headers(lines)))
    assert (head.head_bytes, head.head_fields) == (len(text), len(lines))
