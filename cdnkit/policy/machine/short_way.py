"""The short way to a hit, a refusal or a fetch, for a shell that knows which requests are alike.

Requests of one connection mostly differ in their targets alone; and the same targets come again and again. So all that
follows from the rest is found once for all that are `Alike`, and all that follows from a target once for that target:

    of those that are alike    which checks pass whatever the target; how long a target may be
    of a target                its rule, its key, the request without its token; until when the token is good

What is left for each request is a look-up, and what ages: the token and the response. A plain request for which nothing
is stored is not checked again (`on_missing`). Of the targets that a check refuses, a few without any token are
remembered, apart from the others: forged tokens may come in any number, and must displace nothing. Any other request
is left to `Requests.on_request`, which would do the same with all others, too. So are the requests under a rate limit,
each of which counts.
"""

from typing import Any

import msgspec

from cdnkit.policy.gate.admission import Admitted
from cdnkit.policy.gate.check import Reads
from cdnkit.policy.gate.plain import is_plain
from cdnkit.policy.gate.tokens import TokenCheck
from cdnkit.policy.http import ranges
from cdnkit.policy.http.memo import LONGEST
from cdnkit.policy.http.messages import Headers, RequestHead
from cdnkit.policy.http.ranges import Span
from cdnkit.policy.machine.requests import Requests
from cdnkit.policy.machine.state import NodeState, View
from cdnkit.policy.outcomes import Refusal
from cdnkit.policy.plan import Plan, Refuse
from cdnkit.policy.rule import Rule
from cdnkit.policy.store.entry import Entry
from cdnkit.policy.store.revalidate import is_not_modified, range_applies

REMEMBERED_TARGETS = 32_768
"""Where few responses are stored; else two for each of them. Of at most 1,024 characters each; some 20 MB, or 0.6 kB
for each stored response. A target is longer than its path by its token."""

REMEMBERED_REFUSED = 1024
"""Likewise; at most some 3 MB. A crawler without a token asks for the same targets again and again."""

_CONDITIONS = frozenset({"if-none-match", "if-modified-since", "range", "if-range"})
"""Decisive fields that decide only what is sent of a fresh response."""
LONGEST_CONDITION = 256
"""Characters of a condition whose response is remembered with the stored one: at most 2 MB of them."""
_UNDATED = frozenset({"if-none-match", "range"})
"""Those of them that are compared with the response alone, and not with the time."""
_NONE = Headers.wrap([])
_NEVER = -1


class Alike:
    """Requests that differ in their targets alone. Who has the right facts about them is asked once."""

    __slots__ = ("condition", "conditional", "longest", "never", "origin", "request")

    def __init__(self, request: RequestHead, state: NodeState) -> None:
        """`request`: one of them, with the target "/", and measured without one."""
        self.request = request
        self.origin = f"{request.scheme}://{request.host}"
        names = {name for name, _ in request.headers.lines}
        decisive = names & state.decisive
        plain = is_plain(request, state.decisive)
        self.conditional = not plain
        """It is a HEAD, or a GET with a condition or a range."""
        asks = [line for line in request.headers.lines if line[0] in _CONDITIONS]
        sole = asks[0] if len(asks) == 1 and asks[0][0] in _UNDATED and len(asks[0][1]) <= LONGEST_CONDITION else None
        self.condition = () if not asks else None if sole is None else (request.method, *sole)
        """What all ask for who have the same here: () is the whole response, None is something of their own."""
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
    """Without the token, both."""
    key: str
    until: float
    """When its token ends."""
    shell: Any = None
    """What a shell has found out about it: a value that refers to nothing."""


class Turned(msgspec.Struct, gc=False):
    """A request that a check refuses."""

    rule: Rule
    refusal: Refusal
    request: RequestHead
    """With its token, and measured without its target. Of a target that is remembered: a former one, without fields."""
    shell: Any = None
    """As a target's."""


class ShortWay:
    """The hits and refusals of one node that need no thought."""

    def __init__(self, state: NodeState, view: View, requests: Requests) -> None:
        self._state, self._view, self._requests = state, view, requests
        self._young: dict[str, Target] = {}
        self._old: dict[str, Target] = {}
        """Two generations, as of a `cdnkit.policy.token.scheme.Memo`."""
        self._turned: dict[str, Turned] = {}
        self._turned_before: dict[str, Turned] = {}
        """Likewise: targets that are refused whoever asks, and whenever, because they have no token."""

    def alike(self, request: RequestHead) -> Alike:
        return Alike(request, self._state)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    @property
    def remembered_refused(self) -> int:
        return len(self._turned) + len(self._turned_before)

    def find(self, alike: Alike, text: str, now: float) -> tuple[Target, Entry | None] | Turned | None:
        """What the request is for, and the stored response that is all of the answer, and fresh; or why it is refused.
        Nothing has changed. None in the place of a response: there is none, and it passes all checks. None: take the
        long way.

        `text`: a target of visible ASCII characters (RFC 9112 §3.2).
        """
        if alike.never:
            return None
        target = self._young.get(text)
        if target is None or target.origin != alike.origin or now >= target.until:
            known = self._recall(alike, text, now)
            if not isinstance(known, Target):
                return known
            target = known
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

    def hit(self, entry: Entry, *, conditional: bool) -> None:
        """Count the hit that was found."""
        state = self._state
        state.events += 1
        if conditional:
            state.ids += 1  # as the long way, which opens a ticket
        entry.hits += 1
        state.room.touch(entry)

    def turn(self, turned: Turned, now: float) -> Refuse:
        """Count the request that is refused: what it gets."""
        self._state.events += 1
        plan = self._requests.refused(turned.refusal, turned.request, turned.rule, now)
        assert isinstance(plan, Refuse)
        return plan

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

    def _recall(self, alike: Alike, text: str, now: float) -> Target | Turned | None:
        turned = self._turned.get(text) or self._turned_before.get(text)
        if turned is not None:
            return turned if len(text) <= self._most(alike, turned.rule) else None
        known: Target | Turned | None = self._old.get(text)
        if not isinstance(known, Target) or known.origin != alike.origin or now >= known.until:
            known = self._learn(alike, text, now)
            if not isinstance(known, Target) or len(text) > LONGEST:
                return known
        if len(self._young) >= max(REMEMBERED_TARGETS // 2, len(self._state.index)):
            self._old, self._young = self._young, {}
        self._young[text] = known
        return known

    def _learn(self, alike: Alike, text: str, now: float) -> Target | Turned | None:
        path, mark, query = text.partition("?")
        state = self._state
        if state.gate.path_proper(path) is not path:
            return None  # a token is in it
        rule = state.matcher.match(path)
        key_of, until = rule.plain_key, float("inf")
        if key_of is None or self._most(alike, rule) < len(text):
            return None
        request = alike.request.with_target(path, query if mark else None, alike.request.headers)
        for check in rule.target_checks:
            refusal = check.refusal(request, now)
            if refusal is not None and refusal.paged:
                return None
            if refusal is not None:
                turned = Turned(rule, refusal, request)
                if isinstance(check, TokenCheck) and len(text) <= LONGEST:
                    self._remember_if_bare(text, turned)
                return turned
            if isinstance(check, TokenCheck):
                until = check.good_until(request)
        admitted = None if rule.admission is None else rule.admission.admitted(request)
        if until == 0.0 or (admitted is not None and admitted.inherited is not None):
            alike.longest[rule] = _NEVER
            return None
        public = request if admitted is None else admitted.public
        return Target(rule, alike.origin, public.path, public.query, key_of(public), until)

    def _remember_if_bare(self, text: str, turned: Turned) -> None:
        admission = turned.rule.admission
        if admission is None or admission.admitted(turned.request) is not None:
            return
        if len(self._turned) >= REMEMBERED_REFUSED // 2:
            self._turned_before, self._turned = self._turned, {}
        one = turned.request
        self._turned[text] = Turned(turned.rule, turned.refusal, one.with_target(one.path, one.query, _NONE))
