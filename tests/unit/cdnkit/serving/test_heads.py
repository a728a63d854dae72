"""Which heads a front reads: those that can be read in one way only."""

import pytest

from cdnkit.serving.heads import LONGEST_REMEMBERED, REMEMBERED, REQUEST_LINE, FieldSections, fields_of

LINES = [  # request line, whether it is canonical
    (b"GET / HTTP/1.1\r\n", True),
    (b"HEAD /a?b=c&d HTTP/1.1\r\n", True),
    (b'GET /a"b#c|d HTTP/1.1\r\n', True),  # the policy refuses it, as it does behind h11
    (b"GET http://h/a HTTP/1.1\r\n", False),
    (b"GET * HTTP/1.1\r\n", False),
    (b"GET  /a HTTP/1.1\r\n", False),
    (b"GET /a  HTTP/1.1\r\n", False),
    (b"GET\t/a HTTP/1.1\r\n", False),
    (b"GET /a\tb HTTP/1.1\r\n", False),
    (b"GET /\xc3\xa9 HTTP/1.1\r\n", False),
    (b"GET /a HTTP/1.1\n", False),
    (b"GET /a HTTP/1.1 \r\n", False),
    (b"GET /a HTTP/1.0\r\n", False),
    (b"GET /a http/1.1\r\n", False),
    (b"GET /a\r\n", False),
    (b"get /a HTTP/1.1\r\n", False),
    (b"POST /a HTTP/1.1\r\n", False),
    (b"\r\nGET /a HTTP/1.1\r\n", False),
]


@pytest.mark.parametrize(("line", "canonical"), LINES)
def test_a_request_line(line: bytes, *, canonical: bool) -> None:
    assert (REQUEST_LINE.match(line) is not None) is canonical


HOST = b"Host: a\r\n"
SECTIONS = [  # field section, its lines if it is canonical
    (HOST, [("host", "a")]),
    (b"HOST: a\r\nX-Y: 1 2  3\r\n", [("host", "a"), ("x-y", "1 2  3")]),
    (HOST + b"connection: Keep-Alive\r\n", [("host", "a"), ("connection", "Keep-Alive")]),
    (HOST + b"x: a\r\nX: b\r\n", [("host", "a"), ("x", "a"), ("x", "b")]),
    (b"", None),
    (b"X: a\r\n", None),  # no Host
    (HOST + HOST, None),
    (b"Host: \r\n", None),
    (b"Host:a\r\n", None),
    (b"Host:  a\r\n", None),
    (b"Host: a \r\n", None),
    (b"Host: a\n", None),
    (b"Host : a\r\n", None),
    (b" Host: a\r\n", None),
    (HOST + b"X: a\r\n b\r\n", None),  # obs-fold
    (HOST + b"X: \xe9\r\n", None),
    (HOST + b"X: a\tb\r\n", None),
    (HOST + b"X: a\0b\r\n", None),
    (HOST + b"X: a\rb\r\n", None),
    (HOST + b"X(): a\r\n", None),
    (HOST + b": a\r\n", None),
    (HOST + b"X\r\n", None),
    (HOST + b"Content-Length: 0\r\n", None),
    (HOST + b"Transfer-Encoding: chunked\r\n", None),
    (HOST + b"Expect: 100-continue\r\n", None),
    (HOST + b"Upgrade: h2c\r\n", None),
    (HOST + b"Connection: upgrade\r\n", None),
    (HOST + b"Connection: close, x\r\n", None),
    (HOST + b"Connection: close\r\nConnection: close\r\n", None),
]


@pytest.mark.parametrize(("section", "lines"), SECTIONS)
def test_a_field_section(section: bytes, lines: list[tuple[str, str]] | None) -> None:
    fields = fields_of(section)
    assert (None if fields is None else fields.lines) == lines


@pytest.mark.parametrize(("value", "closes"), [(b"close", True), (b"Close", True), (b"keep-alive", False)])
def test_the_last_request_of_a_connection(value: bytes, *, closes: bool) -> None:
    fields = fields_of(HOST + b"Connection: " + value + b"\r\n")
    assert fields is not None and fields.closes is closes


def test_sections_are_read_once_and_few_are_remembered() -> None:
    sections = FieldSections()
    first = sections.read(HOST)
    assert sections.read(HOST) is first is not None
    for number in range(3 * REMEMBERED):
        sections.read(HOST + b"X: %d\r\n" % number)
        assert sections.remembered <= REMEMBERED
    long = HOST + b"X: " + b"x" * LONGEST_REMEMBERED + b"\r\n"
    assert sections.read(long) is not sections.read(long)
