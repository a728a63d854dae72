"""Hits by the short way (`cdnkit/policy/machine/short_way.py`), with their bytes and their records.

A head's bytes are kept with the entry for as long as the head is good. A record is the copy of one that all requests
that are alike share.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from cdnkit.policy.http.messages import Lines
from cdnkit.policy.http.ranges import Span
from cdnkit.policy.machine.short_way import Alike, Target
from cdnkit.policy.plan import Plan
from cdnkit.policy.record.lines import RequestRecord
from cdnkit.policy.record.object_class import ObjectClass, classify
from cdnkit.policy.store.entry import Entry
from cdnkit.serving import Whole, field_block, status_block, status_line
from edge.collector import leave_out
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
        "_wire",
    )

    def __init__(self, driver: Driver, alike: Alike) -> None:
        self._wire = HTTP2 if alike.request.version == "2" else HTTP1
        self._alike = alike
        self._bodies, self._clock, self._recorder = driver.bodies, driver.clock, driver.recorder
        self._state = state = driver.machine.state
        self._way, self._responder = driver.machine.short_way, state.responder
        self._record: RequestRecord | None = None
        self._vary_count = -1

    def hit(self, text: str) -> "ShortHit | Target | None":
        """The response to the one with this target; its target, if there is none; None: it takes the long way. Nothing
        has changed then."""
        alike, now, way = self._alike, self._clock(), self._way
        found = way.find(alike, text, now)
        if found is None:
            return None
        target, entry = found
        if entry is None:
            return target
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
        ready: _Ready | None = entry.prepared_parts
        if ready is None or ready.wire is not self._wire:
            ready = self._ready(target, entry)
        if status == 304:
            head = ready.not_modified or ready.of_304(self._responder.lines_of_304(entry.prepared, target.rule))
        elif span is not None:
            head = (ready.partial or ready.of_206(entry.prepared)) + ready.wire.fields(_framing(span, entry.length))
            body = memoryview(body)[span.start : span.stop]
        else:
            head = ready.whole
        if not self._responder.same_for_all:
            head += ready.wire.fields(self._responder.own_lines(entry, now))
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

    def missing(self, target: Target, text: str, now: float) -> Plan | None:
        """What to do for a request that has just been found to be for this target, and no hit; None: it takes the long
        way."""
        return self._way.on_missing(self._alike, target, text, now)

    def _ready(self, target: Target, entry: Entry) -> "_Ready":
        first: _Ready | None = entry.prepared_parts
        if first is not None and first.other is not None:
            return first.other
        content_type = entry.content_type if entry.status in OF_THE_OBJECT else ""
        whole = self._wire.status(entry.status) + self._wire.fields(entry.prepared)
        made = _Ready(self._wire, whole, *classify(target.path, content_type))
        leave_out(entry.prepared)
        if first is None:
            entry.prepared_parts = made
        else:
            first.other = made
        return made

    def _fresh_template(self) -> RequestRecord:
        self._vary_count = len(self._state.vary_fields)
        self._record = template = self._recorder.template(self._alike.request)
        return template

    def _url(self, target: Target) -> str:
        path = target.path if target.query is None else f"{target.path}?{target.query}"
        url: str = target.origin + self._recorder.shown(path)
        target.shell = url
        return url


class _Ready(msgspec.Struct, gc=False):
    """What is made of an entry's prepared head for one version of HTTP, until that head is made anew. In no cycle of
    references."""

    wire: "Wire"
    whole: bytes
    object_class: ObjectClass
    rendition: str
    not_modified: bytes = b""
    partial: bytes = b""
    other: "_Ready | None" = None
    """The same for the other version; that one has none."""

    def of_304(self, lines: Lines) -> bytes:
        self.not_modified = self.wire.status(304) + self.wire.fields(lines)
        return self.not_modified

    def of_206(self, lines: Lines) -> bytes:
        """Without the fields of the part."""
        unframed = [line for line in lines if line[0] not in ("content-length", "content-range")]
        self.partial = self.wire.status(206) + self.wire.fields(unframed)
        return self.partial


def _framing(span: Span, length: int | None) -> Lines:
    size = str(span.stop - span.start)
    return [("content-range", f"bytes {span.start}-{span.stop - 1}/{length}"), ("content-length", size)]


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


@dataclass(frozen=True, slots=True)
class Wire:
    """How a version of HTTP writes a head."""

    status: Callable[[int], bytes]
    fields: Callable[[Lines], bytes]


HTTP1, HTTP2 = Wire(status_line, field_lines), Wire(status_block, field_block)
