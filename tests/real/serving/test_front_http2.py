"""The front of an HTTP/2 connection: windows, priorities, uploads, endings; and what strangers met in other servers.

| what they met                                                              | where                                    |
|----------------------------------------------------------------------------|------------------------------------------|
| streams that a client makes the server reset, without number               | CVE-2025-8671 ("MadeYouReset")           |
| COMPRESSION_ERROR once a client has set the size of its table              | HAProxy 1498, Traffic Server 1591        |
| a stream that waits for ever, though SETTINGS have opened its window       | curl 11450, nghttp2 1680                 |
| a window below zero that is taken for one of zero                          | Protocol::HTTP2 (Perl), pull 2           |
| a decoder that fails at a block that ends too early                        | hpack 98, mu-server 186                  |
"""

import asyncio
import random
from contextlib import suppress
from typing import Any

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import DataFrame, Frame, HeadersFrame, PriorityFrame, SettingsFrame, WindowUpdateFrame

from cdnkit.serving import (
    INTERIM,
    Fields,
    Left,
    Listener,
    ListenerLimits,
    Stalled,
    Whole,
    bind,
    status_block,
    url_of,
)  # fmt: skip
from cdnkit.serving.budget import RESETS
from cdnkit.serving.hpack import TABLE_SIZE_0
from tests.kit.http2 import Client, http2
from tests.kit.late import GUARD_S
from tests.kit.listener import FRONTED, LOG, hello, listening, listening_on

SIZE = 300_000


@pytest.fixture(autouse=True)
def with_a_front() -> Any:
    before = FRONTED.set(True)
    yield
    FRONTED.reset(before)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """/echo sends the content back, /size as many bytes as its query says, /held nothing until the client leaves, and /unread not even then."""
    if scope["path"] == "/echo":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        more = True
        while more:
            message = await receive()
            more = message.get("more_body", False)
            await send({"type": "http.response.body", "body": message.get("body", b""), "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    elif scope["path"] == "/size":
        size = int(scope["query_string"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
        await send({"type": "http.response.body", "body": bytes(size)})
    elif scope["path"] == "/held":
        while (await receive())["type"] != "http.disconnect":
            pass
    elif scope["path"] == "/unread":
        await asyncio.Event().wait()
    elif scope["path"] == "/short":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
    elif scope["path"] == "/fails":
        raise RuntimeError("a bug of ours")
    elif scope["path"] == "/interim":
        scope["extensions"][INTERIM](103, [("link", "</a>")])
        await hello(scope, receive, send)
        scope["extensions"][INTERIM](103, [("link", "</b>")])
    else:
        await hello(scope, receive, send)


async def settings(client: Client, **values: int) -> None:
    client.h2.update_settings({SettingCodes[name]: value for name, value in values.items()})
    await client.flush()


# ---- responses -----------------------------------------------------------------------------------------------------


def test_responses_of_all_kinds() -> None:
    expected = {  # path: status, bytes, whole
        "/": (200, 5, True),
        "/short": (200, 3, False),
        "/fails": (500, 0, True),
        "/interim": (200, 5, True),
        "/size?0": (200, 0, True),
        f"/size?{SIZE}": (200, SIZE, True),
    }

    async def run() -> None:
        async with listening(app) as url, http2(url) as client:
            head = await client.ask("/size?5", method="HEAD")
            asked = {path: await client.ask(path) for path in expected}
            await client.until(head, *asked.values())
            assert {path: (one.status, len(one.body), one.whole) for path, one in asked.items()} == expected
            assert asked["/short"].reset == ErrorCodes.INTERNAL_ERROR  # it must not be taken for whole
            assert asked["/interim"].interim == [[(":status", "103"), ("link", "</a>")]]
            assert head.whole and head.headers["content-length"] == "5" and not head.body

    asyncio.run(run())


def test_content_of_any_size_is_taken_as_the_application_reads_it() -> None:
    async def run() -> None:
        async with listening(app) as url, http2(url) as client:
            stream = await client.ask("/echo", method="POST", end=False)
            sent = random.Random(1).randbytes(SIZE)
            at = 0
            while at < SIZE:
                size = min(client.h2.local_flow_control_window(1), 16_384, SIZE - at)
                if size:
                    client.h2.send_data(1, sent[at : at + size], end_stream=at + size == SIZE, pad_length=None)
                    at += size
                    await client.flush()
                else:
                    await client.until(or_when=lambda: client.h2.local_flow_control_window(1) > 0)
            await client.until(stream)
            assert bytes(stream.body) == sent and stream.whole

    asyncio.run(run())


def test_content_that_nobody_reads_holds_its_own_stream_and_no_other() -> None:
    async def run() -> None:
        async with listening(app) as url, http2(url) as client:
            await client.ask("/unread", method="POST", end=False)
            while size := min(client.h2.local_flow_control_window(1), 16_384):
                client.h2.send_data(1, bytes(size))
            other = await client.ask("/")
            await client.until(other)
            assert other.whole and client.h2.local_flow_control_window(1) == 0
            assert client.h2.outbound_flow_control_window > 0

    asyncio.run(run())


def test_a_response_that_is_whole_before_its_request_ends_that_too() -> None:
    async def run() -> None:
        async with listening(app) as url, http2(url) as client:
            stream = await client.ask("/", method="POST", end=False)
            await client.until(stream)
            assert stream.whole
            await client.until(or_when=lambda: stream.reset is not None)
            assert stream.reset == ErrorCodes.NO_ERROR
            late = DataFrame(1, b"what was on its way").serialize() * 3
            client._writer.write(late)
            again = await client.ask("/")
            await client.until(again)
            assert again.whole and client.goaway is None

    asyncio.run(run())


# ---- windows and priorities ----------------------------------------------------------------------------------------


def test_settings_open_the_windows_of_streams_that_wait() -> None:
    async def run() -> None:
        async with listening(app) as url, http2(url) as client:
            await settings(client, INITIAL_WINDOW_SIZE=1000)
            stream = await client.ask("/size?50000")
            await client.until(or_when=lambda: len(stream.body) == 1000, read_windows_of=set())
            await settings(client, INITIAL_WINDOW_SIZE=60_000)
            await client.until(stream, read_windows_of=set())
            assert len(stream.body) == 50_000

    asyncio.run(run())


def test_a_window_below_zero_is_one() -> None:
    async def run() -> None:
        async with listening(app) as url, http2(url) as client:
            stream = await client.ask("/size?200000")
            await client.until(or_when=lambda: len(stream.body) == 65_535, read_windows_of=set())
            await settings(client, INITIAL_WINDOW_SIZE=0)  # the window is now -65,535
            client.h2.increment_flow_control_window(65_535 + 10, 1)
            other = await client.ask("/")  # whose window is 0
            client.h2.increment_flow_control_window(5, 3)
            await client.flush()
            await client.until(other, read_windows_of=set())
            assert len(stream.body) == 65_535 + 10

    asyncio.run(run())


def test_a_client_that_takes_nothing_of_a_stream_loses_that_stream() -> None:
    ended: list[BaseException] = []

    async def pours(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/pours":
            await hello(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": bytes(10_000), "more_body": True})
        except Left as left:
            ended.append(left)
            raise

    async def run() -> None:
        async with listening(pours, stalled=0.3) as url, http2(url) as client:
            stream = await client.ask("/pours")
            await client.until(stream, read_windows_of=set())
            assert stream.reset == ErrorCodes.CANCEL and isinstance(ended[0], Stalled)
            again = await client.ask("/")
            await client.until(again)
            assert again.whole

    asyncio.run(run())


def test_the_urgent_stream_goes_first_and_a_priority_may_change() -> None:
    async def run() -> None:
        async with listening(app) as url, http2(url) as client:
            await settings(client, INITIAL_WINDOW_SIZE=2**20)
            late = await client.ask(f"/size?{SIZE}", ("priority", "u=6"))
            soon = await client.ask(f"/size?{SIZE}", ("priority", "u=5"))
            urgent = await client.ask(f"/size?{SIZE}", ("priority", "u=1"))
            await client.until(or_when=lambda: len(urgent.body) + len(soon.body) + len(late.body) >= 65_535,
                               read_windows_of=set())  # fmt: skip
            update = (7).to_bytes(3, "big") + b"\x10\0\0\0\0\0\0\0\0\x01u=0"  # PRIORITY_UPDATE of stream 1
            client._writer.write(update)
            await client.until(late)
            assert late.whole and not urgent.whole and not soon.whole
            await client.until(urgent)
            assert urgent.whole and not soon.whole
            await client.until(soon)

    asyncio.run(run())


@pytest.mark.parametrize("size", [0, 100, 4096, 65_536])
def test_a_client_may_set_the_size_of_its_table(size: int) -> None:
    async def run() -> None:
        async with listening(app) as url, http2(url) as client:
            await settings(client, HEADER_TABLE_SIZE=size)
            begins: list[bytes] = []
            decode = client.h2.decoder.decode

            def noting(data: bytes, raw: bool = False) -> Any:
                begins.append(data[:1])
                return decode(data, raw)

            client.h2.decoder.decode = noting  # type: ignore[method-assign, assignment]
            for _ in range(2):
                stream = await client.ask("/")
                await client.until(stream)
                assert stream.whole
            assert [one == TABLE_SIZE_0 for one in begins] == [True, False]  # nghttp2 insists on it, once

    asyncio.run(run())


# ---- faults --------------------------------------------------------------------------------------------------------

RESETS_MADE = [  # a frame for which the server resets a stream that waits for its response
    WindowUpdateFrame(1, 2**31 - 1),
    DataFrame(1, b"x"),  # the request has ended
    HeadersFrame(1, b"\x82", flags=["END_HEADERS", "END_STREAM"]),
]


@pytest.mark.parametrize("frame", RESETS_MADE, ids=lambda frame: type(frame).__name__)
def test_resets_that_a_client_makes_the_server_send_count_as_its_own(frame: Frame) -> None:
    begun = 0

    async def counts(scope: Any, receive: Any, send: Any) -> None:
        nonlocal begun
        begun += 1
        await receive()
        await receive()

    async def run() -> None:
        async with listening(counts) as url, http2(url) as client:
            reading = asyncio.create_task(client.until())
            with suppress(ConnectionError):
                for at in range(5000):
                    head = HeadersFrame(2 * at + 1, b"\x82\x86\x84\x01\x01x", flags=["END_HEADERS", "END_STREAM"])
                    frame.stream_id = 2 * at + 1
                    client._writer.write(head.serialize() + frame.serialize())
                    if at % 20 == 0:
                        await client._writer.drain()
                        await asyncio.sleep(0)
            await reading
            assert client.closed and begun <= RESETS[0] + 10 * RESETS[1]

    asyncio.run(run())


FAULTS = [  # frames behind one answered request on stream 1     the code of the GOAWAY
    (DataFrame(9, b"x").serialize(), ErrorCodes.PROTOCOL_ERROR),  # no such stream yet
    (WindowUpdateFrame(9, 1).serialize(), ErrorCodes.PROTOCOL_ERROR),
    (b"\0\0\4\3\0\0\0\0\x09\0\0\0\x08", ErrorCodes.PROTOCOL_ERROR),  # RST_STREAM
    (HeadersFrame(1, b"\x82", flags=["END_HEADERS", "END_STREAM"]).serialize(), ErrorCodes.STREAM_CLOSED),
    (HeadersFrame(2, b"\x82", flags=["END_HEADERS", "END_STREAM"]).serialize(), ErrorCodes.PROTOCOL_ERROR),
    (HeadersFrame(3, b"\x40", flags=["END_HEADERS", "END_STREAM"]).serialize(), ErrorCodes.COMPRESSION_ERROR),
    (WindowUpdateFrame(0, 2**31 - 1).serialize(), ErrorCodes.FLOW_CONTROL_ERROR),
    (b"\0\0\4\x08\0\0\0\0\0\0\0\0\0", ErrorCodes.PROTOCOL_ERROR),  # WINDOW_UPDATE by 0
    (b"\0\x40\x01\x00\0\0\0\0\x01", ErrorCodes.FRAME_SIZE_ERROR),
]  # fmt: skip


@pytest.mark.parametrize(("frames", "code"), FAULTS)
def test_a_fault_ends_the_connection_behind_what_was_answered(frames: bytes, code: ErrorCodes) -> None:
    async def run() -> None:
        async with listening(app) as url, http2(url) as client:
            stream = await client.ask("/")
            await client.until(stream)
            client._writer.write(frames)
            await client.until()
            assert stream.whole and client.goaway == code and client.closed

    asyncio.run(run())


@pytest.mark.parametrize("seed", range(40))
def test_whatever_frames_come_the_connection_ends_or_answers(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    """Requests, and frames of all kinds between them, in which some bits are wrong."""
    rng = random.Random(seed)

    async def run() -> None:
        async with listening(app, stalled=1.0, idle=2.0) as url, http2(url) as client:
            reading = asyncio.create_task(client.until())
            with suppress(ConnectionError):
                for at in range(rng.randint(1, 30)):
                    path = rng.choice((b"/", b"/size?70000", b"/echo", b"/short", b"/held"))
                    block = bytearray(b"\x82\x86\x04" + bytes((len(path),)) + path + b"\x01\x01x")
                    frames = [
                        HeadersFrame(2 * at + 1, bytes(block), flags=["END_HEADERS", *rng.choice(([], ["END_STREAM"]))]),
                        DataFrame(2 * rng.randint(0, at) + 1, bytes(rng.choice((0, 1, 9999)))),
                        WindowUpdateFrame(rng.choice((0, 2 * at + 1)), rng.choice((1, 9999, 2**31 - 1))),
                        PriorityFrame(2 * at + 1), SettingsFrame(0, {rng.randint(1, 9): rng.choice((0, 1, 70_000))}),
                    ]  # fmt: skip
                    octets = bytearray(b"".join(one.serialize() for one in frames[: rng.randint(1, 5)]))
                    if rng.random() < 0.2:
                        octets[rng.randrange(len(octets))] ^= 1 << rng.randrange(8)
                    client._writer.write(bytes(octets))
                    await client._writer.drain()
            if rng.random() < 0.5:
                client._writer.write_eof()
            with suppress(RuntimeError):  # the test's client would answer
                async with asyncio.timeout(GUARD_S):
                    await reading

    asyncio.run(run())
    assert "Traceback" not in caplog.text and "Fatal error" not in caplog.text


class Noted(Whole):
    """A large response, and what became of it."""

    def __init__(self, ended: "asyncio.Future[tuple[int, str | None]]") -> None:
        self.head, self.body, self.ends = status_block(200), bytes(50_000_000), False
        self.ended = ended

    def done(self, sent: int, why: str | None) -> None:
        self.ended.set_result((sent, why))  # which fails if it is called twice


class Large:
    """Always that response."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[tuple[int, str | None]] = asyncio.get_running_loop().create_future()

    def respond(self, method: str, target: str, fields: Fields, client: object) -> Whole:
        return Noted(self.ended)


LEAVES = [  # how a client that has taken a part of a response goes    why, as its record has it
    ("leaves", ""), ("resets", ""), ("takes nothing", "viewer: took nothing for 0.3 s"),
]  # fmt: skip


@pytest.mark.parametrize(("goes", "why"), LEAVES)
def test_who_leaves_in_the_middle_has_had_a_part(goes: str, why: str) -> None:
    async def run() -> None:
        application = Large()
        listener = Listener(hello, LOG, limits=ListenerLimits(stalled=0.3), front=application)
        socket = bind("127.0.0.1:0", "test.listen")
        await listener.start(socket)
        async with http2(url_of(socket)) as client:
            await settings(client, INITIAL_WINDOW_SIZE=2**31 - 1)
            client.h2.increment_flow_control_window(2**30)
            stream = await client.ask("/")
            await client.until(or_when=lambda: len(stream.body) > 100_000)
            if goes == "leaves":
                client._writer.transport.abort()
            elif goes == "resets":
                client.h2.reset_stream(1)
                await client.flush()
                await client.until(or_when=application.ended.done)
            async with asyncio.timeout(GUARD_S):
                sent, because = await application.ended
        assert 100_000 <= sent < 50_000_000 and because == why
        await listener.close()

    asyncio.run(run())


# ---- the end -------------------------------------------------------------------------------------------------------


def test_a_client_that_says_goodbye_gets_what_it_asked_for() -> None:
    async def run() -> None:
        async with listening(app) as url, http2(url) as client:
            await settings(client, INITIAL_WINDOW_SIZE=1000)
            stream = await client.ask(f"/size?{SIZE}")
            client._writer.write(b"\0\0\x08\x07\0\0\0\0\0" + bytes(8))  # GOAWAY
            await client.until(stream)
            assert len(stream.body) == SIZE and stream.whole
            await client.until()
            assert client.closed and client.goaway == ErrorCodes.NO_ERROR

    asyncio.run(run())


def test_at_shutdown_what_is_under_way_is_sent_and_nothing_new_is_begun() -> None:
    async def run() -> None:
        async with listening_on(app) as (listener, url), http2(url) as client, http2(url) as idle:
            await settings(client, INITIAL_WINDOW_SIZE=1000)
            stream = await client.ask("/size?30000")
            await client.until(or_when=lambda: len(stream.body) > 0)
            closing = asyncio.create_task(listener.close())
            await asyncio.sleep(0)
            refused = await client.ask("/")
            await client.until(stream, refused)
            assert len(stream.body) == 30_000 and refused.reset == ErrorCodes.REFUSED_STREAM
            await client.until()
            assert client.goaway == ErrorCodes.NO_ERROR
            await idle.until()
            assert idle.goaway == ErrorCodes.NO_ERROR
            await closing

    asyncio.run(run())
