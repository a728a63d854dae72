"""A response that is all there, as a front writes it: its head in bytes, and its body."""

from dataclasses import dataclass

from cdnkit.policy.plan import Refuse, Serve
from cdnkit.serving import Whole, field_block, status_block, status_line
from edge.driver import Decided
from edge.response import Head, Response
from edge.wire import field_lines


class AnswerAtOnce(Whole):
    """Any other response than a plain hit."""

    __slots__ = ("_decided",)

    def __init__(self, decided: Decided, head: bytes, body: bytes | memoryview, *, ends: bool) -> None:
        self.head = head
        self.body = body
        self.ends = ends
        self._decided = decided

    def done(self, sent: int, why: str | None) -> None:
        self._decided.driver.written(self._decided, sent, why)


def whole_of(decided: Decided, response: Response) -> AnswerAtOnce:
    """The response that `Driver.at_once` found."""
    head, body = response.head, response.whole
    wire = wire_head(head, decided.request.version)
    if isinstance(head, Refuse):
        body = b"" if decided.request.method == "HEAD" else head.body
    elif isinstance(head, Serve) and head.span is not None and head.body:
        return AnswerAtOnce(decided, wire.head, memoryview(body)[head.span.start : head.span.stop], ends=wire.ends)
    return AnswerAtOnce(decided, wire.head, body, ends=wire.ends)


@dataclass(slots=True)
class WireHead:
    """A head in bytes."""

    version: str
    head: bytes
    length: int | None
    """Of the body that follows, where the head says so or where none may follow."""
    ends: bool


def wire_head(head: Head, version: str) -> WireHead:
    """The head for this version of HTTP; that of a stored response is made once for all who share it."""
    if not isinstance(head, Serve):
        return _made(head, version)
    made: WireHead | None = head.shell
    if made is None or made.version != version:
        made = head.shell = _made(head, version)
    return made


def _made(head: Head, version: str) -> WireHead:
    lines = head.headers
    if isinstance(head, Refuse) and head.status != 204:
        lines = [*lines, ("content-length", str(len(head.body)))]
    found = [value for name, value in lines if name == "content-length"]
    length = 0 if head.status in (204, 304) else int(found[-1]) if found else None
    if version == "2":
        return WireHead(version, status_block(head.status) + field_block(lines), length, ends=False)
    ends = ("connection", "close") in lines
    return WireHead(version, status_line(head.status) + field_lines(lines), length, ends)
