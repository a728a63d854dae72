"""How careless parsers read the bytes of requests: two that disagree on where a request ends are what smuggling needs.

None of this is how the edge reads. A row of the attack table names two readings, and a test shows first that they see
different requests in its bytes: an attack on which everyone agrees is none.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Reading:
    """One parser's habits. Each of them has been some real server's."""

    body: Literal["chunked", "length", "none", "rest"] = "chunked"
    """Content ends by Transfer-Encoding, and without one by Content-Length; by the latter alone; there is none, whatever
    follows a head is a request; or all the rest is content."""
    length: Literal["first", "last"] = "last"
    """Of several Content-Lengths."""
    lines: Literal["crlf", "lf", "cr"] = "crlf"
    """What ends a line, besides CRLF."""
    fields: Literal["exact", "trimmed", "any"] = "exact"
    """`Name : value` is a field of no known name, or of that name with its white space off, in the value too; "any": a
    line without a colon passes."""
    coding: Literal["exact", "contains"] = "exact"
    """A Transfer-Encoding is chunked if it is that word, or if it has it somewhere."""
    folds: bool = False
    """A line that begins with white space goes on with the one before."""
    numbers: Literal["digits", "as C"] = "digits"
    """Sizes are read by Python's int; "as C": by strtoul, which takes signs and 0x, and ends at what is no digit, and two
    octets behind a chunk are skipped, whatever they are."""


CHUNKED = Reading()
LENGTH = Reading("length")
FIRST_LENGTH = Reading("length", length="first")
NO_BODY = Reading("none")
HEX = Reading(numbers="as C")
LINES_END_IN_LF = Reading(lines="lf")
LINES_END_IN_CR = Reading(lines="cr")
SLOPPY = Reading(fields="trimmed", coding="contains", folds=True, numbers="as C")


def requests_in(raw: bytes, how: Reading) -> list[str]:
    """The request lines that such a parser finds; what it would refuse or wait for is left out, with all behind it."""
    return list(_split(raw, how))


_ONE = {"crlf": rb"\r\n", "lf": rb"\r?\n", "cr": rb"\r\n?"}


def _split(raw: bytes, how: Reading) -> Iterator[str]:
    one = _ONE[how.lines]
    while (end := re.search(one + one, raw)) is not None:
        head, raw = raw[: end.start()], raw[end.end() :]
        if how.folds:
            head = re.sub(one + rb"[ \t]+", b" ", head)
        first, *lines = re.split(one, head)
        if how.fields != "any" and not all(b":" in line for line in lines):
            return
        yield first.decode("latin-1")
        rest = _behind_content(_fields_of(lines, how), raw, how)
        if rest is None:
            return
        raw = rest


def _fields_of(lines: list[bytes], how: Reading) -> dict[bytes, list[bytes]]:
    fields: dict[bytes, list[bytes]] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        name, value = (name.strip(b" \0"), value.strip()) if how.fields == "trimmed" else (name, value.strip(b" \t"))
        fields.setdefault(name.lower(), []).append(value)
    return fields


def _behind_content(fields: dict[bytes, list[bytes]], raw: bytes, how: Reading) -> bytes | None:
    """What follows the content; None where it has no end, or is refused."""
    if how.body in ("none", "rest"):
        return raw if how.body == "none" else None
    codings = [value.lower() for value in fields.get(b"transfer-encoding", ())]
    coded = any(b"chunked" in one if how.coding == "contains" else one == b"chunked" for one in codings)
    if coded and how.body == "chunked":
        return _behind_chunks(raw, how)
    lengths = fields.get(b"content-length")
    if not lengths:
        return raw
    size = _number(lengths[0 if how.length == "first" else -1], how, 10)
    return None if size is None or size > len(raw) else raw[size:]


def _number(text: bytes, how: Reading, base: int) -> int | None:
    if how.numbers == "digits":
        try:
            return int(text or b"0", base) % 2**32  # which takes "+5" and "3_7", too
        except ValueError:
            return None
    pattern = rb"\s*[+-]?(?:0x)?([0-9a-fA-F]*)" if base == 16 or b"x" in text else rb"\s*[+-]?([0-9]*)"
    found = re.match(pattern, text)
    return int((found and found[1]) or b"0", 16 if base == 16 or b"x" in text else 10) % 2**32


def _behind_chunks(raw: bytes, how: Reading) -> bytes | None:
    end = _ONE[how.lines]
    while (line := re.match(rb"(.*?)" + end, raw, re.DOTALL)) is not None:
        size = _number(line[1].partition(b";")[0], how, 16)
        raw = raw[line.end() :]
        if size is None:
            return None
        if size == 0:
            trailers = re.match(rb"(?:[^\r\n]+" + end + rb")*" + end, raw)
            return raw[trailers.end() :] if trailers else None
        after = re.match(b".." if how.numbers == "as C" else end, raw[size:], re.DOTALL)
        if after is None:
            return None
        raw = raw[size + after.end() :]
    return None
