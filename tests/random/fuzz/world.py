"""A node's life in virtual time: steps through a `VirtualNode`, beside an origin that remembers all.

Every answer a viewer gets is held against the oracle, and every line of the life can be printed as a playbook.
"""

from dataclasses import dataclass, field, replace
from math import inf
from urllib.parse import urljoin

import http_sf

from cdnkit.policy import Behavior, EdgeMachine, Headers, RequestHead, ResponseHead, Service
from cdnkit.policy.http.dates import format_date
from cdnkit.policy.outcomes import Outcome, Purpose
from cdnkit.policy.plan import Fetch, Join, Landing, PurgeKind, PurgeOrder, Refuse, Relay, Serve
from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.service import Ttl
from tests.kit.virtual_node import BrokenPlan, Exchange, VirtualNode, pick
from tests.random.fuzz.form import judge_form, opaque
from tests.random.fuzz.oracle import (
    Asker,
    Body,
    Complaint,
    Rules,
    View,
    Wrong,
    claim,
    range_of,
    sharing_complaint,
    updated,
)
from tests.random.fuzz.steps import Answer, Ask, Fail, Finish, Purge, Step, Wait, spelled
from tests.random.fuzz.telling import get_text, says_text

START = 1_795_000_000.25

BEHAVIORS = (
    Behavior(path="/pass/*", cache=False),
    Behavior(
        path="/held/*", ttl=Ttl(min="2s", default="3s", max="20s"), stale_while_revalidate="2s", stale_if_error="4s"
    ),
    Behavior(path="*"),
)
RULES = {
    "/pass/": Rules(cached=False),
    "/held/": Rules(least=2.0, default=3.0, most=20.0, stale_while_revalidate=2.0, stale_if_error=4.0),
}
HOPS = frozenset({"connection", "keep-alive", "x-hop", "transfer-encoding"})
FAILED_STATUSES = frozenset({500, 502, 503, 504})


@dataclass
class World:
    """One node and all it met."""

    profile: Profile = RFC9111
    room: int = 2**20
    make: type[EdgeMachine] = EdgeMachine
    now: float = START
    step: int = 0
    subject: str = "edge"
    """What the last line of the playbook is about."""
    failed: str | None = None
    """How the origin failed the fetch that this step ends: "silent", "error", or not."""
    names: dict[int, str] = field(default_factory=dict)
    """Fetch -> its expression in the playbook."""
    opened_at: dict[int, int] = field(default_factory=dict)
    """Fetch -> the step that opened it."""
    landed: list[Body] = field(default_factory=list)
    """All that was ever stored."""
    rude: set[int] = field(default_factory=set)
    """Fetches whose answers did not fit the question."""
    requests: dict[int, RequestHead] = field(default_factory=dict)
    """By the step at which they came."""
    passed: set[int] = field(default_factory=set)
    """Fetches that ask as one viewer asks, and pass on whatever is said."""
    orders: list[tuple[int, PurgeOrder, str]] = field(default_factory=list)
    current: dict[str, tuple[int, bytes, str | None]] = field(default_factory=dict)
    """What the origin sent last, by target: version, bytes, tag."""
    versions: int = 0
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        service = Service(name="fra", behaviors=BEHAVIORS, room=self.room, largest=self.room)
        self.node: VirtualNode[Asker, Body] = VirtualNode(self.make(service, self.profile), self)

    # ---- steps -------------------------------------------------------------------------------------------------

    def live(self, steps: list[Step]) -> None:
        """All of it, then every debt is paid. `Wrong` at the first wrong answer."""
        try:
            for step in steps:
                self.take(step)
            for _ in range(200):
                if not self.node.open:
                    break
                self.take(Answer(control={"no-store": None}))
            claim(not self.node.open, "endless", "every answer makes a new question", "edge")
            waiting = [asker.name for asker in self.node.waiting.values()]
            claim(not waiting, "waits-forever", f"no answer for {waiting}", "edge")
            while self.node.filling:
                self.take(Finish())
            self.node.check()
        except BrokenPlan as broken:
            raise Wrong(Complaint(broken.kind, broken.sentence), self.subject) from None

    def take(self, step: Step) -> None:
        self.step += 1
        self.failed = None
        match step:
            case Wait():
                self.now += step.seconds
            case Ask():
                self._ask(step)
            case Answer() if self.node.open:
                self._answer(step, pick(self.node.open, step.which))
            case Fail() if self.node.open:
                self._fail(step, pick(self.node.open, step.which))
            case Finish() if self.node.filling:
                self._finish(step, pick(self.node.filling, step.which))
            case Purge():
                self._purge(step)

    def _ask(self, ask: Ask) -> None:
        name = self.subject = f"ask{self.step}"
        lines = dict(ask.fields)
        control = spelled(ask.control, 0)
        if control is not None:
            lines["cache-control"] = control
        self._tell(f"{name} = edge.on_request({get_text(ask, lines)}, {self._instant})")
        path, mark, query = ask.target.partition("?")
        request = RequestHead(
            ask.method, "http", "h", path, query if mark else None, Headers(lines.items()), "198.51.100.7"
        )
        asker = Asker(ask, self.step, self.now, name)
        self.requests[self.step] = request
        plan = self.node.ask(request, asker)
        asker.joined = isinstance(plan, Join)
        if isinstance(plan, Fetch | Join) and not ask.target.startswith("/pass"):
            cached_only = "only-if-cached" in ask.control and ask.method in ("GET", "HEAD")
            claim(not cached_only, "only-if-cached", "the origin was asked", name)

    def _answer(self, step: Answer, exchange: Exchange[Body]) -> None:
        fetch = exchange.fetch
        asked = fetch.request.headers
        self.versions += 1
        version, status = self.versions, step.status
        validating = "if-none-match" in asked or "if-modified-since" in asked
        wanted = asked.first("range") if fetch.request.method == "GET" else None
        fits = {
            304: validating and fetch.request.method in ("GET", "HEAD"),
            206: wanted is not None,
            416: wanted is not None,
            412: "if-match" in asked,
        }.get(status, True)
        if step.polite and not fits:
            status = 200
        whole = b"" if status in (204, 304) else _bytes_of(fetch.request.target, version, step.size)
        etag = {"strong": f'"v{version}"', "weak": f'W/"v{version}"', "same": '"same"', "none": None}[step.etag]
        first, content = 0, whole
        if status == 206 and not step.polite:
            self.rude.add(fetch.id)
            first = min(step.size, len(whole) - 1) // 2
            content = whole[first : first + 3]
        elif status == 206 and wanted is not None:
            if not step.changed and fetch.request.target in self.current:
                version, whole, etag = self.current[fetch.request.target]
            span = range_of(wanted, len(whole))
            if_range = asked.first("if-range")
            if span is None or (if_range is not None and if_range != etag):
                status, content = 200, whole
            else:
                first, content = span[0], whole[span[0] : span[1] + 1]
        if not fits:
            self.rude.add(fetch.id)
        if status in (200, 206) and fetch.request.method == "GET" and step.etag != "same":
            self.current[fetch.request.target] = version, whole, etag
        lines = dict(step.fields)
        control = spelled(step.control, step.noise)
        if control is not None:
            lines["cache-control"] = control
        date = float(int(self.now))
        if step.date_skew is not None:
            date = float(int(self.now + step.date_skew))
            lines["date"] = format_date(date)
        expires = None if step.expires_in is None else date + step.expires_in
        if expires is not None:
            lines["expires"] = format_date(expires)
        modified = None if step.modified_before is None else date - step.modified_before
        if modified is not None:
            lines["last-modified"] = format_date(modified)
        if status == 304:
            # Mostly it repeats the tag that it confirms; "same" may name another.
            etag = '"same"' if step.etag == "same" else None if step.etag == "none" else asked.first("if-none-match")
        if etag is not None:
            lines["etag"] = etag
        if status == 206:
            lines["content-range"] = f"bytes {first}-{first + len(content) - 1}/{len(whole)}"
        if status == 416:
            lines["content-range"] = "bytes */10"
        if step.sized and status not in (204, 304):
            lines["content-length"] = str(len(content))
        if fetch.request.method == "HEAD":
            content = b""
        self.subject = f"landing{self.step}"
        self._tell(
            f"{self.subject} = edge.on_response({self.names[fetch.id]}, {says_text(status, lines)}, {self._instant})"
        )
        age_text = lines.get("age", "").partition(",")[0]
        view = View(
            dict(step.control), lines.get("vary"), date, expires, modified, float(age_text) if age_text.isdigit() else 0.0,
            fetch.sent_at, self.now,
        )  # fmt: skip
        self._believe(fetch, status, view, etag, lines)
        body = Body(
            fetch.request.target, version, content, status, fetch.id,
            # A POST's answer stands for the state after it.
            self.step + 1 if fetch.request.method == "POST" else self.opened_at[fetch.id],
            etag, "authorization" in asked, [dict(asked.lines)], [view],
            frozenset(lines.get("surrogate-key", "").split()), whole, first,
        )  # fmt: skip
        self.failed = "error" if status in FAILED_STATUSES or (not fits and status in (206, 304)) else None
        self.node.respond(exchange, ResponseHead(status, Headers(lines.items())), body)

    def on_landing(self, exchange: Exchange[Body], head: ResponseHead, landing: Landing, before: Body | None) -> None:
        body = exchange.body
        if before is not None:
            continued = before.first + len(before.content) == body.first and before.broken is None
            claim(continued, "bad-prefix", f"{before} {body.first}", self.names[exchange.fetch.id])
            body.first, body.content = before.first, before.content + body.content
            body.opened = min(body.opened, before.opened)
            body.authorized = body.authorized or before.authorized
        if landing.store is not None:
            body.status = landing.store.status if landing.store.status in (200, 206) else head.status
            self._purged_on_the_way(body)
            self.landed.append(body)

    def _believe(self, fetch: Fetch, status: int, view: View, etag: str | None, lines: dict[str, str]) -> None:
        """What the origin's answer says of bodies that are here already."""
        if fetch.request.method not in ("GET", "HEAD", "OPTIONS", "TRACE") and 200 <= status < 400:
            doubtful = {fetch.request.target}
            for name in ("location", "content-location"):
                if name in lines and urljoin(fetch.request.url, lines[name]) == "http://h/b":
                    doubtful.add("/b")
            self._remove_all(doubtful)
        if fetch.entry is None or (status == 304 and (fetch.purpose is Purpose.PASS or fetch.id in self.rude)):
            return  # what is passed on asks about the client's own copy; what was not asked tells of nothing
        body = self.node.bodies.get(fetch.entry.id)
        if body is None:
            return
        # Only a HEAD tells of a stored GET by an answer other than 304, and only if it is the same representation.
        if status == 304:
            # Whether a 304 that names another tag counts is the cache's to find out: it must not.
            if (
                etag is not None
                and not etag.startswith("W/")
                and body.etag is not None
                and opaque(body.etag) != opaque(etag)
            ):
                return
        elif fetch.request.method != "HEAD" or status != body.status:
            return
        elif etag not in (None, body.etag) or view.modified not in (None, *(old.modified for old in body.views)):
            # It tells of another representation: what is here may be made stale, and aged as by a soft purge (§4.3.5).
            body.views = body.views + [replace(old, stale_from=min(old.stale_from, self.now)) for old in body.views]
            if etag not in (None, body.etag):
                return
        keys = frozenset(lines["surrogate-key"].split()) if "surrogate-key" in lines else body.surrogate_keys
        both = replace(body, surrogate_keys=body.surrogate_keys | keys)  # an order may name it by what the 304 brings
        purged = any(step > self.opened_at[fetch.id] and _names(order, both) for step, order, _ in self.orders)
        # What may not be kept any longer need not be made stale for the one who asked.
        gone = bool({"no-store", "private"} & view.control.keys()) or "*" in (view.vary or "")
        gone = gone or body.authorized or "authorization" in fetch.request.headers
        news = [
            updated(
                old, control=view.control, vary=view.vary, date=view.date, expires=view.expires,
                modified=view.modified, age=view.age, sent_at=view.sent_at, landed_at=view.landed_at,
                stale_from=stale_from,
            )
            for old in body.views
            for stale_from in ([self.now] if purged else []) + ([inf] if gone or not purged else [])
        ]  # fmt: skip
        body.views = news if status == 304 else body.views + news
        body.suits.append(dict(fetch.request.headers.lines))
        body.validated_by.add(fetch.id)
        if status == 304 and etag is not None:
            body.etag = etag
        body.surrogate_keys = keys if status == 304 else keys & body.surrogate_keys

    def _remove_all(self, targets: set[str]) -> None:
        """An unsafe method's success at these targets; what is in flight meanwhile is of the time before it."""
        for target in targets:
            self.orders.append((self.step, PurgeOrder(PurgeKind.URL, target), "invalidation"))
        for body in self.landed:
            if body.target in targets:
                body.removed.append((self.step, "invalidation"))

    def _purged_on_the_way(self, body: Body) -> None:
        bound = [one for one in self.orders if one[0] > body.opened and _names(one[1], body)]
        hard = [(step, why) for step, order, why in bound if not order.soft]
        body.removed += hard
        if bound and not hard:  # what is not stored at all need not be stale as well
            body.views[0].stale_from = min(body.views[0].stale_from, self.now)

    def _purge(self, step: Purge) -> None:
        order = PurgeOrder(step.kind, step.value, step.soft)
        self._tell(
            f"edge.on_purge(PurgeOrder(PurgeKind.{step.kind.name}, {step.value!r}, {step.soft}), {self._instant})"
        )
        self.orders.append((self.step, order, "purge"))
        for body in self.landed:
            if _names(order, body):
                if step.soft:
                    for view in body.views:
                        view.stale_from = min(view.stale_from, self.now)
                else:
                    body.removed.append((self.step, "purge"))
        self.node.purge(order)

    def _fail(self, step: Fail, exchange: Exchange[Body]) -> None:
        self.failed, self.subject = "silent", f"landing{self.step}"
        name = self.names[exchange.fetch.id]
        self._tell(f"{self.subject} = edge.on_failure({name}, Failure.{step.why.name}, {self._instant})")
        self.node.fail(exchange, step.why)

    def _finish(self, step: Finish, exchange: Exchange[Body]) -> None:
        name, body = self.names[exchange.fetch.id], exchange.body
        if step.whole:
            self._tell(f"edge.on_body_end({name}, {len(body.content)}, {self._instant})")
        else:
            self._tell(f"edge.on_failure({name}, Failure.TRUNCATED, {self._instant})")
            body.broken = self.step
        self.node.end(exchange, len(body.content) if step.whole else None)

    def on_fetch(self, exchange: Exchange[Body], asker: Asker) -> None:
        fetch, name = exchange.fetch, self._name(asker)
        self.opened_at[fetch.id] = self.step
        self.names[fetch.id] = name if fetch.ticket else f"{name}.refresh"
        if fetch.purpose is Purpose.PASS:
            self.passed.add(fetch.id)
        if fetch.ticket:
            asker.fetches.add(fetch.id)
            asker.joined = False

    def _name(self, asker: Asker) -> str:
        """What the machine returns for one who asks, or has waited, in this step."""
        return asker.name if asker.step == self.step else f"{self.subject}.answers[{asker.name}.ticket]"

    # ---- answers -----------------------------------------------------------------------------------------------

    def on_answer(self, asker: Asker, answer: Serve | Relay | Refuse, exchange: Exchange[Body] | None) -> None:
        asker.joined = exchange is not None and exchange.fetch.id not in asker.fetches
        name, failed = self._name(asker), self.failed
        lines = answer.headers
        if failed is not None and answer.status in FAILED_STATUSES:
            request = self.requests[asker.step]
            view = self.node.machine.view
            found = view.lookup(request, view.rule_of(request), self.now)
            better = found.cause is None and found.entry is not None and found.entry.status < 500
            claim(not better, "needless-error", f"{answer.status}, and {found.entry} is fresh", name)
        if isinstance(answer, Refuse):
            claim(
                answer.status in {504, 508, 416, 412, *FAILED_STATUSES},
                "refused",
                f"{answer.status} {answer.reason}",
                name,
            )
            return
        claim(not HOPS & {line[0] for line in lines}, "hop-by-hop", f"{lines}", name)
        headers = Headers.wrap(lines)
        ages = headers.all("age")
        claim(len(ages) <= 1 and all(age.isdigit() for age in ages), "age-form", f"Age: {ages}", name)
        status_field = headers.joined("cache-status") or ""
        try:
            http_sf.parse(status_field.encode("latin-1"), tltype="list")
        except http_sf.StructuredFieldError:
            raise Wrong(Complaint("cache-status", f"not a structured list: {status_field}"), name) from None
        has_range, has_condition = (
            "range" in asker.ask.fields,
            asker.ask.fields.keys() & {"if-none-match", "if-modified-since"},
        )
        # What is passed on is the origin's to answer for; so are its errors.
        rude = isinstance(answer, Relay) and answer.fetch_id in self.rude
        passed = rude and isinstance(answer, Relay) and answer.fetch_id in self.passed
        if answer.status == 206:
            claim(has_range or passed, "unasked-part", "206 to a request without Range", name)
        if answer.status == 416:
            claim(has_range or rude, "unasked-part", "416 to a request without Range", name)
        if answer.status == 412:
            claim("if-match" in asker.ask.fields or rude, "unasked-412", "412 to an unconditional request", name)
        if answer.status == 304:
            claim(bool(has_condition) or passed, "unasked-304", "304 to an unconditional request", name)
        if isinstance(answer, Relay):
            claim(answer.fetch_id in asker.fetches, "another's-answer", "relayed to one who did not ask it", name)
            return
        body = self.node.bodies[answer.entry.id]
        own = body.fetch_id in asker.fetches
        if not own and not body.validated_by & asker.fetches and self.profile is RFC9111:
            rules = next((rules for path, rules in RULES.items() if body.target.startswith(path)), Rules())
            complaint = sharing_complaint(body, asker, rules, self.now, failed)
            if complaint is not None:
                # Told apart: these answers are chosen elsewhere in the machine.
                which = "waiter-" if asker.joined else "fallback-" if failed else ""
                raise Wrong(replace(complaint, kind=which + complaint.kind), name)
            secret = all(
                "x-secret" in (view.control.get("private"), view.control.get("no-cache")) for view in body.views
            )
            claim(not (secret and "x-secret" in headers), "private-field", "a field named by private was shared", name)
        judge_form(asker, answer, body, headers, name)
        if answer.outcome in (Outcome.HIT, Outcome.HIT_STALE):
            claim(bool(ages), "no-age", "served from the store without Age", name)
        if ages and not own:
            rules = next((rules for path, rules in RULES.items() if body.target.startswith(path)), Rules())
            expected = [view.told_age(body.status, rules, self.now) for view in body.views]
            claim(
                any(abs(int(ages[0]) - age) <= 1.001 for age in expected), "age", f"Age: {ages[0]}, is {expected}", name
            )

    # ---- words -------------------------------------------------------------------------------------------------

    @property
    def _instant(self) -> str:
        return f"START + {self.now - START:g}"

    def _tell(self, line: str) -> None:
        self.lines.append(line)


def _bytes_of(target: str, version: int, size: int) -> bytes:
    """A body that says whose it is, and in which no two near parts look alike."""
    return (f"{target} v{version} ".encode() + _LETTERS[version % 26 :] * (size // 26 + 1))[: max(size, 12)]


_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _names(order: PurgeOrder, body: Body) -> bool:
    match order.kind:
        case PurgeKind.URL:
            return order.value == body.target
        case PurgeKind.PREFIX:
            return body.target.startswith(order.value)
        case PurgeKind.SURROGATE_KEYS:
            return not body.surrogate_keys.isdisjoint(order.value.split())
        case PurgeKind.EVERYTHING:
            return True
