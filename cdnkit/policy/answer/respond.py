"""From a decision to a ready head: status, fields, and which part of the body goes with it."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from cdnkit.policy.answer.prepared import PreparedHeads, Ticks
from cdnkit.policy.answer.refusals import Refusals
from cdnkit.policy.answer.status import Signer, cache_status, numbered_ids, quoted
from cdnkit.policy.http import ranges
from cdnkit.policy.http.cache_control import delta_seconds
from cdnkit.policy.http.messages import Headers, Lines, RequestHead, ResponseHead
from cdnkit.policy.outcomes import Cause, Failure, Outcome, Refusal, RefusalKind
from cdnkit.policy.plan import Fetch, Refuse, Relay, Serve
from cdnkit.policy.rule import Rule
from cdnkit.policy.rules.profile import FailureResponse, Profile, plain_page
from cdnkit.policy.store.index import Entry
from cdnkit.policy.store.revalidate import BODY_FIELDS, FIELDS_OF_304, is_not_modified, range_applies, wants_all_fields
from cdnkit.policy.store.slices import Assembly, may_be_sliced

_UNREACHED = frozenset({Failure.NAME, Failure.CONNECT, Failure.RESET})
"""The parent sent no response, not even a bad one."""


class Responder:
    """Makes the responses of one node, signed with its name."""

    def __init__(
        self,
        name: str,
        profile: Profile,
        *,
        faces_viewers: bool = True,
        fresh_id: Callable[[], str] | None = None,
    ) -> None:
        self._name = name
        self._profile = profile
        self.fresh_id = fresh_id or numbered_ids(name)
        self._signer = signer = Signer(name, profile, faces_viewers=faces_viewers, fresh_id=self.fresh_id)
        self._by_request, self._wants_extras = signer.signature.by_request, signer.signature.wants_extras
        self._date_is_now = profile.date_of_responses == "now"
        self._fields_of_304 = FIELDS_OF_304 | signer.signature.names
        self.same_for_all = signer.same_for_all
        """Two responses of the same kind in the same second have the same head."""
        # A page of another kind has the request's id in it, or the time.
        self._refusals = Refusals(self._refusal) if self.same_for_all and profile.page is plain_page else None
        self.prepared = PreparedHeads(
            self._plain_lines, tick=self.same_for_all and not self._date_is_now, date_is_now=self._date_is_now
        )

    def mark_fetched(self, response: ResponseHead, now: float) -> None:
        """Mark in the parent's response that this node fetched it, where the profile has such marks."""
        if not self.same_for_all:
            self._signer.signature.mark_fetched(response.headers, now)

    def from_store(self, entry: Entry, request: RequestHead, rule: Rule, outcome: Outcome, now: float) -> Serve:
        """A hit, fresh or stale: without an upstream request."""
        member = cache_status(self._name, hit=True, ttl=entry.life.fresh_until - now)
        age = int(entry.life.age(now))
        return self._serve(entry, request, rule, outcome, None, member, age, None, now)

    def plain_hit(self, entry: Entry, request: RequestHead, rule: Rule, now: float) -> Serve:
        """A whole fresh response to a plain GET. Its head is made at most twice a second: when Age or ttl ticks."""
        if now >= entry.prepared_until:
            self.prepared.prepare(entry, rule, now)
        lines, prepared = entry.prepared, True
        if rule.cors is not None:
            lines, prepared = rule.cors.applied(lines, request), False
        if not self.same_for_all:
            lines = lines + self.own_lines(entry, now)
        return Serve(entry, entry.status, lines, Outcome.HIT, None, rule, entry.has_body, prepared=prepared)

    def _plain_lines(self, entry: Entry, rule: Rule, now_ticks: Ticks, now: float) -> Lines:
        """Those of a plain hit that do not depend on its request."""
        member = cache_status(self._name, hit=True, ttl=now_ticks.ttl)
        lines = self._signer.signed(
            entry.headers, rule.response_policy, entry.status, Outcome.HIT, member, now_ticks.age, now
        )
        return _sized(lines, entry)

    def own_lines(self, entry: Entry, now: float) -> Lines:
        """The lines of a hit that no two requests share."""
        if self.same_for_all:
            return []
        return self._by_request(entry.headers, hits=entry.hits, started_at=now, now=now, asked=False)

    def lines_of_304(self, lines: Lines, rule: Rule) -> Lines:
        """Of those of a plain hit."""
        response_policy = rule.response_policy
        kept = self._fields_of_304 if response_policy is None else self._fields_of_304 | response_policy.names
        return [line for line in lines if line[0] in kept]

    def after_fetch(
        self,
        entry: Entry,
        request: RequestHead,
        fetch: Fetch,
        rule: Rule,
        outcome: Outcome,
        cause: Cause | None,
        now: float,
        *,
        forward_status: int | None = None,
        stored: bool = False,
        detail: str | None = None,
        headers: Headers | None = None,
    ) -> Serve:
        """The response after an upstream request, made for this request or for one that it joined.

        `headers`: those that came, for the leader; the stored ones lack fields that are for it alone.
        """
        if detail is None and cause in (Cause.EVICTED, Cause.PURGED, Cause.LOST, Cause.ABORTED):
            detail = cause.value
        member = cache_status(
            self._name,
            cause=cause,
            had_stale=fetch.entry is not None,
            forward_status=forward_status,
            ttl=entry.life.fresh_until - now if entry.indexed else None,
            stored=stored,
            collapsed=outcome is Outcome.COLLAPSED,
            detail=detail,
        )
        age = int(entry.life.age(now))
        shown = age if age or "age" in entry.headers or outcome is Outcome.HIT_STALE else None
        return self._serve(entry, request, rule, outcome, cause, member, shown, fetch, now, headers)

    def relayed(
        self,
        request: RequestHead,
        response: ResponseHead,
        fetch: Fetch,
        outcome: Outcome,
        cause: Cause | None,
        now: float,
        *,
        detail: str | None = None,
    ) -> Relay:
        """The parent's response as it is, for one viewer."""
        member = cache_status(self._name, cause=cause, detail=detail)
        age = delta_seconds(response.headers.first("age"))
        lines = self._signer.signed(
            response.headers, fetch.rule.response_policy, response.status, outcome, member,
            age, now,
        )  # fmt: skip
        lines = _with_cors(lines, request, fetch.rule)
        if not self.same_for_all:
            lines += self._by_request(response.headers, hits=0, started_at=fetch.sent_at, now=now, asked=True)
            if self._wants_extras(request, fetch.rule.behavior):
                lines = self._signer.with_extras(
                    lines, response.headers, request, fetch.rule.behavior, fetch.key, None, outcome,
                    started_at=fetch.sent_at, now=now,
                )  # fmt: skip
        bodiless = request.method == "HEAD" or response.status in (204, 304)
        return Relay(response.status, lines, outcome, cause, fetch.rule, fetch.id, body=not bodiless)

    def failure(self, why: Failure, *, must_revalidate: bool = False) -> FailureResponse:
        """The response for a failure of the parent, when no stored response can stand in.

        `must_revalidate`: the stored response may be used only after validation (RFC 9111 §5.2.2.2).
        """
        own = self._profile.failures.get(why.value)
        if own is not None:
            return own
        if why.by_viewer:
            return FailureResponse(why.status, "")
        status = self._profile.failure_status
        if status is None:
            status = 504 if must_revalidate and why in _UNREACHED else why.status
        return FailureResponse(status, "")

    def failure_member(
        self, fetch: Fetch, cause: Cause | None, reason: str, forward_status: int | None, *, collapsed: bool
    ) -> str:
        """Our member of Cache-Status after an upstream request whose response, if any, is not passed on."""
        return cache_status(
            self._name, cause=cause, had_stale=fetch.entry is not None, forward_status=forward_status,
            collapsed=collapsed, detail=quoted(reason),
        )  # fmt: skip

    def refused(self, refusal: Refusal, rule: Rule, request: RequestHead, now: float) -> Refuse:
        """The response to a request that the gate refused, without what the request itself adds to it."""
        if self._refusals is None or rule.cors is not None:
            refused = self.refusal(
                refusal.status, refusal.reason, rule, request, Outcome.REFUSED, now, refusal.words, refusal.page,
                kind=refusal.kind,
            )  # fmt: skip
            refused.refusal = refusal
            return refused
        prepared = self._refusals.response(refusal, rule, now)
        return Refuse(
            refusal.status, refusal.reason, prepared.lines.copy(), rule, body=prepared.body, words=refusal.words,
            refusal=refusal, prepared=prepared,
        )  # fmt: skip

    def _refusal(self, refusal: Refusal, rule: Rule, now: float) -> tuple[Lines, bytes]:
        refused = self.refusal(
            refusal.status, refusal.reason, rule, None, Outcome.REFUSED, now, refusal.words, refusal.page,
            kind=refusal.kind,
        )  # fmt: skip
        return refused.headers, refused.body

    def refusal(
        self, status: int, reason: str, rule: Rule, request: RequestHead | None, outcome: Outcome, now: float,
        words: str = "", page: tuple[str, str] | None = None, member: str | None = None,
        kind: RefusalKind | None = None,
    ) -> Refuse:  # fmt: skip
        """An answer of our own making, with a page or a line that says why; `page`: another's content type and body.

        `request`: None where there is none that could be read. `member`: ours of Cache-Status, where the parent was
        asked (`failed`). `kind`: of a refusal.
        """
        lines, body = self._signer.generated(
            status, reason, words, outcome, now, rule.response_policy, member=member, kind=kind
        )
        if request is not None:
            lines = _with_cors(lines, request, rule, ours=True)
        if page is not None:
            lines = [("content-type", page[0]) if name == "content-type" else (name, value) for name, value in lines]
            body = page[1]
        return Refuse(status, reason, lines, rule, outcome, body=b"" if status == 204 else body.encode(), words=words)

    def _serve(
        self,
        entry: Entry,
        request: RequestHead,
        rule: Rule,
        outcome: Outcome,
        cause: Cause | None,
        member: str,
        age: int | None,
        fetch: Fetch | None,
        now: float,
        headers: Headers | None = None,
    ) -> Serve:
        """`fetch`: the upstream request, if there was one."""
        came = headers or entry.headers
        lines = self._signer.signed(came, rule.response_policy, entry.status, outcome, member, age, now)
        lines = _with_cors(lines, request, rule)
        if not self.same_for_all:
            started_at = now if fetch is None else fetch.sent_at
            lines += self._by_request(came, hits=entry.hits, started_at=started_at, now=now, asked=fetch is not None)
            if self._wants_extras(request, rule.behavior):
                lines = self._signer.with_extras(
                    lines, came, request, rule.behavior, entry.key, entry, outcome, started_at=started_at, now=now
                )
        served = Serve(entry, entry.status, lines, outcome, cause, rule, fetch_id=fetch.id if fetch else 0)
        return self._fitted(served, request, now, cut=not self._passed_on(fetch, outcome))

    def _passed_on(self, fetch: Fetch | None, outcome: Outcome) -> bool:
        """Whether this is the whole that came for the asker's own range, which some CDNs do not cut."""
        if fetch is None or outcome is Outcome.COLLAPSED or not self._profile.range_served_as_it_came:
            return False
        return fetch.request.block is None and "range" in fetch.request.headers

    def _fitted(self, served: Serve, request: RequestHead, now: float, *, cut: bool = True) -> Serve:
        """The answer as this request wants it: 304 to a condition that holds, a part for a range, if it is `cut`."""
        entry = served.entry
        served.body = request.method != "HEAD" and entry.status not in (204, 304)
        if entry.status in (200, 206) and is_not_modified(request, entry, now):
            return self._not_modified(served, request)
        wanted = request.headers.first("range") if request.method == "GET" else None
        if entry.part is not None:
            self._cut_part(served, wanted or "", entry.part)
        elif cut and entry.status == 200 and wanted and entry.length is not None and self.may_cut(entry, wanted):
            self._cut(served, wanted, request, entry.length, now)
        if served.status == entry.status and entry.part is None:
            served.headers = _sized(served.headers, entry)
        return served

    def assembled(self, assembly: Assembly, opening: Serve, now: float) -> Serve | None:
        """The viewer's response, from the opening block's; None: the object cannot be sliced.

        A whole response (the object is smaller than a block, or its origin ignores ranges) is served as it is.
        """
        entry, request = opening.entry, assembly.request
        lines = Headers.wrap(opening.headers).without(("content-range", "content-length")).lines
        served = replace(opening, headers=lines, status=entry.status, span=None)
        if entry.part is None:
            return self._fitted(served, request, now)
        if not may_be_sliced(entry):
            return None
        assert entry.total is not None
        assembly.opening = entry
        served.body = request.method != "HEAD"
        if is_not_modified(request, entry, now):
            return self._not_modified(served, request)
        wanted = request.headers.first("range") if request.method == "GET" else None
        spans = ranges.spans(wanted, entry.total) if wanted and range_applies(request, entry, now) else None
        if spans == ():
            served.status, served.body = 416, False
            self._frame(served, ("content-range", f"bytes */{entry.total}"), 0)
        elif spans is not None and len(spans) == 1:
            served.status, served.blocks = 206, assembly.blocks(spans[0])
            self._frame(served, _content_range(spans[0], entry.total), spans[0].stop - spans[0].start)
        else:
            served.status, served.blocks = 200, assembly.blocks(ranges.Span(0, entry.total))
            served.headers.append(("content-length", str(entry.total)))
        return served

    def cors_inputs(self, request: RequestHead, rule: Rule) -> object:
        """All of a plain request that the fields of its response depend on."""
        return None if rule.cors is None else rule.cors.inputs_of(request)

    def _not_modified(self, served: Serve, request: RequestHead) -> Serve:
        served.status, served.body = 304, False
        if wants_all_fields(request):
            served.headers = [line for line in served.headers if line[0] not in BODY_FIELDS]
            return served
        served.headers = self.lines_of_304(served.headers, served.rule)
        return served

    def may_cut(self, entry: Entry, wanted: str) -> bool:
        """Whether this CDN serves those ranges of that response, and not the whole."""
        profile = self._profile
        if profile.range_needs_length and "content-length" not in entry.headers:
            return False
        return not profile.ranges_in_order or ranges.in_order(wanted, entry.length or 0)

    def _cut(self, served: Serve, wanted: str, request: RequestHead, length: int, now: float) -> None:
        """Serve byte ranges of a stored 200 (RFC 9110 §14.2): one as it is, several as multipart/byteranges."""
        if not range_applies(request, served.entry, now):
            return
        spans = ranges.spans(wanted, length)
        if spans is None:
            return
        if not spans:
            served.status, served.body = 416, False
            self._frame(served, ("content-range", f"bytes */{length}"), 0)
        elif len(spans) == 1:
            served.status, served.span = 206, spans[0]
            self._frame(served, _content_range(spans[0], length), spans[0].stop - spans[0].start)
        else:
            content_type = served.entry.headers.first("content-type")
            boundary = f"cdnlab-{served.entry.id:x}-{abs(hash((served.entry.etag, spans))):016x}"
            served.status, served.pieces = 206, multipart(spans, length, content_type, boundary)
            size = sum(len(p) if isinstance(p, bytes) else p.stop - p.start for p in served.pieces)
            self._frame(served, ("content-type", f"multipart/byteranges; boundary={boundary}"), size)

    def _cut_part(self, served: Serve, wanted: str, part: ranges.Span) -> None:
        """Serve the part of a range that is in a stored 206; the stored body begins at the part's first byte."""
        total = served.entry.total
        span = ranges.within(wanted, part, total) or part
        served.status = 206
        served.span = ranges.Span(span.start - part.start, span.stop - part.start)
        self._frame(served, _content_range(span, total), span.stop - span.start)

    def _frame(self, served: Serve, extra: tuple[str, str], length: int) -> None:
        kept = Headers.wrap(served.headers).without(("content-length", "content-range", extra[0]))
        served.headers = [*kept.lines, extra, ("content-length", str(length))]


def _sized(lines: Lines, entry: Entry) -> Lines:
    """The lines of a whole response, with its length. Of what was chunked it is known now; a 204 has none."""
    sized = entry.status == 204 or entry.length is None or "content-length" in [name for name, _ in lines]
    return lines if sized else [*lines, ("content-length", str(entry.length))]


def _with_cors(lines: Lines, request: RequestHead, rule: Rule, *, ours: bool = False) -> Lines:
    """The lines with the CORS fields for this request."""
    return lines if rule.cors is None else rule.cors.applied(lines, request, ours=ours)


def _content_range(span: ranges.Span, total: int | None) -> tuple[str, str]:
    return "content-range", f"bytes {span.start}-{span.stop - 1}/{'*' if total is None else total}"


def multipart(
    spans: Sequence[ranges.Span], length: int, content_type: str | None, boundary: str
) -> list[bytes | ranges.Span]:
    """Framing and parts of a multipart/byteranges body, in order (RFC 9110 §14.6)."""
    pieces: list[bytes | ranges.Span] = []
    for span in spans:
        head = f"\r\n--{boundary}\r\n"
        if content_type is not None:
            head += f"content-type: {content_type}\r\n"
        name, value = _content_range(span, length)
        pieces += [f"{head}{name}: {value}\r\n\r\n".encode("latin-1"), span]
    return [*pieces, f"\r\n--{boundary}--\r\n".encode("latin-1")]
