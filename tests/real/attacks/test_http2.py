"""HTTP/2 in front, HTTP/1.1 behind: what its frames can carry and a line of text cannot (RFC 9113 §8, §10.3).

Each row is sent frame by frame, past all that a client's library would hold back, to an edge that asks its origin over
HTTP/1.1. Where it is lengths or octets, it is another request than it was when it is written out as it came.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from cdnkit.policy.rules.profile import Profile
from cdnkit.vendors import PROFILES
from tests.kit.http2 import Stream, http2
from tests.real.attacks.lab import attacked
from tests.real.attacks.test_smuggling import HIDDEN, NEXT
from tests.real.attacks.witness import strictly

pytestmark = pytest.mark.long

Fields = tuple[tuple[bytes, bytes], ...]
GOAWAY = 0
"""No answer: the attacker's connection ends."""


@dataclass(frozen=True)
class Frames:
    """One request, as its frames have it."""

    name: str
    fields: Fields
    answer: int
    """Status, or GOAWAY."""
    rule: str
    content: bytes | None = None
    trailers: Fields = ()
    sees: tuple[str, ...] = ()

    @property
    def outcome(self) -> str:
        if self.answer == GOAWAY:
            return "closes the connection: GOAWAY, PROTOCOL_ERROR"
        return f"refuses it: {self.answer}" if self.answer >= 400 else "forwards it, with its own framing"

    def naively(self) -> bytes:
        """What a proxy makes of it that copies fields as they came."""
        known = dict(self.fields)
        rest = [(name, value) for name, value in self.fields if not name.startswith(b":")]
        lines = [b"%b %b HTTP/1.1" % (known.get(b":method", b""), known.get(b":path", b"/"))]
        if b":authority" in known:
            lines.append(b"host: " + known[b":authority"])
        lines += [name + b": " + value for name, value in (*rest, *self.trailers)]
        return b"\r\n".join(lines) + b"\r\n\r\n" + (self.content or b"")


def ask(
    *more: tuple[bytes, bytes],
    method: bytes = b"GET",
    path: bytes = b"/attack",
    scheme: bytes = b"http",
    authority: bytes = b"edge",
    without: Sequence[bytes] = (),
) -> Fields:
    pseudo = ((b":method", method), (b":path", path), (b":scheme", scheme), (b":authority", authority))
    return (*(line for line in pseudo if line[0] not in without), *more)


def post(*more: tuple[bytes, bytes]) -> Fields:
    return ask(*more, method=b"POST")


SMUGGLED = b"y\r\n\r\n" + HIDDEN
LENGTHS = "RFC 9113 8.1.1: the length differs from DATA, or is not a length"
OCTETS = "RFC 9113 8.2.1: such an octet ends nothing, and is not allowed in a name or value"
PSEUDO = "RFC 9113 8.3: each of the four pseudo-header fields at most once, first, and no others"
HOP = "RFC 9113 8.2.2: connection-specific fields are not allowed"
TARGET = "RFC 9113 8.3.1: the path must be a path"
HOST = "RFC 9113 8.3.1: the authority is a host, and Host says the same"

FRAMES = [
    Frames("H2.CL: shorter than DATA", post((b"content-length", b"0")), GOAWAY, LENGTHS, HIDDEN),
    Frames("H2.CL: longer than DATA", post((b"content-length", b"99")), GOAWAY, LENGTHS, HIDDEN),
    Frames("H2.CL: two", post((b"content-length", b"0"), (b"content-length", b"36")), GOAWAY, LENGTHS, HIDDEN),
    Frames("H2.CL: a list", post((b"content-length", b"0, 36")), GOAWAY, LENGTHS, HIDDEN),
    Frames("H2.CL: with a plus", post((b"content-length", b"+0")), GOAWAY, LENGTHS, HIDDEN),
    Frames("H2.CL: none", post(), 200, "the edge frames what it forwards itself: chunked", HIDDEN,
           sees=(f"POST /attack {HIDDEN.decode()}",)),
    Frames("H2.0: content of a GET", ask(), 200, "RFC 9110 9.3.1: it has no meaning, and is not forwarded", HIDDEN,
           sees=("GET /attack",)),
    Frames("H2.TE", post((b"transfer-encoding", b"chunked")), GOAWAY, HOP, b"0\r\n\r\n" + HIDDEN),
    Frames("Connection", ask((b"connection", b"host")), GOAWAY, HOP),
    Frames("Upgrade", ask((b"upgrade", b"h2c")), GOAWAY, HOP),
    Frames("Keep-Alive, Proxy-Connection", ask((b"keep-alive", b"x"), (b"proxy-connection", b"x")), GOAWAY, HOP),
    Frames("CRLF in a value", ask((b"x", SMUGGLED)), GOAWAY, OCTETS),
    Frames("LF in a value", ask((b"x", b"y\ntransfer-encoding: chunked")), GOAWAY, OCTETS),
    Frames("CR in a value", ask((b"x", b"y\rz: a")), GOAWAY, OCTETS),
    Frames("NUL in a value", ask((b"x", b"y\0z")), GOAWAY, OCTETS),
    Frames("a bell in a value", ask((b"x", b"y\x07z")), 400, "RFC 9110 5.5: no control characters"),
    Frames("CRLF in a name", ask((b"x: y\r\ntransfer-encoding", b"chunked")), GOAWAY, OCTETS),
    Frames("a colon in a name", ask((b"transfer-encoding: chunked\r\nx", b"y")), GOAWAY, OCTETS),
    Frames("white space in a name", ask((b"transfer-encoding ", b"chunked")), GOAWAY, OCTETS),
    Frames("a name that is no token", ask((b"x(y", b"z")), 400, "RFC 9110 5.1: a name is a token"),
    Frames("a name in upper case", ask((b"Transfer-Encoding", b"chunked")), GOAWAY, OCTETS),
    Frames("no name", ask((b"", b"x")), GOAWAY, OCTETS),
    Frames("white space around a value", ask((b"transfer-encoding", b" chunked")), GOAWAY, OCTETS),
    Frames("a space in :path", ask(path=b"/hidden HTTP/1.1"), 400, TARGET),
    Frames("CRLF in :path", ask(path=b"/hidden HTTP/1.1\r\nx: y"), GOAWAY, OCTETS),
    Frames("a space in the query", ask(path=b"/attack?a HTTP/1.1"), 400, TARGET),
    Frames("no slash in :path", ask(path=b"@evil/attack"), 400, TARGET),
    Frames("no :path", ask(without=[b":path"]), GOAWAY, PSEUDO),
    Frames("two :path", (*ask(), (b":path", b"/hidden")), GOAWAY, PSEUDO),
    Frames("a space in :method", ask(method=b"GET /hidden HTTP/1.1"), 400, "RFC 9110 9.1: a method is a token"),
    Frames("CRLF in :method", ask(method=b"GET /hidden HTTP/1.1\r\n\r\nGET"), GOAWAY, OCTETS),
    Frames("CRLF in :scheme", ask(scheme=b"http\r\nx: y"), GOAWAY, "RFC 9113 8.3.1: the scheme is one"),
    Frames("CRLF in :authority", ask(authority=b"edge\r\nx: y"), GOAWAY, OCTETS),
    Frames("user and password in :authority", ask(authority=b"evil@edge"), 400, HOST),
    Frames("a space in :authority", ask(authority=b"ed ge"), 400, HOST),
    Frames(":authority and another Host", ask((b"host", b"evil")), GOAWAY, HOST),
    Frames("neither :authority nor Host", ask(without=[b":authority"]), GOAWAY, HOST),
    Frames("a pseudo-field behind fields", (*ask((b"x", b"y"), without=[b":path"]), (b":path", b"/attack")), GOAWAY, PSEUDO),
    Frames("a pseudo-field of responses", (*ask(), (b":status", b"200")), GOAWAY, PSEUDO),
    Frames("a pseudo-field that is none", (*ask(), (b":evil", b"x")), GOAWAY, PSEUDO),
    Frames("trailers with framing", post(), GOAWAY, HOP, b"abc", ((b"transfer-encoding", b"chunked"),)),
    Frames("trailers with a length", post(), 200, "RFC 9110 6.5.1: trailers are dropped", b"abc",
           ((b"content-length", b"0"),), ("POST /attack abc",)),
    Frames("trailers with a pseudo-field", post(), GOAWAY, PSEUDO, b"abc", ((b":path", b"/hidden"),)),
    Frames("trailers with CRLF", post(), GOAWAY, OCTETS, b"abc", ((b"x", SMUGGLED),)),
    Frames("CONNECT", ((b":method", b"CONNECT"), (b":authority", b"evil:443")), 405, "no tunnels"),
    Frames("a websocket by CONNECT", (*ask(method=b"CONNECT"), (b":protocol", b"websocket")), 405, "no tunnels"),
]  # fmt: skip


def test_lengths_and_octets_make_another_request_when_they_are_written_out_naively() -> None:
    real = [frames for frames in FRAMES if frames.rule in (LENGTHS, OCTETS)]
    assert len(real) > 15
    for frames in real:
        plain = dict(frames.fields)
        request = (
            f"{plain[b':method'].decode()} {plain.get(b':path', b'/').decode()} {(frames.content or b'').decode()}"
        )
        lines = frames.naively().partition(b"\r\n\r\n")[0].count(b"\n")
        same = strictly(frames.naively() + HIDDEN) == [request.strip(), NEXT]
        assert not same or lines != sum(not name.startswith(b":") for name, _ in frames.fields) + 1, frames.name


CASES = [(profile, tiers) for profile in PROFILES.values() for tiers in (1, 2)]


@pytest.mark.parametrize(("profile", "tiers"), CASES, ids=[f"{one.name}-{tiers}" for one, tiers in CASES])
@pytest.mark.parametrize("frames", FRAMES, ids=[one.name for one in FRAMES])
def test_nothing_comes_out_as_another_request(frames: Frames, profile: Profile, tiers: int) -> None:
    async def run() -> None:
        async with attacked(profile, tiers=tiers) as lab:
            await lab.honest("/before")
            async with http2(lab.edge.url) as client:
                client.h2.config.validate_outbound_headers = client.h2.config.normalize_outbound_headers = False
                ends = frames.content is None
                client.h2.send_headers(1, frames.fields, end_stream=ends)
                if frames.content is not None:
                    client.h2.send_data(1, frames.content, end_stream=not frames.trailers)
                if frames.trailers:
                    client.h2.send_headers(1, frames.trailers, end_stream=True)
                stream = client.streams[1] = Stream()
                await client.flush()
                await client.until(stream)
                await lab.honest("/victim")
            await lab.honest("/victim")
            await lab.honest("/hidden")
            honest = ["GET /before", "GET /victim", "GET /hidden"]
            seen = [request for request in lab.origin.requests if request not in honest]
            assert [lab.origin.requests.count(request) for request in honest] == [1, 1, 1]
            if profile is PROFILES["rfc9111"]:
                assert (stream.status, client.goaway is not None) == (frames.answer, frames.answer == GOAWAY)
                assert seen == list(frames.sees)
            else:  # some refuse more: methods, content
                assert set(seen) <= set(frames.sees)
            shared = any(b"/attack" in heard and b"/victim" in heard for heard in lab.origin.heard)
            assert len(lab.origin.heard) == 1 or shared, "the victim's took another"

    asyncio.run(run())
