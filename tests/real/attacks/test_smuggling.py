"""Request smuggling over HTTP/1.1: bytes that careless parsers cut into requests in different places.

Each row is sent to an edge, alone and in front of it a shield; the origin keeps every byte that reaches it. Whatever the
attacker is answered, the origin must see no request but those the edge took, an honest client whose request takes the
same connection to the origin must get his own answer, and the cache must have that answer for the next.
"""

import asyncio
from dataclasses import dataclass

import pytest

from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.vendors import PROFILES
from tests.real.attacks.lab import HONEST, attacked
from tests.real.attacks.readings import (
    CHUNKED,
    FIRST_LENGTH,
    HEX,
    LENGTH,
    LINES_END_IN_CR,
    LINES_END_IN_LF,
    NO_BODY,
    SLOPPY,
    Reading,
    requests_in,
)

pytestmark = pytest.mark.long

HIDDEN = b"GET /hidden HTTP/1.1\r\nhost: edge\r\n\r\n"
"""The request that is to be smuggled past somebody."""
CHUNK = b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)


@dataclass(frozen=True)
class Shape:
    """One attack."""

    name: str
    sent: bytes
    answers: tuple[int, ...]
    """Statuses on the attacker's connection, which then ends or rests."""
    sees: tuple[str, ...]
    """What the origin is asked meanwhile: "METHOD TARGET BODY"."""
    rule: str
    readings: tuple[Reading, Reading]
    """Two that find different requests in it."""

    @property
    def outcome(self) -> str:
        if not self.sees:
            return f"refuses it: {self.answers[0]}"
        if NEXT in self.sees:
            return "responds; to the edge, the hidden request is the attacker's next one"
        if HIDDEN.decode() in self.sees[0]:
            return "forwards it, with the hidden request as content"
        return "responds; the content is not forwarded"


def post(*fields: bytes, body: bytes, version: bytes = b"1.1", method: bytes = b"POST") -> bytes:
    lines = b"".join(line + b"\r\n" for line in fields)
    return b"%b /attack HTTP/%b\r\nhost: edge\r\n%b\r\n%b" % (method, version, lines, body)


def of(length: int) -> bytes:
    return b"content-length: %d" % length


HIDDEN_LENGTH = of(len(HIDDEN))
TE = b"transfer-encoding: chunked"
END = b"0\r\n\r\n"
ABC = of(3), b"abc" + HIDDEN
BEHIND = of(len(END + HIDDEN))
"""A length that takes the hidden request into the content, behind what a chunked reading ends at."""

NOTHING: tuple[str, ...] = ()
NEXT = "GET /hidden"
"""For the edge it is no hidden request but the client's next: answered to him alone."""
CONTENT = f"POST /attack {HIDDEN.decode()}"
"""For the edge it is content, and goes on as that."""

BOTH = "RFC 9112 6.1: a length beside a coding is not trusted, and the connection is closed"
UNKNOWN = "RFC 9112 6.1: the only known coding is chunked, given once"
LENGTHS = "RFC 9112 6.3: one length, of digits only; the connection is closed"
FIELDS = "RFC 9112 5.1: a field is a name, a colon and a value"
CHUNKS = "RFC 9112 7.1: the chunk does not fit its size line; the connection is closed, to the origin, too"
AGAIN = "the edge frames what it forwards itself"
HOPS = "RFC 9110 7.6.1: fields that Connection names are not forwarded; Host and framing are the edge's own"

SHAPES = [
    # Which of the two counts.
    Shape("CL.TE", post(BEHIND, TE, body=END + HIDDEN), (400,), NOTHING, BOTH, (LENGTH, CHUNKED)),
    Shape("TE.CL", post(of(4), TE, body=CHUNK), (400,), NOTHING, BOTH, (LENGTH, CHUNKED)),
    Shape("CL beside TE, agreeing", post(of(5), TE, body=END), (400,), NOTHING, BOTH, (NO_BODY, CHUNKED)),
    Shape("TE in HTTP/1.0", post(TE, body=END + HIDDEN, version=b"1.0"), (400,), NOTHING, BOTH, (NO_BODY, CHUNKED)),
    Shape("CL behind a bare LF", post(BEHIND, b"x: y\ntransfer-encoding: chunked", body=END + HIDDEN),
          (400,), NOTHING, BOTH, (CHUNKED, LINES_END_IN_LF)),
    # TE.TE: a coding that one takes for chunked and another does not.
    *(
        Shape(f"TE.TE: {name}", post(BEHIND, *lines, body=END + HIDDEN), (status,), NOTHING, rule, (LENGTH, SLOPPY))
        for name, lines, status, rule in [
            ("xchunked", (b"transfer-encoding: xchunked",), 501, UNKNOWN),
            ("quoted", (b'transfer-encoding: "chunked"',), 501, UNKNOWN),
            ("with a parameter", (b"transfer-encoding: chunked;q=1",), 501, UNKNOWN),
            ("chunked, identity", (b"transfer-encoding: chunked, identity",), 501, UNKNOWN),
            ("identity, chunked", (b"transfer-encoding: identity, chunked",), 501, UNKNOWN),
            ("two lines", (TE, b"transfer-encoding: identity"), 501, UNKNOWN),
            ("vertical tab", (b"transfer-encoding:\x0bchunked",), 400, FIELDS),
            ("space before the colon", (b"transfer-encoding : chunked",), 400, FIELDS),
            ("NUL in the name", (b"transfer-encoding\0: chunked", TE), 400, FIELDS),
            ("tab before the value", (b"transfer-encoding:\tchunked",), 400, BOTH),
            ("folded", (b"transfer-encoding:\r\n chunked",), 400, BOTH),
        ]
    ),
    Shape("TE in a fold", post(b"x: y\r\n transfer-encoding: chunked", BEHIND, body=END + HIDDEN), (200,),
          (f"POST /attack {(END + HIDDEN).decode()}",), "RFC 9112 5.2: a fold is a space", (LENGTH, NO_BODY)),
    Shape("TE, folded, alone", post(b"transfer-encoding:\r\n chunked", body=CHUNK), (200,), (CONTENT,),
          "RFC 9112 5.2: a fold is a space", (CHUNKED, SLOPPY)),
    # CL.CL: which length.
    Shape("CL.CL, differing", post(of(0), HIDDEN_LENGTH, body=HIDDEN), (400,), NOTHING, LENGTHS, (FIRST_LENGTH, LENGTH)),
    Shape("CL, a list that differs", post(b"content-length: 0, 36", body=HIDDEN), (400,), NOTHING, LENGTHS,
          (LENGTH, SLOPPY)),
    Shape("CL.CL, equal", post(of(3), *ABC[:1], body=ABC[1]), (200, 200), ("POST /attack abc", NEXT),
          "RFC 9110 8.6: equal lengths are one", (NO_BODY, LENGTH)),
    Shape("CL with a plus", post(b"content-length: +%d" % len(HIDDEN), body=HIDDEN), (400,), NOTHING, LENGTHS,
          (NO_BODY, LENGTH)),
    Shape("CL, negative", post(b"content-length: -1", body=HIDDEN), (400,), NOTHING, LENGTHS, (NO_BODY, LENGTH)),
    Shape("CL in hex", post(b"content-length: 0x%x" % len(HIDDEN), body=HIDDEN), (400,), NOTHING, LENGTHS,
          (LENGTH, HEX)),
    Shape("CL with a space in it", post(b"content-length: 3 6", body=HIDDEN), (400,), NOTHING, LENGTHS,
          (LENGTH, SLOPPY)),
    Shape("CL with an underscore", post(b"content-length: 3_6", body=HIDDEN), (400,), NOTHING, LENGTHS, (NO_BODY, LENGTH)),
    Shape("CL, empty", post(b"content-length:", of(36), body=HIDDEN), (400,), NOTHING, LENGTHS, (FIRST_LENGTH, LENGTH)),
    Shape("CL, space before the colon", post(b"content-length : %d" % len(HIDDEN), body=HIDDEN), (400,), NOTHING, FIELDS,
          (LENGTH, SLOPPY)),
    Shape("CL with leading zeros", post(b"content-length: 000%d" % len(HIDDEN), body=HIDDEN), (200,), (CONTENT,), AGAIN,
          (NO_BODY, LENGTH)),
    Shape("CL beyond 64 bits", post(b"content-length: 18446744073709551652", body=HIDDEN), (413,), NOTHING,
          "RFC 9110 15.5.14: more than the limit", (NO_BODY, LENGTH)),
    # 0.CL: content where one expects none.
    *(
        Shape(f"0.CL: {method.decode()} with content", post(HIDDEN_LENGTH, body=HIDDEN, method=method), (200,),
              (f"{method.decode()} /attack",), "RFC 9110 9.3.1: its content has no meaning, and is not forwarded",
              (NO_BODY, LENGTH))
        for method in (b"GET", b"HEAD")
    ),
    Shape("0.CL: GET with chunks", post(TE, body=CHUNK, method=b"GET"), (200,), ("GET /attack",),
          "RFC 9110 9.3.1: its content has no meaning, and is not forwarded", (NO_BODY, CHUNKED)),
    Shape("pipelined", post(body=HIDDEN, method=b"GET"), (200, 200), ("GET /attack", NEXT),
          "RFC 9112 9.3.2: answered in order", (NO_BODY, Reading("rest"))),
    # What ends a line.
    Shape("bare LF", b"POST /attack HTTP/1.1\nhost: edge\n%b\n\n%b" % (HIDDEN_LENGTH, HIDDEN), (200,), (CONTENT,),
          f"RFC 9112 2.2: LF may end a line; {AGAIN}", (LENGTH, LINES_END_IN_LF)),
    Shape("bare CR", post(HIDDEN_LENGTH, b"x: y\rcontent-length: 0", body=HIDDEN), (400,), NOTHING,
          "RFC 9112 2.2: a bare CR ends nothing, and is not allowed in a value", (LENGTH, LINES_END_IN_CR)),
    Shape("NUL in a value", post(HIDDEN_LENGTH, b"x: \0\ncontent-length: 0", body=HIDDEN), (400,), NOTHING,
          "RFC 9110 5.5: NUL is not allowed in a value", (LENGTH, LINES_END_IN_LF)),
    Shape("request line twice", b"GET /attack HTTP/1.1\r\n" + HIDDEN, (400,), NOTHING, FIELDS,
          (NO_BODY, Reading(fields="any"))),
    Shape("HTTP/0.9", b"GET /attack\r\n\r\n" + HIDDEN, (400,), NOTHING, "RFC 9112 2.3: a request line has a version",
          (NO_BODY, Reading("rest"))),
    Shape("HTTP/2.0 in a request line", b"GET /attack HTTP/2.0\r\nhost: edge\r\n\r\n" + HIDDEN, (505,), NOTHING,
          "RFC 9110 15.6.6: not a version of this syntax", (NO_BODY, Reading("rest"))),
    # Chunks.
    *(
        Shape(f"chunks: {name}", post(TE, body=body), answers, sees, rule, (one, other))
        for name, body, answers, sees, rule, one, other in [
            ("a size beyond 32 bits", b"100000000\r\n\r\n" + HIDDEN + END, (408,), NOTHING,
             "the edge waits for that much content, until its time limit", CHUNKED, Reading("rest")),
            ("a size in 0x", b"0x24\r\n" + HIDDEN + b"\r\n" + END, (400,), NOTHING, CHUNKS, NO_BODY, HEX),
            ("a size with a sign", b"-0\r\n\r\n" + HIDDEN, (400,), NOTHING, CHUNKS, CHUNKED, Reading("rest")),
            ("space before a size", b" 24\r\n" + HIDDEN + b"\r\n" + END, (400,), NOTHING, CHUNKS, CHUNKED, NO_BODY),
            ("space after a size", b"24 \r\n" + HIDDEN + b"\r\n" + END, (200,), (CONTENT,), AGAIN, CHUNKED, NO_BODY),
            ("no size", b"\r\n" + HIDDEN, (400,), NOTHING, CHUNKS, CHUNKED, Reading("rest")),
            ("an extension", b"24;a=b\r\n" + HIDDEN + b"\r\n" + END, (200,), (CONTENT,),
             f"RFC 9112 7.1.1: ignored; {AGAIN}", CHUNKED, NO_BODY),
            ("LF in an extension", b"24;\n" + HIDDEN + b"\r\n" + END, (400,), NOTHING, CHUNKS, CHUNKED,
             LINES_END_IN_LF),
            ("CR in an extension", b"1;\rZ\r\nA\r\n" + END + HIDDEN, (200, 200), ("POST /attack A", NEXT), AGAIN,
             CHUNKED, LINES_END_IN_CR),
            ("LF for CRLF", b"24\n" + HIDDEN + b"\n0\n\n", (400,), NOTHING, CHUNKS, CHUNKED, LINES_END_IN_LF),
            ("no line end after a chunk", b"1\r\nZ0\r\n\r\n" + HIDDEN, (400,), NOTHING, CHUNKS, HEX, CHUNKED),
            ("more than a line end after a chunk", b"1\r\nZXX" + END + HIDDEN, (400,), NOTHING, CHUNKS, HEX, CHUNKED),
            ("trailers that frame", b"0\r\ncontent-length: 36\r\nhost: evil\r\n\r\n" + HIDDEN, (200, 200),
             ("POST /attack", NEXT), "RFC 9110 6.5.1: trailers are dropped", CHUNKED, Reading("rest")),
            ("a trailer that is no field", b"0\r\na b\r\n\r\n" + HIDDEN, (400,), NOTHING, CHUNKS, CHUNKED,
             Reading("rest")),
        ]
    ),
    # Fields of one hop.
    Shape("Connection names Content-Length", post(b"connection: content-length", HIDDEN_LENGTH, body=HIDDEN), (200,),
          (CONTENT,), HOPS, (LENGTH, NO_BODY)),
    Shape("Connection names Host", post(b"connection: host", ABC[0], body=ABC[1]), (200, 200),
          ("POST /attack abc", NEXT), HOPS, (LENGTH, NO_BODY)),
    Shape("Upgrade: h2c", post(b"connection: upgrade, http2-settings", b"upgrade: h2c", b"http2-settings: AAMAAABk",
          body=HIDDEN, method=b"GET"), (200, 200), ("GET /attack", NEXT),
          "RFC 9113 3.1: obsolete; RFC 9110 7.8: an upgrade may be ignored, and stays here", (NO_BODY, Reading("rest"))),
    Shape("Upgrade: websocket", post(b"connection: upgrade", b"upgrade: websocket", b"sec-websocket-version: 777",
          body=HIDDEN, method=b"GET"), (200, 200), ("GET /attack", NEXT),
          "RFC 9110 7.8: an upgrade may be ignored, and stays here", (NO_BODY, Reading("rest"))),
    Shape("Expect", post(b"expect: 100-continue", ABC[0], body=ABC[1]), (200, 200), ("POST /attack abc", NEXT),
          "RFC 9110 10.1.1: settled with the client, who did not wait, and stays here", (LENGTH, NO_BODY)),
    Shape("Expect, obfuscated", post(b"expect: y 100-continue", ABC[0], body=ABC[1]), (200, 200),
          ("POST /attack abc", NEXT), "RFC 9110 10.1.1: what is not known is not expected, and stays here",
          (LENGTH, NO_BODY)),
]  # fmt: skip


def test_each_shape_is_one_that_careless_parsers_disagree_about() -> None:
    for shape in SHAPES:
        one, other = (requests_in(shape.sent + HONEST, how) for how in shape.readings)
        assert one != other, shape.name


CASES = [(RFC9111, 1), (RFC9111, 2), (PROFILES["cloudfront"], 1), (PROFILES["fastly"], 2)]


@pytest.mark.parametrize(("profile", "tiers"), CASES, ids=[f"{one.name}-{tiers}" for one, tiers in CASES])
@pytest.mark.parametrize("shape", SHAPES, ids=[shape.name for shape in SHAPES])
def test_no_shape_smuggles_anything(shape: Shape, profile: Profile, tiers: int) -> None:
    async def run() -> None:
        async with attacked(profile, tiers=tiers, limits={"content_pause": "200ms"}) as lab:
            await lab.honest("/before")  # its connection to the origin is the one that the attack's requests will take
            async with lab.attack(shape.sent, len(shape.answers)) as answers:
                await lab.honest("/victim")
            await lab.honest("/victim")
            if NEXT not in shape.sees:
                await lab.honest("/hidden")
            honest = ["GET /before", "GET /victim", "GET /hidden"]
            seen = [request for request in lab.origin.requests if request not in (*honest, "broken")]
            assert lab.origin.requests.count("GET /victim") == 1
            shared = any(b"/attack" in heard and b"/victim" in heard for heard in lab.origin.heard)
            assert len(lab.origin.heard) == 1 or shared or "broken" in lab.origin.requests, "the victim's took another"
            if profile is RFC9111:
                assert tuple(reply.status for reply in answers) == shape.answers
                assert seen == [request for request in shape.sees if request not in honest]
            else:  # some vendors refuse more, methods and content; Fastly asks for what is to be stored by GET
                assert set(seen) <= {*shape.sees, *(request.replace("HEAD", "GET") for request in shape.sees)}
            # What it took for requests itself, careless as it is, is the same.
            assert sorted(f"{asked.method} {asked.target}" for asked in lab.origin.asked) == sorted(
                " ".join(request.split(" ")[:2]) for request in lab.origin.requests if request != "broken"
            )

    asyncio.run(run())
