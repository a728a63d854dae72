"""A request out of an ASGI scope, and its content as far as the limits let it come."""

import asyncio
from typing import Any

import pytest

from cdnkit.policy.outcomes import Failure
from cdnkit.serving import EMPTY_QUERY
from cdnkit.settings.edge import Limits, Whereabouts
from edge.errors import UpstreamFailed
from edge.requests import content_of, request_of
from edge.viewers import Viewers
from tests.kit.virtual_time import run_virtually


def scope(**changes: Any) -> dict[str, Any]:
    return {
        "method": "GET",
        "scheme": "http",
        "path": "/a b",
        "raw_path": b"/a%20b",
        "query_string": b"",
        "headers": [(b"host", b"h"), (b"x-a", b"\xe9")],
        "http_version": "1.1",
        "client": ("192.0.2.1", 4711),
        **changes,
    }


READ = [  # given in the scope                                 a member of the request, and its value
    ({}, "path", "/a%20b"),
    ({"raw_path": None}, "path", "/a b"),  # ASGI says it may be missing
    ({"raw_path": b"/a?b"}, "path", "/a"),
    ({"raw_path": b"http://other/x"}, "path", "/x"),
    ({"raw_path": b"http://other/x"}, "host", "other"),  # it comes before Host (RFC 9112 §3.2.2)
    ({}, "host", "h"),
    ({"headers": []}, "host", ""),
    ({}, "query", None),
    ({"query_string": b"a=1"}, "query", "a=1"),
    ({"state": {EMPTY_QUERY: True}}, "query", ""),  # "?" alone is not nothing (RFC 9110 §7.7)
    ({}, "client_port", 4711),
    ({"client": ("192.0.2.1", None)}, "client_port", 0),
    ({"client": None}, "client_port", 0),
    ({"client": None}, "peer_ip", ""),
    ({}, "peer_ip", "192.0.2.1"),
    ({"client": ("::ffff:192.0.2.1", 1)}, "client_ip", "192.0.2.1"),
    ({}, "trusted", False),
    ({"client": ("127.0.0.1", 1)}, "trusted", True),
    ({"http_version": "2"}, "version", "2"),
]


@pytest.mark.parametrize(("given", "member", "value"), READ)
def test_what_is_read_of_a_scope(given: dict[str, Any], member: str, value: object) -> None:
    viewers = Viewers(Whereabouts(), trusted=["127.0.0.0/8"], believed=[])
    request = request_of(scope(**given), viewers, placed=False)
    assert getattr(request, member) == value
    if given.get("raw_path") == b"http://other/x":
        assert request.headers.all("host") == ["other"]


PAUSE_S = 5.0
CONTENT: list[tuple[list[tuple[float, bytes]], bool, list[bytes] | Failure]] = [
    # pieces, each after a pause; whether the client stays to the end; what comes, or why it breaks off
    ([(0.0, b"")], True, [b""]),
    ([(0.0, b"12345"), (0.0, b"67890")], True, [b"12345", b"67890"]),  # all that is taken
    ([(0.0, b"12345"), (0.0, b"678901")], True, Failure.CONTENT_TOO_LARGE),
    ([(4.9, b"1"), (4.9, b"2")], True, [b"1", b"2"]),  # between two, not of all
    ([(4.9, b"1"), (5.1, b"2")], True, Failure.CONTENT_LATE),
    ([(0.0, b"1")], False, Failure.ABANDONED),
]


@pytest.mark.parametrize(("pieces", "stays", "then"), CONTENT)
def test_content_comes_as_far_as_the_limits_let_it(
    pieces: list[tuple[float, bytes]], stays: bool, then: list[bytes] | Failure
) -> None:
    left = iter(pieces)
    last = pieces[-1]

    async def receive() -> dict[str, Any]:
        piece = next(left, None)
        if piece is None:
            return {"type": "http.disconnect"}
        await asyncio.sleep(piece[0])
        return {"type": "http.request", "body": piece[1], "more_body": piece is not last or not stays}

    async def run() -> list[bytes] | Failure:
        limits = Limits.model_validate({"content": 10, "content_pause": PAUSE_S})
        try:
            return [piece async for piece in content_of(receive, limits)]
        except UpstreamFailed as failed:
            return failed.why

    assert run_virtually(run()) == then
