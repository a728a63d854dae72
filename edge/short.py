"""Hits and refusals by the short way (`cdnkit/policy/machine/short_way.py`), with their bytes and their records.

A head's bytes are kept with the entry, or the prepared refusal, for as long as the head is good. A record is the copy
of one that all requests that are alike share.
"""

from collections.abc import Callable
from math import inf
from typing import Any

import msgspec

from cdnkit.policy.answer.prepared import ticks
from cdnkit.policy.http.messages import Lines, RequestHead
from cdnkit.policy.http.ranges import Span
from cdnkit.policy.machine.short_way import Alike, Target, Turned
from cdnkit.policy.outcomes import Outcome
from cdnkit.policy.plan import Plan, PreparedRefusal, Refuse
from cdnkit.policy.record.lines import RequestRecord
from cdnkit.policy.record.object_class import ObjectClass, classify
from cdnkit.policy.store.entry import Entry
from cdnkit.serving import Whole
from edge.collector import leave_out
from edge.driver import Driver
from edge.recorder import OF_THE_OBJECT, Recorder
from edge.wire import HTTP1, HTTP2, Wire

_copied: Callable[[RequestRecord], RequestRecord] = RequestRecord.__copy__  # type: ignore[attr-defined]
"""`copy.copy` looks in three places before it comes to this."""


class Short:
    """The hits and refusals of one driver for the requests that are alike."""

    __slots__ = (
        "_alike",
        "_asks",
        "_clock",
        "_record",
        "_recorder",
        "_refused",
        "_responder",
        "_sends_bodies",
        "_state",
        "_vary_count",
        "_way",
        "_whole",
        "_wire",
    )

    def __init__(self, driver: Driver, alike: Alike) -> None:
        self._wire = HTTP2 if alike.request.version == "2" else HTTP1
        self._alike = alike
        self._asks = alike.conditional and alike.condition != ()
        self._sends_bodies = alike.request.method != "HEAD"
        self._whole, self._clock, self._recorder = driver.bodies.whole, driver.clock, driver.recorder
        self._state = state = driver.machine.state
        self._way, self._responder = driver.machine.short_way, state.responder
        self._record: RequestRecord
        self._refused: RequestRecord
        self._vary_count = -1
        """Those named in any Vary when the two templates of records were made."""

    def answer(self, text: str) -> "Recorded | Target | None":
        """The response to the one with this target; its target, if nothing is stored for it; None: it takes the long
        way. Nothing has changed then."""
        alike, now, way = self._alike, self._clock(), self._way
        found = way.find(alike, text, now)
        if found is None:
            return None
        if isinstance(found, Turned):
            plan = way.turn(found, now)
            if found.shell is None:
                found.shell = self._shown(found.request if plan.admitted is None else plan.admitted.public)
            return self._refusal(plan, found.request, found.shell, len(text), now)
        target, entry = found
        if entry is None:
            return target
        ready: _Ready | None = entry.prepared_parts
        if ready is None or ready.wire is not self._wire or now >= ready.until:
            ready = self._ready(target, entry, now)
        part = ready.whole
        if self._asks:
            asked = ready.part if alike.condition is not None and alike.condition == ready.condition else None
            asked = asked or self._part(ready, target, entry, now)
            if asked is None:
                return None
            part = asked
        body: bytes | memoryview = b""
        if part.has_body and self._sends_bodies:
            whole = self._whole(entry)
            if whole is None:
                return None
            body = whole if part.span is None else memoryview(whole)[part.span.start : part.span.stop]
        way.hit(entry, conditional=alike.conditional)
        if now >= part.until:
            age, ttl, part.until = ticks(entry.life, now)
            part.text = self._wire.head(part.ingredients, age, ttl)
        head = part.text
        if not self._responder.same_for_all:
            head += ready.wire.fields(self._responder.own_lines(entry, now))
        if self._vary_count != len(self._state.vary_fields):
            self._fresh_templates()
        record = _copied(self._record)
        record.seq = self._state.events
        record.at = now
        record.url = target.shell or self._url(target)
        record.status = part.status
        record.behavior = target.rule.behavior.path
        record.object_class = ready.object_class
        record.rendition = ready.rendition
        record.head_bytes += len(text)
        return Recorded(head, body, record, self._recorder)

    def refusal(self, plan: Refuse, request: RequestHead, target_bytes: int, now: float) -> "Recorded":
        """The response to one that the gate refused. `request`: with its token; its target has so many bytes."""
        shown = self._shown(request if plan.admitted is None else plan.admitted.public)
        return self._refusal(plan, request, shown, target_bytes, now)

    def _shown(self, public: RequestHead) -> tuple[str, ObjectClass, str]:
        return self._recorder.shown(public.target), *classify(public.path)

    def _refusal(
        self, plan: Refuse, request: RequestHead, shown: tuple[str, ObjectClass, str], target_bytes: int, now: float
    ) -> "Recorded":
        wire, prepared, ends = self._wire, plan.prepared, False
        if prepared is not None and len(plan.headers) == len(prepared.lines):
            head = _refused_head(prepared, plan.status, wire)
        else:
            ends = ("connection", "close") in plan.headers
            head = wire.status(plan.status) + wire.fields([*plan.headers, *_length(plan.status, plan.body)])
        if self._vary_count != len(self._state.vary_fields):
            self._fresh_templates()
        record = _copied(self._refused)
        record.seq = self._state.events
        record.at = now
        url, record.object_class, record.rendition = shown
        record.url = self._alike.origin + url
        record.status = plan.status
        record.behavior = plan.rule.behavior.path
        record.reason = plan.reason
        record.refusal = None if plan.refusal is None else plan.refusal.kind
        record.head_bytes += target_bytes
        if plan.admitted is not None and plan.admitted.public.headers is not request.headers:
            record.headers = self._recorder.kept(plan.admitted.public)
        return Recorded(head, plan.body if self._sends_bodies else b"", record, self._recorder, ends=ends)

    def missing(self, target: Target, text: str, now: float) -> Plan | None:
        """What to do for a request that has just been found to be for this target, and no hit; None: it takes the long
        way."""
        return self._way.on_missing(self._alike, target, text, now)

    def _ready(self, target: Target, entry: Entry, now: float) -> "_Ready":
        prepared, wire = self._responder.prepared, self._wire
        if entry.prepared_until == 0.0 or (now >= entry.prepared_until and not prepared.tick):
            prepared.prepare(entry, target.rule, now)
            leave_out(entry.prepared)
        first: _Ready | None = entry.prepared_parts
        if first is not None and first.other is not None:
            return first.other
        content_type = entry.content_type if entry.status in OF_THE_OBJECT else ""
        until = inf if prepared.tick else entry.prepared_until
        made = _Ready(wire, until, _part(wire, entry.status, entry.prepared), *classify(target.path, content_type))
        if first is None:
            entry.prepared_parts = made
        else:
            first.other = made
        return made

    def _part(self, ready: "_Ready", target: Target, entry: Entry, now: float) -> "_Part | None":
        """What of a response goes out to a request with conditions; None: it takes the long way."""
        alike = self._alike
        form = self._way.form(alike.request, entry, now)
        if form is None:
            return None
        status, span = form
        if status == 304:
            lines = self._responder.lines_of_304(entry.prepared, target.rule)
        elif span is not None:
            lines = [line for line in entry.prepared if line[0] not in ("content-length", "content-range")]
            lines += _framing(span, entry.length)
        else:
            return ready.whole
        part = _part(ready.wire, status, lines, span)
        if alike.condition is not None:
            ready.condition, ready.part = alike.condition, part
        return part

    def _fresh_templates(self) -> None:
        self._vary_count = len(self._state.vary_fields)
        self._record = template = self._recorder.template(self._alike.request)
        self._refused = _copied(template)
        self._refused.outcome = Outcome.REFUSED

    def _url(self, target: Target) -> str:
        path = target.path if target.query is None else f"{target.path}?{target.query}"
        url: str = target.origin + self._recorder.shown(path)
        target.shell = url
        return url


class _Part(msgspec.Struct, gc=False):
    """What of a stored response goes out: the whole, a part, or the head alone."""

    status: int
    span: Span | None
    has_body: bool
    ingredients: Any
    """Of its head."""
    text: bytes = b""
    """Its head, for as long as Age and ttl are the same."""
    until: float = 0.0


def _part(wire: Wire, status: int, lines: Lines, span: Span | None = None) -> _Part:
    return _Part(status, span, status not in (204, 304), wire.ingredients(status, lines))


class _Ready(msgspec.Struct, gc=False):
    """What is made of an entry's prepared head for one version of HTTP. It refers to nothing that refers to it."""

    wire: Wire
    until: float
    """How long it is good for, if the profile's heads differ in more than Age and ttl."""
    whole: _Part
    object_class: ObjectClass
    rendition: str
    condition: tuple[str, ...] | None = None
    part: _Part | None = None
    """What the last request with conditions got, and its `Alike.condition`."""
    other: "_Ready | None" = None
    """The same for the other version."""


def _framing(span: Span, length: int | None) -> Lines:
    size = str(span.stop - span.start)
    return [("content-range", f"bytes {span.start}-{span.stop - 1}/{length}"), ("content-length", size)]


def _refused_head(prepared: PreparedRefusal, status: int, wire: Wire) -> bytes:
    heads: dict[Wire, bytes] | None = prepared.parts
    if heads is None:
        heads = prepared.parts = {}
    head = heads.get(wire)
    if head is None:
        lines = [*prepared.lines, *_length(status, prepared.body)]
        head = heads[wire] = wire.status(status) + wire.fields(lines)
    return head


def _length(status: int, body: bytes) -> Lines:
    return [] if status == 204 else [("content-length", str(len(body)))]


class Recorded(Whole):
    """A response whose record is there, but for its end."""

    __slots__ = ("_record", "_recorder")

    def __init__(
        self, head: bytes, body: bytes | memoryview, record: RequestRecord, recorder: Recorder, *, ends: bool = False
    ) -> None:
        self.head = head
        self.body = body
        self.ends = ends
        self._record = record
        self._recorder = recorder

    def done(self, sent: int, why: str | None) -> None:
        self._recorder.sent(self._record, sent, why)
