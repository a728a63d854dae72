"""How a version of HTTP writes a head, and what of it is the same at any time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cdnkit.policy.answer.prepared import ticking
from cdnkit.policy.http.messages import Lines
from cdnkit.serving import field_block, status_block, status_line


@dataclass(frozen=True, slots=True, eq=False)
class Wire:
    """One version of HTTP."""

    status: Callable[[int], bytes]
    fields: Callable[[Lines], bytes]
    ingredients: Callable[[int, Lines], Any]
    """Of a hit's head: all but the numbers in Age and in our member of Cache-Status."""
    head: Callable[[Any, int, int], bytes]
    """The head with its Age and its ttl."""


def field_lines(lines: Lines) -> bytes:
    """As HTTP/1.1 has them."""
    return "".join([f"{name}: {value}\r\n" for name, value in lines]).encode("latin-1")


def _template(status: int, lines: Lines) -> bytes:
    age_at, ttl_at = ticking(lines)
    text = [f"{name}: {value}\r\n".replace("%", "%%") for name, value in lines]
    text[age_at] = "age: %d\r\n"
    text[ttl_at] = text[ttl_at].rpartition("ttl=")[0] + "ttl=%d\r\n"
    return status_line(status) + "".join(text).encode("latin-1")


def _filled_in(template: bytes, age: int, ttl: int) -> bytes:
    return template % (age, ttl)


def _blocks(status: int, lines: Lines) -> tuple[bytes, bytes, str, bytes]:
    age_at, ttl_at = ticking(lines)
    before, behind = status_block(status) + field_block(lines[:age_at]), field_block(lines[ttl_at + 1 :])
    return before, field_block(lines[age_at + 1 : ttl_at]), lines[ttl_at][1].rpartition("ttl=")[0], behind


def _joined(blocks: tuple[bytes, bytes, str, bytes], age: int, ttl: int) -> bytes:
    before, between, member, behind = blocks
    told = field_block([("age", str(age))]), field_block([("cache-status", f"{member}ttl={ttl}")])
    return b"".join((before, told[0], between, told[1], behind))


HTTP1 = Wire(status_line, field_lines, _template, _filled_in)
HTTP2 = Wire(status_block, field_block, _blocks, _joined)
