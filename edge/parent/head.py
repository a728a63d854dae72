"""A response head as HTTP/1.1 writes it, and what it says about the end of the body (RFC 9112 §4 to §6).

httptools (llhttp) parses, strictly: a bare LF, a space before the colon, a control character in a value or a
malformed Content-Length is refused. Three things it refuses as well are mended first, because the standard says how:
obs-fold becomes a space (RFC 9112 §5.2), equal Content-Lengths become one (RFC 9110 §8.6), and a Content-Length
beside a Transfer-Encoding goes (RFC 9112 §6.3).
"""

import contextlib
import re
from dataclasses import dataclass

import httptools

from cdnkit.policy.http.messages import Headers, Lines, ResponseHead
from edge.parent.canonical import canonical

HEAD_LIMIT_BYTES = 65_536
"""Interim heads and the final one together. Fastly takes 69 kB, CloudFront 20 kB, nginx a buffer of 4 or 8 kB."""

FIELD_LIMIT = 256
"""Field lines in one head. Fastly takes 96, Varnish 64, Apache and Go know no limit but the size."""


class NotHttp(Exception):
    """What came is no response head; says what was found."""


@dataclass(slots=True)
class ReceivedHead:
    """A head, and how its body ends if the request allows it one."""

    head: ResponseHead
    chunked: bool
    length: int | None
    """Of the body, in bytes; None with `chunked` False: it ends with the connection."""
    keep_alive: bool
    """Whether the connection may carry another exchange."""
    rests: float | None
    """Seconds after which the parent ends a connection that rests, by its Keep-Alive field (RFC 2068 §19.7.1.1)."""


class _Fields:
    """The callbacks of httptools."""

    __slots__ = ("complete", "lines")

    def __init__(self) -> None:
        self.lines: Lines = []
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.lines.append((name.decode("latin-1").lower(), value.decode("latin-1").rstrip(" \t")))

    def on_headers_complete(self) -> None:
        self.complete = True


def read_head(raw: bytes) -> ReceivedHead:
    """The head in `raw`, from its status line to its empty line and nothing else; NotHttp says what is wrong."""
    plain = canonical(raw, FIELD_LIMIT)
    if plain is None:
        return parsed_head(raw)
    status, lines, length = plain
    return ReceivedHead(ResponseHead(status, Headers.wrap(lines)), length is None, length, True, None)


def why_no_head(begun: bytes, size: int) -> str | None:
    """Why this beginning cannot become a head; `size`: its bytes, with those of the interim heads before it."""
    if size > HEAD_LIMIT_BYTES:
        return f"response head longer than {HEAD_LIMIT_BYTES} bytes"
    if not begun.startswith(b"HTTP/1."[: len(begun)]):
        return f"found {begun[:40]!r}, wanted HTTP/1.0 or HTTP/1.1"
    if b"\n\n" in begun or b"\n\r\n" in begun.replace(b"\r\n", b""):
        return "lines that end in a bare LF"
    return None


def parsed_head(raw: bytes) -> ReceivedHead:
    """The same by httptools, whatever the head is."""
    if not raw.startswith(b"HTTP/1."):
        raise NotHttp(f"found {raw[:40]!r}, wanted HTTP/1.0 or HTTP/1.1")
    faulty = False
    try:
        fields, status = _parse(raw)
    except httptools.HttpParserError as error:
        mended, faulty = _mend(raw)
        if mended == raw:
            raise NotHttp(str(error)) from error
        try:
            fields, status = _parse(mended)
        except httptools.HttpParserError as still:
            raise NotHttp(str(still)) from still
    if not fields.complete or status < 100:
        raise NotHttp(f"a response head that begins {raw[:40]!r}")
    if len(fields.lines) > FIELD_LIMIT:
        raise NotHttp(f"{len(fields.lines)} field lines, wanted at most {FIELD_LIMIT}")
    length: int | None = None
    codings = connection = rests = ""
    for name, value in fields.lines:
        if name == "content-length":
            length = int(value)
        elif name == "transfer-encoding":
            codings = f"{codings},{value}"
        elif name == "connection":
            connection = f"{connection},{value}"
        elif name == "keep-alive":
            rests = value
    version_1_0 = raw.startswith(b"HTTP/1.0")
    keep_alive = not version_1_0
    if connection:
        options = [option.strip().lower() for option in connection.split(",")]
        keep_alive = "close" not in options and (keep_alive or "keep-alive" in options)
    chunked = False
    if codings:
        # Whatever stands before a final "chunked" is left in the body; without it only the close shows the end.
        chunked = codings.rpartition(",")[2].strip().lower() == "chunked"
        # A Transfer-Encoding in HTTP/1.0, or beside a Content-Length, is faulty framing (RFC 9112 §6.1).
        faulty = faulty or version_1_0
        length = None
    head = ResponseHead(status, Headers.wrap(fields.lines))
    return ReceivedHead(head, chunked, length, keep_alive and not faulty, _timeout_in(rests) if rests else None)


_TIMEOUT = re.compile(r"(?:^|[,;\s])timeout\s*=\s*\"?([0-9]{1,6})\b", re.IGNORECASE)


def _timeout_in(keep_alive: str) -> float | None:
    found = _TIMEOUT.search(keep_alive)
    return float(found[1]) if found is not None else None


def _parse(raw: bytes) -> tuple[_Fields, int]:
    fields = _Fields()
    parser = httptools.HttpResponseParser(fields)
    with contextlib.suppress(httptools.HttpParserUpgrade):  # 101: the caller refuses it
        parser.feed_data(raw)
    return fields, parser.get_status_code()


_FOLD = re.compile(rb"[ \t]*\r\n[ \t]+")


def _mend(raw: bytes) -> tuple[bytes, bool]:
    """The head without folds, repeated lengths, and lengths beside a transfer coding; and whether there were such.

    NotHttp when the lengths differ.
    """
    status_line, separator, rest = raw.partition(b"\r\n")
    if rest[:1] in (b" ", b"\t"):
        return raw, False  # white space before the first field: no fold, and no field either (RFC 9112 §2.2)
    lines = _FOLD.sub(b" ", rest).split(b"\r\n")
    names = [line.partition(b":")[0].lower() for line in lines]
    lengths: list[bytes] = []
    for name, line in zip(names, lines, strict=True):
        if name == b"content-length":
            lengths += [value.strip(b" \t") for value in line.partition(b":")[2].split(b",")]
    coded = b"transfer-encoding" in names
    if lengths:
        if not coded and len(set(lengths)) > 1:
            raise NotHttp(f"Content-Length {' and '.join(str(value, 'latin-1') for value in lengths)}")
        place = names.index(b"content-length")
        kept = [line for name, line in zip(names, lines, strict=True) if name != b"content-length"]
        if not coded:
            kept.insert(place, b"content-length: " + lengths[0])
        lines = kept
    return status_line + separator + b"\r\n".join(lines), coded and bool(lengths)
