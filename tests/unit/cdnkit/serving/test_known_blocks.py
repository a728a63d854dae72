"""A field section that is not decoded again means what the reference decoder reads in it."""

import asyncio
import logging
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hpack import Decoder, Encoder
from hpack.exceptions import HPACKError

from cdnkit.serving import Client, Fields, Listener, Whole, status_block
from cdnkit.serving.frames import END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, frame
from cdnkit.serving.front_http2 import Http2Front
from cdnkit.serving.heads import LONGEST_REMEMBERED, REMEMBERED
from cdnkit.serving.heads_http2 import head_of
from cdnkit.serving.known_blocks import FRAME_BYTES, FRAMES, KnownBlocks, Paths
from tests.unit.cdnkit.serving.test_sender import Wire

PATHS = ["/", "/a", "/live/720p/seg-1-17.m4s?token=1700000000_ab12", "/" + "x" * 130, "/" + "z" * 300]
FIELDS = [("user-agent", "x"), ("user-agent", "y"), ("range", "bytes=0-99"), ("cookie", "a=1"), ("accept", "*/*")]


class Empty(Whole):
    __slots__ = ()

    def __init__(self) -> None:
        self.head, self.body, self.ends = status_block(200), b"", False

    def done(self, sent: int, why: str | None) -> None: ...


class Calm(Wire):
    """One on which a front can also wait and hang up."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def resume_reading(self) -> None: ...

    def write_eof(self) -> None: ...


class Noting:
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[tuple[str, str]]]] = []

    def respond(self, method: str, target: str, fields: Fields, client: Client) -> Whole:
        self.asked.append((target, fields.lines))
        return Empty()


def string(text: bytes, encoder: Encoder, *, huffman: bool) -> bytes:
    """As it is written in a block (RFC 7541 §5.2)."""
    octets = encoder.huffman_coder.encode(text) if huffman else text
    size, first = len(octets), 0x80 if huffman else 0
    if size < 127:
        return bytes((first | size,)) + octets
    rest, out = size - 127, bytearray((first | 127,))
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    return bytes(out) + bytes((rest,)) + octets


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def front_of(application: Any, loop: asyncio.AbstractEventLoop) -> Http2Front:
    async def make() -> Http2Front:
        listener = Listener(lambda *_: None, logging.getLogger("test"), front=application)  # type: ignore[arg-type, return-value]
        listener.end_of_block = b""
        listener.run = lambda *_: None  # type: ignore[method-assign]
        front = Http2Front(listener, loop, Calm(), Client("127.0.0.1", 1, "http", None))
        front.begin(PREFACE + frame(SETTINGS, 0, 0))
        return front

    return loop.run_until_complete(make())


@pytest.mark.parametrize("seed", range(60))
def test_what_is_known_is_what_the_reference_reads(seed: int, loop: asyncio.AbstractEventLoop) -> None:
    """Paths as literals that are not indexed, at any place among the pseudo-header fields; fields that come again, are
    new to the table, or push others out of it; and blocks of which some octets are others."""
    rng = random.Random(seed)
    noting, encoder, reference = Noting(), Encoder(), Decoder()
    front = front_of(noting, loop)
    wanted: list[tuple[str, list[tuple[str, str]]]] = []
    for stream_id in range(1, 400, 2):
        pseudo = [encoder.encode([one]) for one in ((":method", "GET"), (":scheme", "http"), (":authority", "h"))]
        path = string(rng.choice(PATHS).encode(), encoder, huffman=rng.random() < 0.7)
        pseudo.insert(rng.randint(0, 3), b"\x04" + path)
        fields = rng.sample(FIELDS, rng.choice((0, 1, 1, 3)))
        if rng.random() < 0.1:
            fields.append(("x", rng.choice("abcd") * rng.choice((1, 2000))))
        block = bytearray(b"".join(pseudo) + encoder.encode(fields, huffman=rng.random() < 0.5))
        if seed >= 30 and rng.random() < 0.05:
            at = rng.randrange(len(block) + 1)
            block[at : at + rng.choice((0, 1, 3))] = rng.randbytes(rng.choice((0, 1, 2)))
        try:
            came = [(bytes(name), bytes(value)) for name, value in reference.decode(bytes(block), raw=True)]
        except (HPACKError, IndexError, TypeError):
            front.data_received(frame(HEADERS, END_HEADERS | END_STREAM, stream_id, bytes(block)))
            assert front._closing
            break
        front.data_received(frame(HEADERS, END_HEADERS | END_STREAM, stream_id, bytes(block)))
        if front._closing or len(noting.asked) == len(wanted):
            break  # what the octets that are others came to is no canonical head, or none at all
        head = head_of(came, ended=True)
        assert head.canonical is not None
        wanted.append((next(value for name, value in came if name == b":path").decode(), head.canonical.lines))
        assert noting.asked == wanted
    assert seed >= 30 or len(wanted) == 200


AFTER = [  # a block behind one that is known              what it is
    (b"\x82\x04\x85/a\x86\x41\x01h", "a path that is shorter than its length says"),
    (b"\x82\x04", "a path without a length"),
    (b"\x82\x04\x7f\xff\xff\xff\xff\x7f", "a length beyond all memory"),
    (b"\x82\x04\x82\x1f\xff\x86\xbe", "a whole octet of padding"),
]


@pytest.mark.parametrize(("block", "what"), AFTER)
def test_a_block_that_is_not_whole_is_not_known(block: bytes, what: str, loop: asyncio.AbstractEventLoop) -> None:
    noting = Noting()
    front = front_of(noting, loop)
    front.data_received(frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x82\x04\x02/a\x86\x41\x01h"))
    front.data_received(frame(HEADERS, END_HEADERS | END_STREAM, 3, b"\x82\x04\x02/a\x86\xbe"))
    front.data_received(frame(HEADERS, END_HEADERS | END_STREAM, 5, b"\x82\x04\x02/b\x86\xbe"))
    front.data_received(frame(HEADERS, END_HEADERS | END_STREAM, 7, b"\x82\x04\x02/b\x86\xbe"))
    assert [path for path, _ in noting.asked] == ["/a", "/a", "/b", "/b"]
    front.data_received(frame(HEADERS, END_HEADERS | END_STREAM, 9, block))
    assert front._closing and len(noting.asked) == 4


def test_no_more_is_remembered_than_the_bounds_say() -> None:
    paths = Paths()
    head = head_of([(b":method", b"GET"), (b":path", b"/"), (b":scheme", b"http"), (b":authority", b"h")], ended=True)
    head.remembered = True
    known = KnownBlocks(paths)
    for number in range(2 * REMEMBERED):
        path = f"/{number}"
        literal = b"\x04" + bytes((len(path),)) + path.encode()
        known.learn(b"\x82" + literal + bytes((0x80 | 1 + number % 100,)), head, path)
        assert known.find(b"\x82" + literal + bytes((0x80 | 1 + number % 100,))) == (head, path)
    assert len(known._heads) <= FRAMES and paths.remembered <= REMEMBERED
    long = b"x" * (LONGEST_REMEMBERED + 1)
    paths.put(long, "/x")
    assert paths.get(long) is None
    large = b"\x82\x04\x02/a" + b"\x86" * FRAME_BYTES
    known.learn(large, head, "/a")
    assert known.find(large) is None


def test_who_polls_one_playlist_while_others_come_and_go_is_known_on() -> None:
    paths = Paths()
    paths.put(b"playlist", "/live.m3u8")
    for number in range(4 * REMEMBERED):
        paths.put(b"%d" % number, "/x")
        if not number % 1000:
            assert paths.get(b"playlist") == "/live.m3u8"
