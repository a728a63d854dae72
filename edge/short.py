"""Hits by the short way (`cdnkit/policy/machine/short_way.py`), with their bytes and their records.

A head's bytes are kept with the entry for as long as the head is good. A record is the copy of one that all requests
that are alike share.
"""

from collections.abc import Callable

from cdnkit.policy.http.messages import Lines
from cdnkit.policy.http.ranges import Span
from cdnkit.policy.machine.short_way import Alike, Target
from cdnkit.policy.record.lines import RequestRecord
from cdnkit.policy.record.object_class import ObjectClass, classify
from cdnkit.policy.store.index import Entry
from cdnkit.serving import Whole, status_line
from edge.driver import Driver
from edge.recorder import OF_THE_OBJECT, Recorder

_copied: Callable[[RequestRecord], RequestRecord] = RequestRecord.__copy__  # type: ignore[attr-defined]
"""`copy.copy` looks in three places before it comes to this."""


class Short:
    """The hits of one driver for the requests that are alike."""

    __slots__ = (
        "_alike",
        "_bodies",
        "_clock",
        "_record",
        "_recorder",
        "_responder",
        "_state",
        "_vary_count",
        "_way",
    )

    def __init__(self, driver: Driver, alike: Alike) -> None:
        self._alike = alike
        self._bodies, self._clock, self._recorder = driver.bodies, driver.clock, driver.recorder
        self._state = state = driver.machine.state
        self._way, self._responder = driver.machine.short_way, state.responder
        self._record: RequestRecord | None = None
        self._vary_count = -1

    def hit(self, text: str) -> "ShortHit | None":
        """The response to the one with this target; None: it takes the long way, and nothing has changed."""
        alike, now, way = self._alike, self._clock(), self._way
        found = way.find(alike, text, now)
        if found is None:
            return None
        target, entry = found
        status, span = entry.status, None
        body: bytes | memoryview = b""
        if alike.conditional:
            form = way.form(alike.request, entry, now)
            if form is None:
                return None
            status, span = form
        if status != 304 and alike.request.method != "HEAD" and entry.has_body:
            whole = self._bodies.whole(entry)
            if whole is None:
                return None
            body = whole
        way.hit(entry, target.rule, now, conditional=alike.conditional)
        ready: _Ready = entry.prepared_parts or self._ready(target, entry)
        if status == 304:
            head = ready.not_modified or ready.of_304(self._responder.lines_of_304(entry.prepared, target.rule))
        elif span is not None:
            head = (ready.partial or ready.of_206(entry.prepared)) + _framing(span, entry.length)
            body = memoryview(body)[span.start : span.stop]
        else:
            head = ready.whole
        if not self._responder.same_for_all:
            head += field_lines(self._responder.own_lines(entry, now))
        template = self._record
        if template is None or self._vary_count != len(self._state.vary_fields):
            template = self._fresh_template()
        record: RequestRecord = _copied(template)
        record.seq = self._state.events
        record.at = now
        record.url = target.shell or self._url(target)
        record.status = status
        record.behavior = target.rule.behavior.path
        record.object_class = ready.object_class
        record.rendition = ready.rendition
        record.head_bytes += len(text)
        return ShortHit(head, body, record, self._recorder)

    @staticmethod
    def _ready(target: Target, entry: Entry) -> "_Ready":
        content_type = entry.content_type if entry.status in OF_THE_OBJECT else ""
        head = status_line(entry.status) + field_lines(entry.prepared)
        ready = entry.prepared_parts = _Ready(head, *classify(target.path, content_type))
        return ready

    def _fresh_template(self) -> RequestRecord:
        self._vary_count = len(self._state.vary_fields)
        self._record = template = self._recorder.template(self._alike.request)
        return template

    def _url(self, target: Target) -> str:
        path = target.path if target.query is None else f"{target.path}?{target.query}"
        url: str = target.origin + self._recorder.shown(path)
        target.shell = url
        return url


class _Ready:
    """What is made of an entry's prepared head, until that is made anew."""

    __slots__ = ("not_modified", "object_class", "partial", "rendition", "whole")

    def __init__(self, whole: bytes, object_class: ObjectClass, rendition: str) -> None:
        self.whole = whole
        self.object_class = object_class
        self.rendition = rendition
        self.not_modified = self.partial = b""

    def of_304(self, lines: Lines) -> bytes:
        self.not_modified = status_line(304) + field_lines(lines)
        return self.not_modified

    def of_206(self, lines: Lines) -> bytes:
        """Without the fields of the part."""
        unframed = [line for line in lines if line[0] not in ("content-length", "content-range")]
        self.partial = status_line(206) + field_lines(unframed)
        return self.partial


def _framing(span: Span, length: int | None) -> bytes:
    assert length is not None
    size = span.stop - span.start
    return b"content-range: bytes %d-%d/%d\r\ncontent-length: %d\r\n" % (span.start, span.stop - 1, length, size)


class ShortHit(Whole):
    """A response that was found by the short way."""

    __slots__ = ("_record", "_recorder")

    def __init__(self, head: bytes, body: bytes | memoryview, record: RequestRecord, recorder: Recorder) -> None:
        self.head = head
        self.body = body
        self.ends = False
        self._record = record
        self._recorder = recorder

    def done(self, sent: int, why: str | None) -> None:
        self._recorder.sent(self._record, sent, why)


def field_lines(lines: Lines) -> bytes:
    """As HTTP/1.1 has them."""
    return "".join([f"{name}: {value}\r\n" for name, value in lines]).encode("latin-1")
