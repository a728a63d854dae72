"""The head of a response as nearly all parents write it, read line by line: a line that came before costs a look-up.

What is canonical is a choice, narrower than what HTTP allows: `HTTP/1.1`, CRLF alone, one space behind the colon,
printable ASCII, and framing that leaves no question. Any other head is left to the parser of `head.py`, which reads
these alike (`tests/unit/edge/parent/test_canonical.py` holds the two beside one another).
"""

import re
from functools import lru_cache

from cdnkit.policy.http.messages import Lines

REMEMBERED_LINES = 2048
"""Field lines and status lines: most are the same in the heads of many responses."""

LONGEST_LINE = 512
"""Bytes of the longest line that is remembered, and so is canonical: 1 MiB of them in all. Content-Security-Policy is
what is longer, and Link."""

FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive", "upgrade"})
"""Fields that say how the body ends, and what becomes of the connection."""

_FIELD = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ([!-~](?:[ -~]*[!-~])?)")
_STATUS = re.compile(r"HTTP/1\.1 ([2-5][0-9][0-9]) [ -~]*")
_LENGTH = re.compile(r"0|[1-9][0-9]{0,17}")


def canonical(raw: bytes, most: int) -> tuple[int, Lines, int | None] | None:
    """Status, field lines and Content-Length of a head, from its status line to its empty line; None: the parser must
    read it.

    Its connection persists, and its body has that length, or is chunked where there is none. `most`: field lines.
    """
    first, *rest = raw[:-4].split(b"\r\n")
    if len(rest) > most or len(first) > LONGEST_LINE:
        return None
    status = _status(first)
    if status is None:
        return None
    lines: Lines = []
    length: int | None = None
    framed = False
    for one in rest:
        line = _line(one) if len(one) <= LONGEST_LINE else None
        if line is None:
            return None
        if line[0] in FRAMING:
            name, value = line
            if name == "connection" and value == "keep-alive":
                pass
            elif framed:
                return None
            elif name == "content-length" and _LENGTH.fullmatch(value):
                framed, length = True, int(value)
            elif name == "transfer-encoding" and value == "chunked":
                framed = True
            else:
                return None
        lines.append(line)
    return (status, lines, length) if framed else None


@lru_cache(maxsize=REMEMBERED_LINES)
def _line(raw: bytes) -> tuple[str, str] | None:
    found = _FIELD.fullmatch(raw.decode("latin-1"))
    return None if found is None else (found[1].lower(), found[2])


@lru_cache(maxsize=64)
def _status(raw: bytes) -> int | None:
    found = _STATUS.fullmatch(raw.decode("latin-1"))
    return None if found is None else int(found[1])
