"""The short way to a hit, or to a fetch, for a shell that knows which requests are alike.

Requests of one connection mostly differ in their targets alone; and the same targets come again and again. So all that
follows from the rest is found once for all that are `Alike`, and all that follows from a target once for that target:

    of those that are alike    which checks pass whatever the target; how long a target may be
    of a target                its rule, its key, the request without its token; until when the token is good

What is left for each request is a look-up, and what ages: the token and the response. A plain request for which nothing
is stored is not checked again (`on_missing`). One that is not sure to pass all checks, or to be either, is left to
`Requests.on_request`, which would do the same with all others, too. So are the requests under a rate limit, each of
which counts.
"""

from typing import Any

import msgspec

from cdnkit.policy.gate.admission import Admitted
from cdnkit.policy.gate.check import Reads
from cdnkit.policy.gate.plain import is_plain
from cdnkit.policy.gate.tokens import TokenCheck
from cdnkit.policy.http import ranges
from cdnkit.policy.http.memo import LONGEST
from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.http.ranges import Span
from cdnkit.policy.machine.requests import Requests
from cdnkit.policy.machine.state import NodeState, View
from cdnkit.policy.plan import Plan
from cdnkit.policy.rule import Rule
from cdnkit.policy.store.entry import Entry
from cdnkit.policy.store.revalidate import is_not_modified, range_applies

REMEMBERED_TARGETS = 32_768
"""Of at most 1,024 characters each; some 20 MB. A target is longer than its path by its token."""

_CONDITIONS = frozenset({"if-none-match", "if-modified-since", "range", "if-range"})
"""Decisive fields that decide only what is sent of a fresh response."""
_NEVER = -1


class Alike:
    """Requests that differ in their targets alone. Who has the right facts about them is asked once."""

    __slots__ = ("conditional", "longest", "never", "origin", "request")

    def __init__(self, request: RequestHead, state: NodeState) -> None:
        """`request`: one of them, with the target "/", and measured without one."""
        self.request = request
        self.origin = f"{request.scheme}://{request.host}"
        names = {name for name, _ in request.headers.lines}
        decisive = names & state.decisive
        plain = is_plain(request, state.decisive)
        self.conditional = not plain
        """It is a HEAD, or a GET with a condition or a range."""
        good = state.responder.same_for_all and request.method in ("GET", "HEAD") and decisive <= _CONDITIONS
        self.never = not (plain or good)
        """All of them take the long way."""
        self.longest: dict[Rule, int] = {}
        """By rule, the longest target of a request that passes all checks which do not read the target."""


class Target(msgspec.Struct, gc=False):
    """What follows from a target alone. In no cycle of references: a collector would walk over thousands."""

    rule: Rule
    origin: str
    """The scheme and host with which it was looked at: key and token may follow from them."""
    path: str
    query: str | None
    """Without the token."""
    key: str
    until: float
    """When its token ends."""
    shell: Any = None
    """What a shell has found out about it: a value that refers to nothing."""


class ShortWay:
    """The hits of one node that need no thought."""

    def __init__(self, state: NodeState, view: View, requests: Requests) -> None:
        self._state, self._view, self._requests = state, view, requests
        self._young: dict[str, Target] = {}
        self._old: dict[str, Target] = {}
        """Two generations, as of a `cdnkit.policy.token.scheme.Memo`."""

    def alike(self, request: RequestHead) -> Alike:
        return Alike(request, self._state)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def find(self, alike: Alike, text: str, now: float) -> tuple[Target, Entry | None] | None:
        """What the request is for, and the stored response that is all of the answer, and fresh; nothing has changed.
        None in its place: there is none, and it passes all checks. None: take the long way.

        `text`: a target of visible ASCII characters (RFC 9112 §3.2).
        """
        if alike.never:
            return None
        target = self._young.get(text)
        if target is None or target.origin != alike.origin or now >= target.until:
            target = self._recall(alike, text, now)
            if target is None:
                return None
        if len(text) > self._most(alike, target.rule):
            return None
        return target, self._view.plain_answer(target.key, now)

    def on_missing(self, alike: Alike, target: Target, text: str, now: float) -> Plan | None:
        """As `EdgeMachine.on_request`, of a request for which `find` has just found nothing stored. None: nothing has
        changed, and that must decide."""
        if alike.conditional:
            return None
        request = alike.request.with_target(target.path, target.query, alike.request.headers)
        request.head_bytes += len(text)
        plan = self._requests.on_missing(request, target.rule, now)
        if request.target != text:
            plan.admitted = Admitted(request)
        return plan

    def hit(self, entry: Entry, rule: Rule, now: float, *, conditional: bool) -> None:
        """Count the hit that was found, and see to its head."""
        state = self._state
        state.events += 1
        if conditional:
            state.ids += 1  # as the long way, which opens a ticket
        entry.hits += 1
        state.room.touch(entry)
        if now >= entry.prepared_until:
            state.responder.prepare(entry, rule, now)

    def form(self, request: RequestHead, entry: Entry, now: float) -> tuple[int, Span | None] | None:
        """Status, and the part that is sent, of a response to a HEAD or to a request with conditions. None: take the
        long way."""
        if entry.status in (200, 206) and is_not_modified(request, entry, now):
            return 304, None
        wanted = request.headers.first("range") if request.method == "GET" else None
        if not wanted or entry.status != 200 or entry.length is None:
            return entry.status, None
        if not self._state.responder.may_cut(entry, wanted) or not range_applies(request, entry, now):
            return entry.status, None
        spans = ranges.spans(wanted, entry.length)
        if spans is None:
            return entry.status, None
        return (206, spans[0]) if len(spans) == 1 else None

    # ---- what follows from a part of a request ---------------------------------------------------------------------

    def _most(self, alike: Alike, rule: Rule) -> int:
        most = alike.longest.get(rule)
        if most is None:
            most = alike.longest[rule] = self._longest(alike.request, rule)
        return most

    def _longest(self, request: RequestHead, rule: Rule) -> int:
        """How long the targets may be that all checks pass which read no target; -1 if there is none."""
        admission = rule.admission
        if rule.cors is not None or (admission is not None and admission.reads_fields_of(request)):
            return _NEVER
        most = LONGEST
        for check in rule.checks:
            if check.reads in (Reads.ANYTHING, Reads.COUNT):
                return _NEVER
            if check.reads is not Reads.TOKEN:
                if check.refusal(request, 0.0) is not None:
                    return _NEVER
                if check.reads is Reads.SIZE:
                    most = min(most, check.longest_target(request))
        return most

    def _recall(self, alike: Alike, text: str, now: float) -> Target | None:
        target = self._old.get(text)
        if target is None or target.origin != alike.origin or now >= target.until:
            target = self._learn(alike, text, now)
            if target is None or len(text) > LONGEST:
                return target
        if len(self._young) >= REMEMBERED_TARGETS // 2:
            self._old, self._young = self._young, {}
        self._young[text] = target
        return target

    def _learn(self, alike: Alike, text: str, now: float) -> Target | None:
        path, mark, query = text.partition("?")
        if self._state.gate.path_proper(path) is not path:
            return None  # a token is in it
        request = alike.request.with_target(path, query if mark else None, alike.request.headers)
        rule = self._view.rule_of(request)
        key_of, until = rule.plain_key, float("inf")
        if not mark and rule.token is not None:
            return None  # it has none, or one that is not in the query
        if key_of is None or self._most(alike, rule) < len(text):
            return None
        for check in rule.target_checks:
            if check.refusal(request, now) is not None:
                return None
            if isinstance(check, TokenCheck):
                until = check.good_until(request)
        admitted = None if rule.admission is None else rule.admission.admitted(request)
        if until == 0.0 or (admitted is not None and admitted.inherited is not None):
            alike.longest[rule] = _NEVER
            return None
        public = request if admitted is None else admitted.public
        return Target(rule, alike.origin, public.path, public.query, key_of(public), until)
