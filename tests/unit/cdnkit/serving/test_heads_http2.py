"""The head of a request over HTTP/2: what is none, and what is judged as h2 judges it."""

import random

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived
from h2.exceptions import ProtocolError

from cdnkit.serving.fields import malformed
from cdnkit.serving.frames import ConnectionFault
from cdnkit.serving.heads import REMEMBERED
from cdnkit.serving.heads_http2 import UNSAID, Heads, head_of, priority_of

Lines = list[tuple[bytes, bytes]]
GET: Lines = [(b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/a?b"), (b":authority", b"h")]

ODD: tuple[tuple[bytes, bytes], ...] = (
    (b"x", b"y"), (b"X", b"y"), (b"x", b" y"), (b"x", b"y\t"), (b"x", b""), (b"x", b"\xff"), (b"x", b"a\0b"), (b"x", b"a\nb"),
    (b"x", b"a\tb"), (b"x y", b"z"), (b"x:y", b"z"), (b"", b"z"), (b":", b"z"), (b":x", b"z"), (b":path", b"/b"),
    (b":path", b""), (b":protocol", b"websocket"), (b":status", b"200"), (b"host", b"h"), (b"host", b"g"), (b"te", b"Trailers"),
    (b"te", b"gzip"), (b"connection", b"x"), (b"keep-alive", b"x"), (b"upgrade", b"x"), (b"transfer-encoding", b"chunked"),
    (b"proxy-connection", b"x"), (b"x(y", b"z"), (b"\x7f", b"z"), (b"cookie", b"a=b"), (b"cookie", b"c=d"), (b"x", b"a\x07b"),
    (b":method", b"CONNECT"), (b":scheme", b"ftp"), (b":authority", b""), (b"priority", b"u=1"), (b"content-length", b"x"),
)  # fmt: skip


def odd_heads(seed: int) -> Lines:
    rng = random.Random(seed)
    head = list(GET)
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        what = rng.random()
        if what < 0.2:
            del head[rng.randrange(len(head))]
        elif what < 0.4:
            at = rng.randrange(len(head))
            head[at] = (head[at][0], rng.choice((b"CONNECT", b"http", b"*", b"", b"/", b"g")))
        else:
            head.insert(rng.choice((0, 4, 4, 99)), rng.choice(ODD))
        if not head:
            return list(GET)
    return head


def h2_takes(head: Lines, *, ended: bool) -> Lines | None:
    """The fields that h2 makes of it; None: it ends the connection."""
    client, server = (
        H2Connection(H2Configuration(client_side=True)),
        H2Connection(H2Configuration(client_side=False, header_encoding=None)),
    )
    client.config.validate_outbound_headers = client.config.normalize_outbound_headers = False
    client.initiate_connection()
    client.send_headers(1, head, end_stream=ended)
    try:
        events = server.receive_data(client.data_to_send())
    except ProtocolError:
        return None
    return next([(bytes(n), bytes(v)) for n, v in one.headers] for one in events if isinstance(one, RequestReceived))


@pytest.mark.parametrize("seeds", [range(at, at + 500) for at in range(0, 3000, 500)])
def test_a_head_is_judged_as_h2_judges_it(seeds: range) -> None:
    for seed in seeds:
        head, ended = odd_heads(seed), seed % 2 == 0
        if ended and any(name == b"content-length" for name, _ in head):
            continue  # a stream's fault here
        if head[0][0] == b"cookie":
            continue  # h2 puts cookies behind all others before it looks
        wanted = h2_takes(head, ended=ended)
        if wanted is None:
            with pytest.raises(ConnectionFault):
                head_of(head, ended=ended)
            continue
        got = head_of(head, ended=ended)
        assert got.malformed == (malformed(wanted, ended=ended) or not dict(wanted).get(b":path", b"/").isascii()), seed


CANONICAL = [  # fields behind the pseudo-header fields   whether the head may be answered at once
    ([], True),
    ([(b"accept-encoding", b"gzip, br"), (b"cookie", b"a=b")], True),
    ([(b"te", b"trailers"), (b"host", b"h")], True),
    ([(b"x", b"")], False),  # h11 reads it, and heads.py leaves it to that
    ([(b"x", b"a\tb")], False),
    ([(b"x", "é".encode())], False),
    ([(b"x(y", b"z")], False),
    ([(b"expect", b"100-continue")], False),
    ([(b"content-length", b"0")], False),
]


@pytest.mark.parametrize(("fields", "canonical"), CANONICAL)
def test_a_canonical_head_is_one_that_heads_reads(fields: Lines, canonical: bool) -> None:
    assert (head_of([*GET, *fields], ended=True).canonical is not None) is canonical
    assert head_of([*GET, *fields], ended=False).canonical is None


def test_a_head_is_read_once_whatever_its_path() -> None:
    heads = Heads()
    seen = {id(heads.read([(*line, False) for line in [*GET[:2], (b":path", path), GET[3]]], ended=True)[0])
            for path in (b"/a", b"/b?c", b"/")}  # fmt: skip
    assert len(seen) == 1
    odd, path = heads.read([(*line, False) for line in [*GET[:2], (b":path", b"*"), GET[3]]], ended=True)
    assert path == b"*" and id(odd) not in seen and heads.remembered == 1


def test_no_more_heads_are_remembered_than_that() -> None:
    heads = Heads()
    for at in range(2 * REMEMBERED):
        heads.read([*((*line, False) for line in GET), (b"x", b"%d" % at, False)], ended=True)
    assert heads.remembered <= REMEMBERED


def test_a_path_that_comes_twice_or_late_is_never_taken_for_another() -> None:
    for head in ([*GET, (b":path", b"/b")], [GET[0], GET[1], GET[3], (b"x", b"y"), GET[2]], [GET[2], *GET]):
        with pytest.raises(ConnectionFault):
            Heads().read([(*line, False) for line in head], ended=True)


PRIORITIES = [  # a Priority field       urgency, incremental (RFC 9218 §4)
    ("u=0", (0, False)), ("u=7, i", (7, True)), ("i", (3, True)), ("i=?0", (3, False)), ("i=?1,u=5", (5, True)),
    ("u=8", (3, False)), ("", (3, False)), ("x=1, u=2;y=3", (2, False)), ("u=1, u=4", (4, False)),
]  # fmt: skip


@pytest.mark.parametrize(("value", "priority"), PRIORITIES)
def test_priorities_are_read(value: str, priority: tuple[int, bool]) -> None:
    assert priority_of(value) == priority
    assert head_of([*GET, (b"priority", value.encode())], ended=True).priority == (priority if value else UNSAID)
