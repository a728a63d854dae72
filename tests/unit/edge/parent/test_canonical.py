"""The quick reader of heads says what the parser says, or nothing: a table, and whatever bytes there are."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.parent.canonical import LONGEST_LINE, canonical
from edge.parent.head import FIELD_LIMIT, NotHttp, ReceivedHead, parsed_head, read_head

HEADS = [  # status line and fields, whether the quick reader takes it
    ("HTTP/1.1 200 OK", "Content-Length: 5", True),
    ("HTTP/1.1 200 ", "content-length: 0", True),
    ("HTTP/1.1 304 Not Modified", "ETag: \"a\"\r\nContent-Length: 0", True),
    ("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", True),
    ("HTTP/1.1 200 OK", "Connection: keep-alive\r\nContent-Length: 5", True),
    ("HTTP/1.1 200 OK", "content-length: 5\r\nX-Long: " + "a" * (LONGEST_LINE - 8), True),
    ("HTTP/1.1 200 OK", "content-length: 5\r\nX-Long: " + "a" * (LONGEST_LINE - 7), False),
    ("HTTP/1.1 200 OK", "content-length: 5" + "\r\na: b" * (FIELD_LIMIT - 1), True),
    ("HTTP/1.1 200 OK", "content-length: 5" + "\r\na: b" * FIELD_LIMIT, False),
    ("HTTP/1.1 200 OK", "a: b", False),  # its end is the connection's
    ("HTTP/1.1 200 OK", "Connection: close\r\nContent-Length: 5", False),
    ("HTTP/1.1 200 OK", "Connection: Keep-Alive\r\nContent-Length: 5", False),
    ("HTTP/1.1 200 OK", "Keep-Alive: timeout=5\r\nContent-Length: 5", False),
    ("HTTP/1.1 200 OK", "Upgrade: h2c\r\nContent-Length: 5", False),
    ("HTTP/1.1 200", "Content-Length: 5", False),
    ("HTTP/1.0 200 OK", "Content-Length: 5", False),
    ("HTTP/1.1 101 Switching Protocols", "Content-Length: 5", False),
    ("HTTP/1.1 103 Early Hints", "Content-Length: 5", False),
    ("HTTP/1.1 999 Odd", "Content-Length: 5", False),
    ("HTTP/1.1  200 OK", "Content-Length: 5", False),
    ("HTTP/1.1 200 OK", "Content-Length: 5\r\nContent-Length: 5", False),
    ("HTTP/1.1 200 OK", "Content-Length: 5, 5", False),
    ("HTTP/1.1 200 OK", "Content-Length: 05", False),
    ("HTTP/1.1 200 OK", "Content-Length: +5", False),
    ("HTTP/1.1 200 OK", "Content-Length: 99999999999999999999", False),
    ("HTTP/1.1 200 OK", "Content-Length: 5\r\nTransfer-Encoding: chunked", False),
    ("HTTP/1.1 200 OK", "Transfer-Encoding: gzip, chunked", False),
    ("HTTP/1.1 200 OK", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", False),
    ("HTTP/1.1 200 OK", "Content-Length : 5", False),
    ("HTTP/1.1 200 OK", "Content-Length:5", False),
    ("HTTP/1.1 200 OK", "Content-Length: 5 ", False),
    ("HTTP/1.1 200 OK", "Content-Length: 5\r\nA:", False),
    ("HTTP/1.1 200 OK", "Content-Length: 5\r\nA: b\tc", False),
    ("HTTP/1.1 200 OK", "Content-Length: 5\r\nA: \xe4", False),
    ("HTTP/1.1 200 OK", "Content-Length: 5\r\nA: b\r\n c", False),
    ("HTTP/1.1 200 OK", "Content-Length: 5\r\nA: b\nB: c", False),
    ("HTTP/1.1 200 OK", "Content-Length: 5\r\nA: b\rB: c", False),
    ("HTTP/1.1 200 OK", "Content-Length: 5\r\nA: b\0c", False),
    ("HTTP/1.1 200 OK\n", "Content-Length: 5", False),
]  # fmt: skip


def by(reader: object, raw: bytes) -> ReceivedHead | None:
    try:
        return reader(raw)  # type: ignore[operator, no-any-return]
    except NotHttp:
        return None


@pytest.mark.parametrize(("first", "fields", "quick"), HEADS)
def test_both_read_alike_what_the_quick_one_takes(first: str, fields: str, quick: bool) -> None:
    raw = f"{first}\r\n{fields}\r\n\r\n".encode("latin-1")
    assert (canonical(raw, FIELD_LIMIT) is not None) == quick
    assert by(read_head, raw) == by(parsed_head, raw)


NAMES = st.sampled_from(
    ["Content-Length", "content-length", "Transfer-Encoding", "Connection", "Keep-Alive", "ETag", "x", "Upgrade"]
)
VALUES = st.one_of(
    st.sampled_from(
        ["5", "0", "chunked", "close", "keep-alive", "timeout=5", "gzip", "h2c", "", " ", "a b", "05", "5 "]
    ),
    st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=4),
)
COLONS = st.sampled_from([": ", ": ", ": ", ":", " : ", ":  ", ":\t"])
ENDS = st.sampled_from(["\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n ", ""])
FIRST = st.sampled_from(["HTTP/1.1 200 OK", "HTTP/1.1 404 ", "HTTP/1.0 200 OK", "HTTP/1.1 304 x", "HTTP/1.1 200"])


@settings(max_examples=1500, deadline=None)
@given(FIRST, st.lists(st.tuples(NAMES, COLONS, VALUES, ENDS), max_size=5))
def test_no_bad_manners_are_read_differently(first: str, fields: list[tuple[str, str, str, str]]) -> None:
    text = f"{first}\r\n" + "".join("".join(field) for field in fields)
    raw = text.rstrip("\r\n").encode("latin-1") + b"\r\n\r\n"
    if raw.find(b"\r\n\r\n") + 4 == len(raw):  # a head and nothing else
        assert by(read_head, raw) == by(parsed_head, raw)
