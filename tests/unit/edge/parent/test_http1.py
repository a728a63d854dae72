"""However the network cuts a response, the exchange is the same: a property of the HTTP/1.1 reader."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cdnkit.policy.http.messages import Lines
from cdnkit.policy.outcomes import Failure
from cdnkit.policy.rules.profile import RFC9111
from edge.errors import UpstreamFailed
from edge.parent.http1 import Http1Connection

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_!#$%&'*+.^`|~", min_size=1, max_size=12).map("x-{}".format)
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f"), max_size=20)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=5)


@dataclass
class Response:
    """A well-formed response, and what is to be read of it."""

    raw: bytes
    lines: Lines
    body: bytes
    interim: list[tuple[int, Lines]] = field(default_factory=list)
    closes: bool = False


def written(status: int, lines: Lines) -> bytes:
    return "".join([f"HTTP/1.1 {status} x\r\n", *(f"{name}: {value}\r\n" for name, value in lines), "\r\n"]).encode(
        "latin-1"
    )


@st.composite
def responses(draw: st.DrawFn) -> Response:
    interim = draw(st.lists(st.tuples(st.sampled_from([100, 102, 103, 199]), FIELDS), max_size=3))
    raw = b"".join(written(status, lines) for status, lines in interim)
    lines, body = list(draw(FIELDS)), draw(st.binary(max_size=200))
    framing = draw(st.sampled_from(["length", "chunked", "close"]))
    if framing == "length":
        lines.append(("content-length", str(len(body))))
    elif framing == "chunked":
        lines.append(("transfer-encoding", "chunked"))
    raw += written(200, lines)
    if framing == "chunked":
        cuts = sorted(draw(st.sets(st.integers(1, max(1, len(body))), max_size=4)) | {len(body)})
        for start, end in zip([0, *cuts], cuts, strict=False):
            if body[start:end]:
                raw += b"%x;e=1\r\n%b\r\n" % (end - start, body[start:end])
        raw += b"0\r\n" + draw(st.sampled_from([b"", b"t: r\r\n"])) + b"\r\n"
    else:
        raw += body
    told = [(status, lines) for status, lines in interim if status != 100]
    return Response(raw, lines, body, told, framing == "close")


class Wire(asyncio.Transport):
    """As much of a transport as a connection touches when it is fed by hand."""

    def __init__(self, connection: Http1Connection) -> None:
        super().__init__()
        self.connection, self.aborted = connection, False
        connection.connection_made(self)

    def write(self, data: Any) -> None:
        pass

    def abort(self) -> None:
        if not self.aborted:
            self.aborted = True
            self.connection.connection_lost(None)


async def read(response: Response, cuts: list[int], stop: int | None = None) -> tuple[Any, ...]:
    """What a connection makes of a response that comes in those pieces, or of its first `stop` bytes and the end."""
    connection = Http1Connection(RFC9111.waits, 5, lambda _: None)
    wire = Wire(connection)
    interim: list[tuple[int, Lines]] = []
    task = asyncio.create_task(
        connection.exchange(b"", "GET", None, None, lambda head: interim.append((head.status, head.headers.lines)))
    )
    await asyncio.sleep(0)
    raw = response.raw[:stop]
    places = sorted({min(cut, len(raw)) for cut in cuts} | {len(raw)})
    for start, end in zip([0, *places], places, strict=False):
        if raw[start:end]:
            connection.data_received(raw[start:end])
    if stop is not None or response.closes:
        wire.abort()
    try:
        head = await task
        body = b"".join([chunk async for chunk in connection.incoming.chunks()])
    except UpstreamFailed as failed:
        return failed.why, interim
    finally:
        connection.abort()
    return head.status, head.headers.lines, body, interim, connection.incoming.ended


@settings(max_examples=150, deadline=None)
@given(responses(), st.lists(st.integers(1, 400), max_size=12))
def test_any_chunking_gives_the_same_exchange(response: Response, cuts: list[int]) -> None:
    expected = (200, response.lines, response.body, response.interim, True)
    assert asyncio.run(read(response, cuts)) == expected
    assert asyncio.run(read(response, list(range(len(response.raw))))) == expected  # byte by byte


@settings(max_examples=150, deadline=None)
@given(responses(), st.lists(st.integers(1, 400), max_size=4), st.data())
def test_a_response_cut_short_is_never_whole(response: Response, cuts: list[int], data: st.DataObject) -> None:
    stop = data.draw(st.integers(0, len(response.raw) - 1))
    seen = asyncio.run(read(response, cuts, stop))
    if response.closes and seen[0] == 200:
        assert response.body.startswith(seen[2])  # its end is the connection's: nothing else could tell
    else:
        assert seen[0] in (Failure.RESET, Failure.TRUNCATED)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(1, 300), max_size=4), st.booleans())
def test_noise_fails_or_is_an_answer_and_never_raises(noise: bytes, cuts: list[int], begun: bool) -> None:
    raw = b"HTTP/1.1 200 OK\r\n" + noise if begun else noise
    seen = asyncio.run(read(Response(raw, [], b""), cuts, len(raw)))
    assert isinstance(seen[0], Failure) or 200 <= seen[0] <= 999
