"""What the edge's reader makes of what a parent sends, byte for byte (RFC 9112 §6.3, RFC 9110 §8.6, §15.2)."""

import asyncio

import pytest

from cdnkit.policy.http.messages import RequestHead, ResponseHead
from cdnkit.policy.outcomes import Failure
from edge.errors import UpstreamFailed
from edge.parent.head import FIELD_LIMIT, HEAD_LIMIT_BYTES
from edge.upstream import Upstream
from tests.kit.late import GUARD_S
from tests.kit.origin import Asked, running_origin
from tests.kit.upstream import OK, QUICK, ask, asking, sends, until

CHUNKED = OK + b"transfer-encoding: chunked\r\n"
KEPT, CLOSED = True, False
GARBAGE, TRUNCATED = Failure.GARBAGE, Failure.TRUNCATED

ANSWERS = [  # what comes (then silence)                                             status or failure  body  connection after it
    # a body ends with its length (RFC 9112 §6.3, rule 6)
    (OK + b"content-length: 5\r\n\r\nhello", 200, b"hello", KEPT),
    (OK + b"content-length: 0\r\n\r\n", 200, b"", KEPT),
    (OK + b"content-length: 005 \r\n\r\nhello", 200, b"hello", KEPT),
    (OK + b"content-length: 5\r\n\r\nhello, world", 200, b"hello", CLOSED),  # longer: cut where it said
    (OK + b"content-length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 200, b"", CLOSED),  # an answer nobody asked for
    (OK + b"content-length: 5\r\ncontent-length: 5\r\n\r\nhello", 200, b"hello", KEPT),  # equal ones count as one (RFC 9110 §8.6)
    (OK + b"content-length: 5, 5\r\n\r\nhello", 200, b"hello", KEPT),
    (OK + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello", GARBAGE, b"", CLOSED),
    (OK + b"content-length: 5, 6\r\n\r\nhello", GARBAGE, b"", CLOSED),
    (OK + b"content-length: -5\r\n\r\nhello", GARBAGE, b"", CLOSED),
    (OK + b"content-length: +5\r\n\r\nhello", GARBAGE, b"", CLOSED),
    (OK + b"content-length: 0x5\r\n\r\nhello", GARBAGE, b"", CLOSED),
    (OK + b"content-length: \r\n\r\n", GARBAGE, b"", CLOSED),
    (OK + b"content-length: 99999999999999999999\r\n\r\n", GARBAGE, b"", CLOSED),
    # chunked
    (CHUNKED + b"\r\n5\r\nhello\r\n0\r\n\r\n", 200, b"hello", KEPT),
    (CHUNKED + b"\r\n5;a=b\r\nhello\r\n0\r\nx: dropped\r\nContent-Length: 1\r\n\r\n", 200, b"hello", KEPT),  # extensions and trailers are dropped
    (CHUNKED + b"\r\n0\r\n\r\n", 200, b"", KEPT),
    (CHUNKED + b"\r\n5\r\nhello\r\n0\r\n\r\nmore", 200, b"hello", CLOSED),
    (CHUNKED + b"\r\n5\r\nhello\r\n0\r\n\r\n" + OK + b"content-length: 1\r\n\r\nx", 200, b"hello", CLOSED),
    (CHUNKED + b"\r\nfive\r\nhello\r\n0\r\n\r\n", GARBAGE, b"", CLOSED),
    (CHUNKED + b"\r\n5\r\nhellos\r\n0\r\n\r\n", GARBAGE, b"hello", CLOSED),
    (CHUNKED + b"\r\n5\nhello\n0\n\n", GARBAGE, b"", CLOSED),  # bare LF, as llhttp has it
    (OK + b"transfer-encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200, b"hello", KEPT),  # what it does not know stays
    (OK + b"transfer-encoding: gzip\r\ntransfer-encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200, b"hello", KEPT),
    # Transfer-Encoding beats Content-Length, and such a connection is not used again (§6.1, §6.3 rule 3)
    (CHUNKED + b"content-length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200, b"hello", CLOSED),
    (OK + b"content-length: 3\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200, b"hello", CLOSED),
    (b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\nconnection: keep-alive\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200, b"hello", CLOSED),
    # what never has a body, whatever the fields say (§6.3 rule 1)
    (b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", 204, b"", KEPT),
    (b"HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n", 204, b"", KEPT),
    (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", 304, b"", KEPT),
    (b"HTTP/1.1 304 Not Modified\r\n\r\n", 304, b"", KEPT),
    (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\nhello", 304, b"", CLOSED),
    # keep-alive
    (OK + b"connection: close\r\ncontent-length: 5\r\n\r\nhello", 200, b"hello", CLOSED),
    (OK + b"connection: x, Close\r\ncontent-length: 5\r\n\r\nhello", 200, b"hello", CLOSED),
    (b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello", 200, b"hello", CLOSED),
    (b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\nconnection: Keep-Alive\r\n\r\nhello", 200, b"hello", KEPT),
    # statuses and status lines
    (b"HTTP/1.1 999 Nobody Knows\r\ncontent-length: 5\r\n\r\nhello", 999, b"hello", KEPT),
    (b"HTTP/1.1 200\r\ncontent-length: 5\r\n\r\nhello", 200, b"hello", KEPT),
    (b"HTTP/1.1 099 Low\r\ncontent-length: 0\r\n\r\n", GARBAGE, b"", CLOSED),
    (b"HTTP/1.1 1000 High\r\ncontent-length: 0\r\n\r\n", GARBAGE, b"", CLOSED),
    (b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n", GARBAGE, b"", CLOSED),
    (b"HTTP/1.1 OK\r\n\r\n", GARBAGE, b"", CLOSED),
    (b"SSH-2.0-OpenSSH_9.2\r\n", GARBAGE, b"", CLOSED),  # refused at once, not when time runs out
    (b"\r\n" + OK + b"\r\n", GARBAGE, b"", CLOSED),
    # field lines
    (OK + b"a: b\r\n c\r\ncontent-length: 5\r\n\r\nhello", 200, b"hello", KEPT),  # obs-fold
    (b"HTTP/1.1 200 OK\r\n a: b\r\ncontent-length: 5\r\n\r\nhello", GARBAGE, b"", CLOSED),  # a fold of nothing
    (OK + b"a : b\r\ncontent-length: 5\r\n\r\nhello", GARBAGE, b"", CLOSED),
    (OK + b"a: b\0c\r\ncontent-length: 5\r\n\r\nhello", GARBAGE, b"", CLOSED),
    (OK + b"a: b\rc\r\ncontent-length: 5\r\n\r\nhello", GARBAGE, b"", CLOSED),
    (OK + b": b\r\ncontent-length: 5\r\n\r\nhello", GARBAGE, b"", CLOSED),
    (b"HTTP/1.1 200 OK\ncontent-length: 5\n\nhello", GARBAGE, b"", CLOSED),  # bare LF: llhttp refuses it, and so do we
    (OK + b"a: b\ncontent-length: 5\r\n\r\nhello", GARBAGE, b"", CLOSED),
    (OK + b"a: b\r\n" * FIELD_LIMIT + b"content-length: 0\r\n\r\n", GARBAGE, b"", CLOSED),
    (OK + b"a: b\r\n" * (FIELD_LIMIT - 1) + b"content-length: 0\r\n\r\n", 200, b"", KEPT),
    (OK + b"a: " + b"b" * HEAD_LIMIT_BYTES, GARBAGE, b"", CLOSED),
    (OK + b"a: " + b"b" * HEAD_LIMIT_BYTES + b"\r\n\r\n", GARBAGE, b"", CLOSED),
    # interim responses
    (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"content-length: 5\r\n\r\nhello", 200, b"hello", KEPT),
    (b"HTTP/1.1 103 Early Hints\r\ncontent-length: 7\r\nconnection: x\r\n\r\n" + OK + b"content-length: 5\r\n\r\nhello", 200, b"hello", KEPT),
    (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nx", GARBAGE, b"", CLOSED),
    (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", GARBAGE, b"", CLOSED),
    (b"HTTP/1.1 102 Processing\r\n\r\n" * 3000, GARBAGE, b"", CLOSED),  # for ever is too long
    (OK + b"upgrade: h2c\r\nconnection: upgrade\r\ncontent-length: 5\r\n\r\nhello", 200, b"hello", KEPT),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "expected", "body", "kept"), ANSWERS)
def test_an_answer_is_what_it_says(raw: bytes, expected: int | Failure, body: bytes, kept: bool) -> None:
    async def run() -> None:
        async with running_origin() as origin:
            upstream = Upstream(origin.url, QUICK, 1, keep_alive=60)
            sends(origin, raw)
            seen = await ask(upstream, asking())
            assert (seen.failure or seen.status, seen.body) == (expected, body), seen.detail
            if not kept:
                await until(lambda: not upstream.open_connections)
            before = set(origin.connections)
            origin.says("/next", b"next")
            assert (await ask(upstream, asking("/next"))).body == b"next"  # the one slot is free again
            assert upstream.open_connections == 1
            assert (set(origin.connections) == before) == kept
            await upstream.close()

    asyncio.run(run())


ENDS = [  # what comes, then the connection is closed                                  then
    (OK + b"\r\nhello", None, b"hello"),
    (b"HTTP/1.0 200 OK\r\n\r\nhello", None, b"hello"),
    (OK + b"\r\n", None, b""),
    (OK + b"transfer-encoding: br\r\n\r\nhello", None, b"hello"),  # an unknown coding ends with the connection
    (OK + b"transfer-encoding: chunked, br\r\n\r\n0\r\n\r\nhello", None, b"0\r\n\r\nhello"),
    (OK + b"transfer-encoding: br\r\ncontent-length: 3\r\n\r\nhello", None, b"hello"),
    (OK + b"transfer-encoding: identity\r\n\r\nhello", None, b"hello"),
    (OK + b"content-length: 6\r\n\r\nhello", TRUNCATED, b"hello"),
    (CHUNKED + b"\r\n5\r\nhello\r\n", TRUNCATED, b"hello"),
    (CHUNKED + b"\r\n5\r\nhello\r\n0\r\n", TRUNCATED, b"hello"),
    (CHUNKED + b"\r\n5\r\nhel", TRUNCATED, b"hel"),
    (CHUNKED + b"\r\n", TRUNCATED, b""),
    (b"", Failure.RESET, b""),
    (b"HTTP/1.1 2", Failure.RESET, b""),
    (OK + b"content-length: 5", Failure.RESET, b""),
    (b"HTTP/1.1 103 Early Hints\r\n\r\n", Failure.RESET, b""),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "failure", "body"), ENDS)
def test_a_connection_that_closes_ends_only_what_has_no_other_end(
    raw: bytes, failure: Failure | None, body: bytes
) -> None:
    async def run() -> None:
        async with running_origin() as origin:
            upstream = Upstream(origin.url, QUICK, 1, keep_alive=60)
            sends(origin, raw, closes=True)
            seen = await ask(upstream, asking())
            assert (seen.failure, seen.body) == (failure, body), seen.detail
            assert origin.count["/a"] == 1  # a fresh connection that dies is not asked again
            origin.says("/next", b"next")
            assert (await ask(upstream, asking("/next"))).body == b"next"
            await upstream.close()

    asyncio.run(run())


def test_head_has_no_body_whatever_the_fields_say_and_keeps_the_connection() -> None:
    async def run() -> None:
        async with running_origin() as origin:
            upstream = Upstream(origin.url, QUICK, 1, keep_alive=60)
            for fields in (b"content-length: 500\r\n", b"transfer-encoding: chunked\r\n", b""):
                sends(origin, OK + fields + b"\r\n")
                seen = await ask(upstream, asking(method="HEAD"))
                assert (seen.status, seen.body, seen.failure) == (200, b"", None)
            assert len(origin.connections) == 1
            await upstream.close()

    asyncio.run(run())


def test_fields_come_as_they_were_sent() -> None:
    async def run() -> None:
        async with running_origin() as origin:
            upstream = Upstream(origin.url, QUICK, 1, keep_alive=60)
            raw = (
                b"B: 2\r\na:  \t1 \t\r\nB: \xe9\xff\r\nempty:\r\nfold: a\r\n \t b\r\n\tc\r\ncontent-encoding: gzip\r\n"
            )
            sends(origin, OK + raw + b"Content-Length: 3\r\n\r\n\x1f\x8b\x00")
            seen = await ask(upstream, asking())
            assert seen.headers.lines == [
                ("b", "2"), ("a", "1"), ("b", "\xe9\xff"), ("empty", ""), ("fold", "a b c"),
                ("content-encoding", "gzip"), ("content-length", "3"),
            ]  # fmt: skip
            assert seen.body == b"\x1f\x8b\x00"  # a content coding is the viewer's to undo
            # The length that a Transfer-Encoding overrules must not travel on (RFC 9112 §6.3).
            sends(origin, CHUNKED + b"content-length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
            assert "content-length" not in (await ask(upstream, asking())).headers
            await upstream.close()

    asyncio.run(run())


def test_interim_responses_come_in_order_with_all_their_fields_while_the_final_one_is_awaited() -> None:
    async def run() -> None:
        async with running_origin() as origin:
            upstream = Upstream(origin.url, QUICK, 1, keep_alive=60)
            heard, told = asyncio.Event(), []

            def on_interim(head: ResponseHead) -> None:
                told.append(head)
                heard.set()

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                for raw in (
                    b"HTTP/1.1 100 Continue\r\n\r\n",
                    b"HTTP/1.1 103 Early Hints\r\nlink: <a>\r\nLink: <b>\r\nx-any: 1\r\n\r\n",
                ):
                    writer.write(raw)
                    await writer.drain()
                await asyncio.wait_for(heard.wait(), GUARD_S)  # it is passed on while we still think
                writer.write(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 199 Odd\r\na: b\r\n\r\n")
                writer.write(OK + b"content-length: 2\r\n\r\nok")

            origin.does("/a", script)
            exchange = await upstream.exchange(asking(), on_interim=on_interim)
            assert [(head.status, head.headers.lines) for head in told] == [
                (103, [("link", "<a>"), ("link", "<b>"), ("x-any", "1")]), (102, []), (199, [("a", "b")]),
            ]  # fmt: skip
            assert exchange.head.headers.lines == [("content-length", "2")]  # nothing of theirs is mixed in
            exchange.close()
            await upstream.close()

    asyncio.run(run())


def test_a_listener_of_interim_responses_that_fails_fails_its_exchange_alone() -> None:
    async def run() -> None:
        async with running_origin() as origin:
            upstream = Upstream(origin.url, QUICK, 1, keep_alive=60)
            sends(origin, b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK + b"content-length: 0\r\n\r\n")

            def on_interim(head: ResponseHead) -> None:
                raise LookupError("whom to tell?")

            with pytest.raises(UpstreamFailed, match="whom to tell") as caught:
                await upstream.exchange(asking(), on_interim=on_interim)
            assert caught.value.why is Failure.INTERNAL and isinstance(caught.value.__cause__, LookupError)
            assert (await ask(upstream, asking())).status == 200
            await upstream.close()

    asyncio.run(run())


REQUESTS = [  # what cannot be written
    (asking("/a b"), "a space in the target"),
    (asking("/a\r\nx: y"), "a line break in the target"),
    (asking("/a", "GET", ("x", "a\r\nb: c")), "a line break in a value"),
    (asking("/a", "GET", ("x", "a\nb")), "a bare LF in a value"),
    (asking("/a", "GET", ("x", "a\0b")), "a NUL in a value"),
    (asking("/a", "GET", ("x", "\u20ac")), "a character beyond Latin-1"),
]  # fmt: skip


@pytest.mark.parametrize(("request_head", "what"), REQUESTS, ids=[row[1] for row in REQUESTS])
def test_a_request_that_cannot_be_written_is_refused_before_a_byte_is_sent(
    request_head: RequestHead, what: str
) -> None:
    async def run() -> None:
        async with running_origin() as origin:
            upstream = Upstream(origin.url, QUICK, 1, keep_alive=60)
            assert (await ask(upstream, request_head)).failure is Failure.GARBAGE
            assert not origin.asked and not upstream.open_connections
            await upstream.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "url", ["localhost:80", "ftp://a", "http://", "http://a/path", "http://a?q", "http://u:secret@a", "http://a:x"]
)
def test_a_url_that_is_no_origin_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"found '.*'"):
        Upstream(url, QUICK, 1, keep_alive=60)
