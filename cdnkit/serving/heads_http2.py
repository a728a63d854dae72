"""The head of a request over HTTP/2: whether it is one (RFC 9113 §8.2, §8.3), and what it says.

| what is wrong with it                                             | then                       |
|-------------------------------------------------------------------|----------------------------|
| octets, order, number or names of fields; framing of HTTP/1.1     | the connection ends        |
| a length that is none, or is not alone                            | the connection ends        |
| a scheme, path or authority that is none; a length of no content  | the stream is reset        |
| nothing, but it is not canonical                                  | the application is called  |
| nothing                                                           | it may be answered at once |

A canonical head is one that `heads.py` would read in HTTP/1.1. All of a head but its path is read once: the same client
sends it again and again.
"""

import re
from urllib.parse import unquote

from starlette.types import Scope

from cdnkit.serving.fields import Fields as FieldLines
from cdnkit.serving.fields import malformed, request_fields
from cdnkit.serving.frames import Code, ConnectionFault
from cdnkit.serving.heads import LEFT_TO_H11, LONGEST_REMEMBERED, REMEMBERED, Fields
from cdnkit.serving.hpack import CONNECTION_FIELDS, Came
from cdnkit.serving.inbox import EMPTY_QUERY

PATH = re.compile(rb"/[!-~]*")
"""A path that is canonical, with its query."""

_NAME = re.compile(rb":?[!-9;-@\[-~]+")
_VALUE = re.compile(rb"(?:[^\0\n\r\t ](?:[^\0\n\r]*[^\0\n\r\t ])?)?")
_CANONICAL_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_CANONICAL_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_NOT_HERE = frozenset(name.encode() for name in CONNECTION_FIELDS)
_PSEUDO = frozenset({b":method", b":scheme", b":authority", b":path", b":protocol"})
_PRIORITY = re.compile(r"\s*(?:u=([0-7])|(i)(?:=\?([01]))?)\s*(?:;.*)?")

Priority = tuple[int, bool]
"""Urgency, 0 first and 7 last; and whether it shares its turns with its like (RFC 9218 §4)."""

UNSAID: Priority = (3, True)
"""Of a request that says nothing: as urgent as the standard has it; and it shares, as requests did before RFC 9218."""


def priority_of(value: str) -> Priority:
    """A Priority field, or the value in PRIORITY_UPDATE; what cannot be read is not there (RFC 9218 §4)."""
    urgency, incremental = UNSAID[0], False
    for member in value.split(","):
        found = _PRIORITY.fullmatch(member)
        if found is not None:
            if found[1]:
                urgency = int(found[1])
            else:
                incremental = found[3] != "0"
    return urgency, incremental


class Head:
    """A request's head, its path aside."""

    __slots__ = ("canonical", "fields", "length", "malformed", "method", "priority", "remembered")

    def __init__(self, method: str, fields: FieldLines, *, malformed: bool) -> None:
        self.method = method
        self.fields = fields
        """As ASGI has them."""
        self.malformed = malformed
        """Its stream is to be reset."""
        self.canonical: Fields | None = None
        self.length: int | None = None
        """Of its content, where it says so."""
        self.priority = UNSAID
        self.remembered = False
        """It is short enough for it."""


class Heads:
    """The heads that were read last."""

    __slots__ = ("_known", "_older")

    def __init__(self) -> None:
        self._known: dict[Came | tuple[object, ...], Head] = {}
        self._older: dict[Came | tuple[object, ...], Head] = {}

    @property
    def remembered(self) -> int:
        return len(self._known) + len(self._older)

    def read(self, came: Came, *, ended: bool) -> tuple[Head, bytes]:
        """The head, and its path. `ended`: no content follows. ConnectionFault: it is none at all."""
        at = 0
        for at, line in enumerate(came):  # noqa: B007
            if line[0] == b":path" or not line[0].startswith(b":"):
                break
        if not ended or not came or came[at][0] != b":path" or PATH.fullmatch(came[at][1]) is None:
            path = next((value for name, value, _ in came if name == b":path"), b"/")  # CONNECT has none
            return head_of([line[:2] for line in came], ended=ended), path
        path = came[at][1]
        came[at] = _ANY_PATH
        key = tuple(came)
        try:
            return self._known[key], path
        except KeyError:
            pass
        head = self._older.get(key)
        if head is None:
            head = head_of([line[:2] for line in came], ended=True)
        if sum(len(name) + len(value) for name, value, _ in came) <= LONGEST_REMEMBERED:
            if len(self._known) >= REMEMBERED // 2:
                self._older, self._known = self._known, {}
            self._known[key] = head
            head.remembered = True
        return head, path


_ANY_PATH = (b":path", b"/", False)


def head_of(came: FieldLines, *, ended: bool) -> Head:
    """As `Heads.read`."""
    pseudo = check(came, trailers=False)
    lengths = [value for name, value in came if name == b"content-length"]
    if len(lengths) > 1 or not all(value.isdigit() for value in lengths):
        raise ConnectionFault(Code.PROTOCOL_ERROR)
    if malformed(came, ended=ended) or not pseudo.get(b":path", b"/").isascii():
        return Head("", [], malformed=True)
    fields = request_fields(came, ended=ended)
    fields.sort(key=lambda line: line[0] == b"cookie")  # behind all others, as h2 has it
    head = Head(pseudo[b":method"].decode("latin-1"), fields, malformed=False)
    head.length = int(lengths[0]) if lengths and not ended else None
    said = b",".join(value for name, value in came if name == b"priority")
    if said:
        head.priority = priority_of(said.decode("latin-1"))
    if head.method in ("GET", "HEAD") and ended:
        head.canonical = _canonical([(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields])
    return head


def _canonical(lines: list[tuple[str, str]]) -> Fields | None:
    for name, value in lines:
        if name in LEFT_TO_H11 or not (_CANONICAL_NAME.fullmatch(name) and _CANONICAL_VALUE.fullmatch(value)):
            return None
    return Fields(lines, lines[0][1], closes=False)


def check(came: FieldLines, *, trailers: bool) -> dict[bytes, bytes]:
    """The pseudo-header fields. ConnectionFault: what came is no head of a request, or no trailers."""
    pseudo: dict[bytes, bytes] = {}
    regular = trailers
    for name, value in came:
        if _NAME.fullmatch(name) is None or _VALUE.fullmatch(value) is None:
            raise ConnectionFault(Code.PROTOCOL_ERROR)
        if name.startswith(b":"):
            if regular or name in pseudo or name not in _PSEUDO or (name == b":path" and not value):
                raise ConnectionFault(Code.PROTOCOL_ERROR)
            pseudo[name] = value
            continue
        regular = True
        if name in _NOT_HERE or (name == b"te" and value.lower() != b"trailers"):
            raise ConnectionFault(Code.PROTOCOL_ERROR)
    if not trailers:
        _check_pseudo(pseudo, [value for name, value in came if name == b"host"])
    return pseudo


def _check_pseudo(pseudo: dict[bytes, bytes], hosts: list[bytes]) -> None:
    connects = pseudo.get(b":method") == b"CONNECT"
    has_target = b":scheme" in pseudo and b":path" in pseudo
    if connects and b":protocol" not in pseudo:
        right = b":scheme" not in pseudo and b":path" not in pseudo
    else:
        right = has_target and (connects or b":protocol" not in pseudo)
    authority = pseudo.get(b":authority")
    named = (
        len(hosts) <= 1 and (authority is not None or bool(hosts)) and (authority is None or hosts in ([], [authority]))
    )
    if b":method" not in pseudo or not right or not named:
        raise ConnectionFault(Code.PROTOCOL_ERROR)


def scope_of(head: Head, path: bytes, scheme: str, client: tuple[str, int], server: tuple[str, int] | None) -> Scope:
    """What the application is called with."""
    raw_path, _, query = path.partition(b"?")
    return {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.1"}, "http_version": "2", "method": head.method,
        "scheme": scheme, "path": unquote(raw_path.decode("ascii")), "raw_path": raw_path, "query_string": query,
        "root_path": "", "headers": list(head.fields), "client": client, "server": server,
        "state": {EMPTY_QUERY: True} if path.endswith(b"?") else {}, "extensions": {},
    }  # fmt: skip
