"""An application in another process sees what it would see at home, and so does its client."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdnkit.serving.asgi_frames import ASIDE, HEAD, PIECE_BYTES, Kind
from cdnkit.serving.asgi_socket import Answerer, ApplicationLost, Caller
from cdnkit.serving.inbox import GONE, INTERIM
from cdnkit.serving.patience import Left, Stalled
from tests.kit.http import ask
from tests.kit.listener import listening
from tests.kit.passed_on import LOG, passed_on

HELLO = [(b"content-length", b"5")]


class ClientSide:
    """A client of one request: its content, what it takes, and when it leaves."""

    def __init__(self, content: list[bytes], leaves_after: int | None = None, error: Exception | None = None) -> None:
        """`leaves_after`: so many pieces of a body; `error`: what `send` raises then."""
        self.content = list(content)
        self.leaves_after = leaves_after
        self.error = error
        self.messages: list[dict[str, Any]] = []
        self.left = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        if self.content:
            body = self.content.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(self.content)}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        pieces = [one for one in (*self.messages, message) if one["type"] == "http.response.body"]
        if self.leaves_after is not None and len(pieces) > self.leaves_after:
            self.left.set()
            raise self.error or Left("the client closed the connection")
        self.messages.append(message)

    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)


def scope(**extensions: Any) -> dict[str, Any]:
    return {
        "type": "http", "method": "POST", "scheme": "http", "http_version": "1.1", "path": "/", "raw_path": b"/",
        "query_string": b"a=1", "root_path": "", "headers": [], "client": ("127.0.0.1", 5), "server": None,
        "state": {}, "extensions": extensions,
    }  # fmt: skip


STEPS = st.lists(st.sampled_from(["read", "start", "small", "large", "last"]), max_size=8)


@settings(max_examples=60)
@given(STEPS, st.lists(st.binary(max_size=20), min_size=1, max_size=4), st.one_of(st.none(), st.integers(0, 4)))
def test_application_and_client_see_what_they_would_see_at_home(
    steps: list[str], content: list[bytes], leaves_after: int | None
) -> None:
    """Whatever the application does, and wherever the client leaves: as long as it only asks for what will come."""

    async def run(through: bool) -> tuple[list[Any], list[tuple[str, bytes]]]:
        seen: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.append(scope["query_string"])
            for step in steps:
                try:
                    if step == "read" and seen.count("read") < len(content):
                        message = await receive()
                        seen.append("read")
                        seen.append((message["type"], message.get("body"), message.get("more_body")))
                    elif step == "start":
                        await send({"type": "http.response.start", "status": 200, "headers": HELLO})
                    elif step == "small":
                        await send({"type": "http.response.body", "body": b"hello", "more_body": True})
                    elif step == "large":
                        await send({"type": "http.response.body", "body": b"x" * 700_000, "more_body": True})
                    elif step == "last":
                        await send({"type": "http.response.body", "body": b"end"})
                except Left as left:
                    seen.append(str(left))
                    return

        client = ClientSide(content)
        if leaves_after is not None and "large" not in steps:  # a large message comes in several
            client.leaves_after = leaves_after
        if through:
            async with passed_on(app) as (caller, _):
                try:
                    await caller(scope(), client.receive, client.send)
                except Left as left:
                    assert str(left) in seen
        else:
            await app(scope(), client.receive, client.send)
        sent = [(message["type"], bytes(message.get("body", b""))) for message in client.messages]
        return seen, [(kind, body) for kind, body in sent if kind != "http.response.body"] + [("all", client.body())]

    async def both() -> None:
        assert await run(False) == await run(True)

    asyncio.run(both())


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 30))


def test_over_real_connections_content_and_body_come_whole() -> None:
    async def echo(scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def test() -> None:
        content = bytes(range(256)) * 4 * 1024 * 3  # 3 MiB
        async with passed_on(echo) as (caller, _), listening(caller) as url:
            replies = await asyncio.gather(*(ask(url, "/", method="POST", body=content) for _ in range(8)))
            assert [reply.status for reply in replies] == [200] * 8
            assert all(reply.body == content for reply in replies)

    run(test)


def test_a_client_that_takes_nothing_holds_the_application_back() -> None:
    poured = 0

    async def pour(scope: Any, receive: Any, send: Any) -> None:
        nonlocal poured
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": bytes(PIECE_BYTES), "more_body": True})
            poured += PIECE_BYTES

    async def test() -> None:
        async with passed_on(pour) as (caller, _), listening(caller, stalled=0.3) as url:
            host, port = url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            while len(caller):  # noqa: ASYNC110  (it is dropped as stalled)
                await asyncio.sleep(0.01)
            writer.close()
            assert poured < 40 * PIECE_BYTES  # what the kernel's buffers take

    run(test)


@pytest.mark.parametrize("error", [Left("the client closed the connection"), Stalled(7.0)])
def test_why_a_client_left_is_told(error: Left) -> None:
    async def test() -> None:
        raised: list[Exception] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            try:
                while True:
                    await send({"type": "http.response.body", "body": b"x", "more_body": True})
            except Left as left:
                raised.append(left)
                with pytest.raises(type(left)):
                    await send({"type": "http.response.body", "body": b"x"})

        client = ClientSide([b""], leaves_after=3, error=error)
        async with passed_on(app) as (caller, _):
            with pytest.raises(type(error)):
                await caller(scope(), client.receive, client.send)
        assert [(type(one), str(one)) for one in raised] == [(type(error), str(error))]

    run(test)


def test_a_fault_at_the_clients_end_ends_the_application() -> None:
    async def test() -> None:
        ended: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            try:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
            except Left as left:
                ended.append(str(left))

        client = ClientSide([b""], leaves_after=0, error=ValueError("a body that is 1 bytes too long"))
        async with passed_on(app) as (caller, _):
            with pytest.raises(ValueError, match="too long"):
                await caller(scope(), client.receive, client.send)
        assert ended == ["the client's side has failed"]

    run(test)


def test_a_future_tells_that_the_client_has_gone() -> None:
    async def test() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await scope["extensions"][GONE]
            assert (await receive())["type"] == "http.disconnect"
            assert (await receive())["type"] == "http.disconnect"

        gone = asyncio.get_running_loop().create_future()
        client = ClientSide([])
        async with passed_on(app) as (caller, _):
            calling = asyncio.create_task(caller(scope(**{GONE: gone}), client.receive, client.send))
            await asyncio.sleep(0)
            gone.set_result(None)
            await calling

    run(test)


def test_who_stopped_waiting_for_content_gets_it_when_he_asks_again() -> None:
    async def test() -> None:
        seen: list[Any] = []
        may_come = asyncio.Event()

        async def receive() -> Any:
            await may_come.wait()
            return {"type": "http.request", "body": b"late", "more_body": False}

        async def app(scope: Any, receive: Any, send: Any) -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(receive(), 0.01)
            may_come.set()
            seen.append(await receive())

        async with passed_on(app) as (caller, _):
            await caller(scope(), receive, ClientSide([]).send)
        assert seen == [{"type": "http.request", "body": b"late", "more_body": False}]

    run(test)


def test_interim_responses_asides_and_notes() -> None:
    async def test() -> None:
        log: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            scope["extensions"][INTERIM](103, [("link", "</a>")])
            await send({"type": "http.response.start", "status": 200, "headers": HELLO, ASIDE: b"beside"})
            await send({"type": "http.response.body", "body": b"hello"})

        client = ClientSide([b""])
        extensions = {INTERIM: lambda status, lines: log.append((status, list(lines)))}
        asides = lambda scope, octets: log.append((scope["path"], octets))  # noqa: E731
        async with passed_on(app, on_note=log.append, on_aside=asides) as (caller, answerer):
            await caller(scope(**extensions), client.receive, client.send)
            caller.tell(b"to the application")
            answerer.tell(b"to the client")
            while len(log) < 4:  # noqa: ASYNC110  (either end may be first)
                await asyncio.sleep(0.001)
        assert log[:2] == [(103, [("link", "</a>")]), ("/", b"beside")]
        assert set(log[2:]) == {b"to the application", b"to the client"}
        assert client.messages[0] == {"type": "http.response.start", "status": 200, "headers": HELLO}

    run(test)


def test_when_the_process_of_the_application_dies_its_calls_fail_at_once() -> None:
    async def test() -> None:
        lost: list[str] = []
        caller = Caller(on_note=lambda _: None, on_lost=lost.append, on_aside=lambda *_: None)
        ours, theirs = socket.socketpair()
        await caller.start(ours)
        client = ClientSide([b""])
        calling = asyncio.create_task(caller(scope(), client.receive, client.send))
        await asyncio.sleep(0)
        theirs.close()
        with pytest.raises(ApplicationLost):
            await calling
        with pytest.raises(ApplicationLost):
            await caller(scope(), client.receive, client.send)
        assert len(lost) == 1

    run(test)


def test_when_the_process_of_the_clients_dies_applications_end_as_if_all_had_left() -> None:
    async def test() -> None:
        ended: list[str] = []
        begun = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            begun.set()
            try:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
            except Left as left:
                ended.append(str(left))
            assert (await receive())["type"] == "http.disconnect"
            ended.append("read")

        lost: list[str] = []
        answerer = Answerer(app, LOG, on_note=lambda _: None, on_lost=lost.append)
        ours, theirs = socket.socketpair()
        await answerer.start(theirs)

        async def blocked() -> None:
            await asyncio.sleep(60)

        client = ClientSide([b""])
        client.send = lambda _: blocked()  # type: ignore[method-assign,assignment,return-value]
        caller = Caller(on_note=lambda _: None, on_lost=lambda _: None, on_aside=lambda *_: None)
        await caller.start(ours)
        calling = asyncio.create_task(caller(scope(), client.receive, client.send))
        await begun.wait()
        await caller.close()
        while len(ended) < 2:  # noqa: ASYNC110  (its task is the answerer's)
            await asyncio.sleep(0.001)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        await answerer.close()
        assert ended == ["the process that has the client is gone", "read"]
        assert len(lost) == 1

    run(test)


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(HEAD.pack(3, 1, Kind.CALL) + b"\xc1\xc1\xc1", id="a call that is no msgpack"),
        pytest.param(HEAD.pack(0, 0, 77), id="no kind"),
        pytest.param(b"\xff" * 40, id="noise"),
    ],
)
def test_a_link_that_brings_nonsense_is_given_up(octets: bytes) -> None:
    async def test() -> None:
        lost: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise AssertionError("nothing was called")

        answerer = Answerer(app, LOG, on_note=lambda _: None, on_lost=lost.append)
        ours, theirs = socket.socketpair()
        await answerer.start(theirs)
        ours.sendall(octets)
        while not lost:  # noqa: ASYNC110  (a callback of the loop)
            await asyncio.sleep(0.001)
        assert "frame" in lost[0]
        await answerer.close()
        ours.close()

    run(test)


def test_an_application_that_fails_ends_its_call_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise RuntimeError("a bug")

        async with passed_on(app) as (caller, _), listening(caller) as url:
            assert (await ask(url, "/some")).status == 500

    run(test)
    assert "/some: RuntimeError: a bug" in caplog.text
