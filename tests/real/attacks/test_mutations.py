"""Requests with their framing spoilt at random: the origin sees nothing that a strict parser does not see in the bytes.

Two opinions: h11, which the edge's listener is made of, and llhttp, which is another's work (Node's) and is asked where it
takes all of the bytes for requests.
"""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import httptools
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cdnkit.policy.rules.service import Behavior
from tests.kit.late import GUARD_S
from tests.real.attacks.lab import Lab, attacked
from tests.real.attacks.test_smuggling import SHAPES
from tests.real.attacks.witness import strictly

pytestmark = pytest.mark.long

NASTY = [
    b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b"\0", b"\x0b", b":", b",", b";", b"0", b"1", b"ff", b"+", b"-", b"_",
    b"chunked", b"identity", b"transfer-encoding: chunked\r\n", b"content-length: 0\r\n", b"content-length: 5\r\n",
    b"connection: close\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n", b"GET /hidden HTTP/1.1\r\nhost: edge\r\n\r\n", b"HTTP/1.0",
]  # fmt: skip
SOUND = [
    b"GET /a HTTP/1.1\r\nhost: edge\r\n\r\n",
    b"POST /b HTTP/1.1\r\nhost: edge\r\ncontent-length: 5\r\n\r\nhello",
    b"POST /c HTTP/1.1\r\nhost: edge\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"PUT /d HTTP/1.1\r\nhost: edge\r\ncontent-length: 0\r\n\r\n",
]


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    raw = b"".join(draw(st.lists(st.sampled_from(SOUND), min_size=1, max_size=3)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(raw)))
        cut = draw(st.integers(0, 3))
        raw = raw[:at] + draw(st.sampled_from(NASTY)) + raw[at + cut :]
    return raw


class _Heard:
    """What httptools calls back."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self._target = self._body = b""
        self._begun: list[str] = []

    def on_url(self, piece: bytes) -> None:
        self._target += piece

    def on_headers_complete(self) -> None:
        method = self.parser.get_method().decode()
        self._begun = [f"{method} {self._target.decode('latin-1')}"] if method in ("GET", "HEAD") else []

    def on_body(self, piece: bytes) -> None:
        self._body += piece

    def on_message_complete(self) -> None:
        method = self.parser.get_method().decode()
        self.requests.append(f"{method} {self._target.decode('latin-1')} {self._body.decode('latin-1')}".rstrip(" "))
        self._target = self._body = b""
        self._begun = []

    @property
    def seen(self) -> list[str]:
        """With the head of a GET or HEAD whose content breaks off."""
        return [*self.requests, *self._begun]

    parser: httptools.HttpRequestParser


def by_llhttp(raw: bytes) -> list[str] | None:
    """The requests in `raw`; None where it refuses any of them."""
    heard = _Heard()
    heard.parser = httptools.HttpRequestParser(heard)
    try:
        heard.parser.feed_data(raw)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    return heard.seen


def among(seen: list[str], read: list[str]) -> bool:
    """Whether they are of those, in that order; the content of a GET stays at the edge."""
    left: Iterator[str] = iter(
        " ".join(one.split(" ")[:2]) if one.startswith(("GET ", "HEAD ")) else one for one in read
    )
    return all(one in left for one in seen)


def test_the_two_opinions_are_two() -> None:
    sound = b"".join(SOUND)
    assert by_llhttp(sound) == strictly(sound) == ["GET /a", "POST /b hello", "POST /c hello", "PUT /d"]
    assert among(["GET /a", "PUT /d"], strictly(sound)) and not among(["PUT /d", "GET /a"], strictly(sound))
    assert (
        by_llhttp(b"POST /b HTTP/1.1\r\nhost: edge\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n") is None
    )


@pytest.fixture(scope="module")
def edge() -> Iterator[tuple[asyncio.Runner, Lab]]:
    """One for all examples: what one of them leaves behind, the next one meets."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        lab = runner.run(
            stack.enter_async_context(
                attacked(behaviors=[Behavior(path="*", cache=False)], limits={"content_pause": "30ms"})
            )
        )
        yield runner, lab
        runner.run(stack.aclose())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(raw=b"GET /a HTTP/1.1\r\nhost: edge\r\ncontent-length: 5\r\n\r\n")
@example(raw=SHAPES[0].sent)
@example(raw=b"".join(SOUND))
@given(raw=spoilt())
def test_the_origin_sees_no_request_that_is_not_in_the_bytes(edge: tuple[asyncio.Runner, Lab], raw: bytes) -> None:
    runner, lab = edge

    async def run() -> list[str]:
        for heard in lab.origin.heard:
            heard.clear()  # whole requests: an honest one came last
        reader, writer = await asyncio.open_connection(*lab.edge.url.removeprefix("http://").split(":"))
        writer.write(raw)
        writer.write_eof()
        async with asyncio.timeout(GUARD_S):
            await reader.read()
        writer.close()
        await lab.honest("/victim")
        return lab.origin.requests

    seen = runner.run(run())
    assert seen.count("GET /victim") == 1
    seen = [one for one in seen if one not in ("GET /victim", "broken")]
    assert among(seen, strictly(raw))
    second = by_llhttp(raw)
    assert second is None or among(seen, second)
