"""One head, three protocols: what HTTP/1.1 refuses does not get in over HTTP/2 or HTTP/3, nor the other way round."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

import pytest

from cdnkit.serving.authority import Authority
from cdnkit.serving.fields import malformed
from tests.kit.http import read_reply
from tests.kit.http2 import Stream, http2
from tests.kit.http3 import http3
from tests.kit.late import GUARD_S
from tests.kit.ports import free_port
from tests.real.attacks.lab import Lab, attacked
from tests.real.attacks.test_http2 import Fields, ask

ENDED = 0
"""No answer: the stream or its connection ends."""
NONE = -1
"""HTTP/1.1 has no such thing."""


@dataclass(frozen=True)
class Head:
    """A request's head, and what becomes of it over HTTP/1.1, HTTP/2 and HTTP/3: a status, `ENDED`, or `NONE`."""

    name: str
    fields: Fields
    answers: tuple[int, int, int]
    rule: str

    @property
    def outcome(self) -> str:
        words = {ENDED: "ends it", NONE: "-"}
        return ", ".join(words.get(answer, str(answer)) for answer in self.answers)


REFUSED = (400, ENDED, ENDED)
HERE_ALONE = (NONE, ENDED, ENDED)

ONE_HOST = "RFC 9112 3.2, RFC 9113 8.3.1, RFC 9114 4.3.1: a request names one host, without contradiction"
PSEUDO = "RFC 9113 8.3, RFC 9114 4.3: each pseudo-header field once, before the fields"
LENGTH = "RFC 9113 8.1.1, RFC 9114 4.1.2: the length is that of the content"
HOP = "RFC 9113 8.2.2, RFC 9114 4.2: connection-specific fields are not allowed"
OCTETS = "RFC 9110 5.5, RFC 9113 8.2.1: such an octet is not allowed in a name or value"
TARGET = "RFC 9112 3.2, RFC 9113 8.3.1: a target is a path, or in HTTP/1.1 a URL of http or https"

HEADS = [
    Head("a plain request", ask(), (200, 200, 200), "as a measure"),
    Head("Host, the same as the authority", ask((b"host", b"edge")), (NONE, 200, 200), ONE_HOST),
    Head("another Host beside the authority", ask((b"host", b"evil")), REFUSED, ONE_HOST),
    Head("an empty Host beside the authority", ask((b"host", b"")), REFUSED, ONE_HOST),
    Head("Host in another spelling", ask((b"host", b"EDGE")), REFUSED, ONE_HOST),
    Head("two Hosts beside the authority", ask((b"host", b"edge"), (b"host", b"edge")), REFUSED, ONE_HOST),
    Head("two Hosts", ask((b"host", b"edge"), (b"host", b"evil"), without=[b":authority"]), REFUSED, ONE_HOST),
    Head("two authorities", (*ask(), (b":authority", b"evil")), HERE_ALONE, PSEUDO),
    Head("Host alone", ask((b"host", b"edge"), without=[b":authority"]), (200, 200, ENDED),
         "aioquic wants the authority; RFC 9114 4.3.1 has either"),
    Head("neither", ask(without=[b":authority"]), REFUSED, ONE_HOST),
    Head("an empty authority", ask(authority=b""), (200, ENDED, ENDED),
         "RFC 9110 7.2 has an empty Host, RFC 9114 4.3.1 no empty authority"),
    Head("a user in the authority", ask(authority=b"evil@edge"), (400, 400, 400), ONE_HOST),
    Head(":protocol of a GET", ask((b":protocol", b"websocket")), HERE_ALONE, PSEUDO),
    Head(":protocol of a GET, in its place", ((b":protocol", b"websocket"), *ask()), HERE_ALONE,
         "RFC 8441 4, RFC 9220 3: :protocol belongs to CONNECT"),
    Head(":protocol of CONNECT", ((b":protocol", b"websocket"), *ask(method=b"CONNECT")), (NONE, 405, 405), "no tunnels"),
    Head("CONNECT", ask(method=b"CONNECT", without=[b":path", b":scheme"]), (405, 405, 405), "no tunnels"),
    Head("no scheme", ask(without=[b":scheme"]), HERE_ALONE, PSEUDO),
    Head("two paths", (*ask(), (b":path", b"/hidden")), HERE_ALONE, PSEUDO),
    Head("two methods", (*ask(), (b":method", b"POST")), HERE_ALONE, PSEUDO),
    Head("a pseudo-field behind fields", (*ask((b"x", b"y"), without=[b":path"]), (b":path", b"/attack")), HERE_ALONE, PSEUDO),
    Head("a pseudo-field of responses", (*ask(), (b":status", b"200")), HERE_ALONE, PSEUDO),
    Head("a pseudo-field that is none", (*ask(), (b":evil", b"x")), HERE_ALONE, PSEUDO),
    Head("another scheme", ask(scheme=b"ftp"), HERE_ALONE, TARGET),
    Head("no path", ask(path=b""), (400, ENDED, ENDED), TARGET),
    Head("a URL for a path", ask(path=b"http://evil/attack"), (200, ENDED, ENDED), TARGET),
    Head("no slash", ask(path=b"@evil/attack"), (400, 400, 400), TARGET),
    Head("*", ask(path=b"*"), (400, 400, 400), TARGET),
    Head("a fragment", ask(path=b"/attack#evil"), (400, 400, 400), TARGET),
    Head("octets beyond ASCII in the path", ask(path=b"/attack\xe9"), REFUSED, TARGET),
    Head("a method with a space", ask(method=b"GET /evil HTTP/1.1"), (400, 400, 400), "RFC 9110 9.1: a method is a token"),
    Head("no method", ask(method=b""), (400, 400, 400), "RFC 9110 9.1: a method is a token"),
    Head("a length and no content", ask((b"content-length", b"5"), method=b"POST"), HERE_ALONE, LENGTH),
    Head("two lengths", ask((b"content-length", b"5"), (b"content-length", b"0")), REFUSED, LENGTH),
    Head("a length with a plus", ask((b"content-length", b"+0")), REFUSED, LENGTH),
    Head("a length of 5,000 digits", ask((b"content-length", b"9" * 5000)), REFUSED, LENGTH),
    Head("an empty length", ask((b"content-length", b"")), REFUSED, LENGTH),
    Head("Transfer-Encoding", ask((b"transfer-encoding", b"chunked")), HERE_ALONE, HOP),
    Head("Connection", ask((b"connection", b"close")), (200, ENDED, ENDED), HOP),
    Head("TE but for trailers", ask((b"te", b"gzip")), (200, ENDED, ENDED), HOP),
    Head("line ends in the path", ask(path=b"/attack HTTP/1.1\r\nx: y"), HERE_ALONE, OCTETS),
    Head("line ends in the authority", ask(authority=b"edge\r\nx: y"), HERE_ALONE, OCTETS),
    Head("line ends in the method", ask(method=b"GET /hidden HTTP/1.1\r\n\r\nGET"), HERE_ALONE, OCTETS),
    Head("line ends in the scheme", ask(scheme=b"http\r\nx: y"), HERE_ALONE, OCTETS),
    Head("a line end in a value", ask((b"x", b"y\rz: a")), REFUSED, OCTETS),
    Head("NUL in a value", ask((b"x", b"y\0")), REFUSED, OCTETS),
    Head("a bell in a value", ask((b"x", b"y\x07")), (400, 400, 400), OCTETS),
    Head("a space in a name", ask((b"x y", b"z")), REFUSED, OCTETS),
    Head("a name that is no token", ask((b"x(y", b"z")), (400, 400, 400), "RFC 9110 5.1: a name is a token"),
]  # fmt: skip


@pytest.mark.long
def test_three_protocols_agree(authority: Authority) -> None:
    async def run() -> None:
        port = free_port()
        async with attacked(listen_tls=f"127.0.0.1:{port}", http3=True) as lab:
            found: dict[str, tuple[int, int, int]] = {}
            for number, head in enumerate(HEADS):
                # A path of its own, so that all are misses.
                fields = tuple(
                    (n, v.replace(b"attack", b"%d" % number) if n == b":path" else v) for n, v in head.fields
                )
                found[head.name] = (
                    NONE if head.answers[0] == NONE else await _http1(lab, fields),
                    await _http2(lab, fields),
                    await _http3(port, authority, tuple((n, v + b"/3" if n == b":path" and v != b"" else v) for n, v in fields)),
                )  # fmt: skip
            assert found == {head.name: head.answers for head in HEADS}
            assert not any("evil" in request or "hidden" in request for request in lab.origin.requests)
            await lab.honest("/victim")

    asyncio.run(run())


async def _http1(lab: Lab, fields: Fields) -> int:
    known = dict(fields)
    lines = [known[b":method"] + b" " + known.get(b":path", b"evil:443") + b" HTTP/1.1"]
    if b":authority" in known:
        lines.append(b"host: " + known[b":authority"])
    lines += [name + b": " + value for name, value in fields if not name.startswith(b":")]
    reader, writer = await asyncio.open_connection(*lab.edge.url.removeprefix("http://").split(":"))
    try:
        writer.write(b"\r\n".join(lines) + b"\r\n\r\n")
        async with asyncio.timeout(GUARD_S):
            return (await read_reply(reader)).status
    finally:
        writer.close()


async def _http2(lab: Lab, fields: Fields) -> int:
    async with http2(lab.edge.url) as client:
        client.h2.config.validate_outbound_headers = client.h2.config.normalize_outbound_headers = False
        client.h2.send_headers(1, fields, end_stream=True)
        stream = client.streams[1] = Stream()
        await client.flush()
        await client.until(stream)
        return stream.status


async def _http3(port: int, authority: Authority, fields: Fields) -> int:
    async with http3(port, authority.certificate_file) as client:
        stream = client.asks(list(fields))
        over, ended = asyncio.create_task(stream.until()), asyncio.create_task(client.ended.wait())
        await asyncio.wait({over, ended}, timeout=GUARD_S, return_when=asyncio.FIRST_COMPLETED)
        assert over.done() or ended.done()
        for task in (over, ended):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        return stream.status


@pytest.mark.parametrize("fields", [ask((b"", b"x")), ask(without=[b":method"]), ask((b"", b""), method=b"CONNECT")])
def test_what_no_client_of_ours_can_send(fields: Fields) -> None:
    assert malformed(list(fields), ended=True)


def test_methods_are_not_written_anew(authority: Authority) -> None:
    """`get` is not GET (RFC 9110 §9.1), over any of the three."""

    async def run() -> None:
        port = free_port()
        async with attacked(listen_tls=f"127.0.0.1:{port}", http3=True) as lab:
            for send in (_http1(lab, ask(method=b"get")), _http2(lab, ask(method=b"get")),
                         _http3(port, authority, ask(method=b"get"))):  # fmt: skip
                assert await send == 200
            assert lab.origin.requests == ["get /attack"] * 3

    asyncio.run(run())


def test_trailers_behind_a_request_that_is_answered_already_are_no_request(authority: Authority) -> None:
    async def run() -> None:
        port = free_port()
        async with attacked(listen_tls=f"127.0.0.1:{port}", http3=True) as lab:
            async with http3(port, authority.certificate_file) as client:
                early = client.asks(list(ask()), end=False)  # content of a GET is not waited for
                await early.until()
                assert early.status == 200
                client.h3.send_headers(early.id, [(b"checksum", b"1")], True)
                next_one = client.ask("/after")
                await next_one.until()
                assert next_one.status == 200
            assert lab.origin.requests == ["GET /attack", "GET /after"]

    asyncio.run(run())
