"""Hits by the short way (`cdnkit/policy/machine/short_way.py`), with their bytes and their records.

A head's bytes are kept with the entry for as long as the head is good. A record is the copy of one that all requests
that are alike share.
"""

from copy import copy

from cdnkit.policy.http.messages import Lines
from cdnkit.policy.http.ranges import Span
from cdnkit.policy.machine.short_way import Alike, Target
from cdnkit.policy.record.lines import RequestRecord
from cdnkit.policy.record.object_class import classify
from cdnkit.policy.rule import Rule
from cdnkit.policy.store.index import Entry
from cdnkit.serving import Whole, status_line
from edge.driver import Driver
from edge.recorder import Recorder


class Short:
    """The hits of one driver for the requests that are alike."""

    __slots__ = ("_alike", "_bodies", "_clock", "_driver", "_record", "_recorder", "_responder", "_vary_count", "_way")

    def __init__(self, driver: Driver, alike: Alike) -> None:
        self._driver, self._alike = driver, alike
        self._bodies, self._clock, self._recorder = driver.bodies, driver.clock, driver.recorder
        self._way, self._responder = driver.machine.short_way, driver.machine.state.responder
        self._record: RequestRecord | None = None
        self._vary_count = -1

    def hit(self, text: str) -> "ShortHit | None":
        """The response to the one with this target; None: it takes the long way, and nothing has changed."""
        alike, now, way = self._alike, self._clock(), self._way
        found = way.find(alike, text, now)
        if found is None:
            return None
        target, entry = found
        status, span, body = entry.status, None, b""
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
        head = entry.prepared_bytes
        if status == 304 or span is not None:
            head = self._other_head(entry, target.rule, span)
        elif not head:
            head = entry.prepared_bytes = status_line(status) + field_lines(entry.prepared)
        if not self._responder.same_for_all:
            head += field_lines(self._responder.own_lines(entry, now))
        record = self._record_of(target, entry, status, len(text), now)
        return ShortHit(
            head, body if span is None else memoryview(body)[span.start : span.stop], record, self._recorder
        )

    def _other_head(self, entry: Entry, rule: Rule, span: Span | None) -> bytes:
        """Of a 304, or of a 206 with this part."""
        if entry.prepared_parts is None:
            unframed = [line for line in entry.prepared if line[0] not in ("content-length", "content-range")]
            entry.prepared_parts = (
                status_line(304) + field_lines(self._responder.lines_of_304(entry.prepared, rule)),
                status_line(206) + field_lines(unframed),
            )
        not_modified, partial = entry.prepared_parts
        if span is None:
            return bytes(not_modified)
        size, length = span.stop - span.start, entry.length
        framing = b"content-range: bytes %d-%d/%d\r\ncontent-length: %d\r\n"
        return bytes(partial) + framing % (span.start, span.stop - 1, length, size)

    def _record_of(self, target: Target, entry: Entry, status: int, length: int, now: float) -> RequestRecord:
        recorder, request = self._recorder, self._alike.request
        if self._record is None or self._vary_count != recorder.vary_count:
            self._vary_count = recorder.vary_count
            self._record = recorder.template(request)
        known = target.shell
        if known is None:
            path = target.path if target.query is None else f"{target.path}?{target.query}"
            known = target.shell = target.origin + recorder.shown(path)
        record = copy(self._record)
        record.seq = recorder.seq
        record.at = now
        record.url = known
        record.status = status
        record.behavior = target.rule.behavior.path
        content_type = entry.content_type if status in (200, 206, 304) else ""
        record.object_class, record.rendition = classify(target.path, content_type)
        record.head_bytes = request.head_bytes + length
        return record


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
