"""Responses that are to be taken for two: what an origin, or someone who can write into its answers, sends too much of.

Behind each answer to `/attack` stands another, of which a careless cache makes the answer to whoever asks next over that
connection. How the edge reads answers otherwise is `tests/real/edge/test_upstream.py`'s.
"""

import asyncio
from dataclasses import dataclass

import pytest

from cdnkit.policy.rules.profile import Profile
from cdnkit.vendors import PROFILES
from tests.kit.late import GUARD_S
from tests.kit.origin import Asked
from tests.real.attacks.lab import attacked

HIDDEN = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\ncache-control: max-age=60\r\n\r\nhidden"
OK = b"HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"


@dataclass(frozen=True)
class Split:
    """One answer to `/attack`, and what is behind it."""

    name: str
    sent: bytes
    status: int
    body: bytes
    rule: str
    method: str = "GET"
    fields: str = ""
    """Of the request."""

    @property
    def outcome(self) -> str:
        told = "502" if self.status == 502 else "what stands before it" if self.body else "no content"
        return f"gives the client {told}, and does not reuse the connection"


CUT = "RFC 9112 6.3: the message ends where it says, and what follows was not requested"
NONE = "RFC 9112 6.3: such a response has no content"
UNASKED = "RFC 9110 15.3.7, 15.4.5: a response to something else"
HEAD = "RFC 9112 2.2, 5.1, 6.3: the head is not guessed"

SPLITS = [
    Split("more than Content-Length", OK + b"content-length: 2\r\n\r\nok" + HIDDEN, 200, b"ok", CUT),
    Split("behind the last chunk", OK + CHUNKED + b"\r\n2\r\nok\r\n0\r\n\r\n" + HIDDEN, 200, b"ok", CUT),
    Split("Content-Length beside chunks, longer", OK + CHUNKED + b"content-length: 99\r\n\r\n2\r\nok\r\n0\r\n\r\n" + HIDDEN,
          200, b"ok", "RFC 9112 6.3: the coding applies; the connection is no longer trusted"),
    Split("two lengths", OK + b"content-length: 2\r\ncontent-length: 99\r\n\r\nok" + HIDDEN, 502, b"",
          "RFC 9112 6.3: no response"),
    Split("a list of lengths", OK + b"content-length: 2, 99\r\n\r\nok" + HIDDEN, 502, b"", "RFC 9112 6.3: no response"),
    Split("no length at all", OK + b"\r\nok", 200, b"ok", "RFC 9112 6.3: to the end of the connection"),
    Split("content of a 204", b"HTTP/1.1 204 No Content\r\ncontent-length: 70\r\n\r\n" + HIDDEN, 204, b"", NONE),
    Split("content of a 304", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 70\r\n\r\n" + HIDDEN, 304, b"", NONE,
          fields='if-none-match: "1"\r\n'),
    Split("a 304 that nobody asked for", b"HTTP/1.1 304 Not Modified\r\n\r\n" + HIDDEN, 502, b"", UNASKED),
    Split("a part that nobody asked for", b"HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 0-1/4\r\n"
          b"content-length: 2\r\n\r\nok" + HIDDEN, 502, b"", UNASKED),
    Split("content for a HEAD", OK + b"content-length: 2\r\n\r\n" + HIDDEN, 200, b"", NONE, "HEAD"),
    Split("101", b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n" + HIDDEN, 502, b"",
          "RFC 9110 15.2.2: it was not requested"),
    Split("103 without end", b"HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n" * 5000, 502, b"",
          "interim heads and the final one: 64 KiB together"),
    Split("lines that end in LF", b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok" + HIDDEN, 502, b"", HEAD),
    Split("a length behind a bare CR", OK + b"x: y\rcontent-length: 2\r\n\r\nok" + HIDDEN, 502, b"", HEAD),
    Split("white space before the colon", OK + b"content-length : 2\r\n\r\nok" + HIDDEN, 502, b"", HEAD),
    Split("NUL in a field", OK + b"x: \0\r\ncontent-length: 2\r\n\r\nok" + HIDDEN, 502, b"", HEAD),
    Split("a length with a plus", OK + b"content-length: +2\r\n\r\nok" + HIDDEN, 502, b"", HEAD),
    Split("a chunk's size with 0x", OK + CHUNKED + b"\r\n0x2\r\nok\r\n0\r\n\r\n" + HIDDEN, 200, b"",
          "RFC 9112 7.1: no size; the response is cut off"),
]  # fmt: skip


@pytest.mark.parametrize("tiers", [1, 2])
@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
@pytest.mark.parametrize("split", SPLITS, ids=[one.name for one in SPLITS])
def test_no_answer_is_given_to_another(split: Split, profile: Profile, tiers: int) -> None:
    async def run() -> None:
        async with attacked(profile, tiers=tiers) as lab:

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                writer.write(split.sent)
                if split.name == "no length at all":
                    writer.close()

            lab.origin.does("/attack", script)
            await lab.honest("/before")
            asked = f"{split.method} /attack HTTP/1.1\r\nhost: edge\r\n{split.fields}\r\n"
            reply = await lab.ask(asked.encode())
            if profile is PROFILES["rfc9111"]:
                assert reply.status == split.status
            assert b"hidden" not in reply.body and (reply.body == split.body or reply.status >= 400)
            for _ in range(2):
                await lab.honest("/victim")
                await lab.honest("/hidden")
            assert len(lab.origin.heard) >= 2, "it was asked over the same connection"
            assert lab.origin.requests.count("GET /victim") == lab.origin.requests.count("GET /hidden") == 1

    asyncio.run(run())


def test_what_comes_unasked_on_a_connection_at_rest_is_nobodys_answer() -> None:
    async def run() -> None:
        async with attacked() as lab:
            await lab.honest("/before")
            for writer in lab.origin.connections:
                writer.write(HIDDEN)
                await writer.drain()
            async with asyncio.timeout(GUARD_S):
                while lab.origin.connections:  # noqa: ASYNC110  (until the edge has hung up; a set has no event)
                    await asyncio.sleep(0.001)
            await lab.honest("/victim")
            await lab.honest("/victim")
            assert lab.origin.requests.count("GET /victim") == 1

    asyncio.run(run())
