"""The head of a plain request, if it is written in the one canonical way; everything else is left to h11.

A canonical head is a GET or HEAD of HTTP/1.1 in origin form. Its lines end with CRLF, each field has one space after
the colon, none at its end, and ASCII in between; there is one Host, and neither content nor an upgrade. Browsers,
players, CDNs and load generators write nothing else. What could be read in two ways is no canonical head, so no byte of
it is read here.

A field section is read once: the same client sends it again and again.
"""

import re
from typing import Any

REQUEST_LINE = re.compile(rb"(GET|HEAD) (/[!-~]*) HTTP/1\.1\r\n")
_NAME, _VALUE = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", r"[!-~](?:[ -~]*[!-~])?"
_FIELDS = re.compile(f"(?:{_NAME}: {_VALUE}\r\n)+".encode())
_EACH = re.compile(f"({_NAME}): ({_VALUE})\r\n")

END = b"\r\n\r\n"
LARGEST_HEAD = 16 * 1024
"""Of a canonical head. Browsers send at most 8 KiB or so of cookies to one host."""
LONGEST_REMEMBERED = 1024
"""Of a field section that is remembered. Longer ones have cookies, which differ from client to client."""
REMEMBERED = 4096
"""Field sections: at most 4 MiB of text, and about three times as much when they are read."""

_ONCE = frozenset({"host", "connection"})
LEFT_TO_H11 = frozenset({"content-length", "transfer-encoding", "expect", "upgrade"})


class Fields:
    """The field section of a canonical head."""

    __slots__ = ("closes", "host", "known", "lines")

    def __init__(self, lines: list[tuple[str, str]], host: str, *, closes: bool) -> None:
        self.lines = lines
        """Lower-case names and values, in their order. Whoever reads them changes nothing: they are shared."""
        self.host = host
        self.closes = closes
        """The request is the last of its connection."""
        self.known: Any = None
        """What the application has found out about them."""


def fields_of(section: bytes) -> Fields | None:
    """The fields of a section with its last CRLF; None: it is not canonical."""
    if _FIELDS.fullmatch(section) is None:
        return None
    lines = [(name.lower(), value) for name, value in _EACH.findall(section.decode("ascii"))]
    found: dict[str, str] = {}
    for name, value in lines:
        if name in LEFT_TO_H11 or (name in _ONCE and name in found):
            return None
        found[name] = value
    connection = found.get("connection", "keep-alive").lower()
    if "host" not in found or connection not in ("keep-alive", "close"):
        return None
    return Fields(lines, found["host"], closes=connection == "close")


class FieldSections:
    """The field sections that were read last, by their bytes."""

    __slots__ = ("_known", "_older")

    def __init__(self) -> None:
        self._known: dict[bytes, Fields | None] = {}
        self._older: dict[bytes, Fields | None] = {}

    @property
    def remembered(self) -> int:
        return len(self._known) + len(self._older)

    def read(self, section: bytes) -> Fields | None:
        """As `fields_of`."""
        try:
            return self._known[section]
        except KeyError:
            pass
        found = self._older[section] if section in self._older else fields_of(section)
        if len(section) <= LONGEST_REMEMBERED:
            if len(self._known) >= REMEMBERED // 2:
                self._older, self._known = self._known, {}
            self._known[section] = found
        return found
