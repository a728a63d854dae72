"""What one node knows, in one place, and how it is looked at.

The parts of the machine hold a `NodeState` and change it. A `View` touches nothing: `explain` and a replay read in it
what a request would get.
"""

from collections.abc import Callable, Collection, Mapping
from functools import partial

from cachetools import LRUCache

from cdnkit.policy.answer.error_pages import Instead, Pages
from cdnkit.policy.answer.respond import Answering
from cdnkit.policy.gate.gate import Gate, Node, ServiceGate
from cdnkit.policy.gate.limits import UNLIMITED, RequestLimits, with_short_cookies
from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.machine.fast_path import DECISIVE
from cdnkit.policy.machine.flights import FlightTable
from cdnkit.policy.machine.notes import Notes
from cdnkit.policy.outcomes import Cause, Refusal
from cdnkit.policy.plan import PurgeOrder, Refuse
from cdnkit.policy.rule import Rule, compiled
from cdnkit.policy.rules.matching import Matcher
from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.resolve import settled
from cdnkit.policy.rules.response_headers import ResponseHeaders
from cdnkit.policy.rules.response_policy import Decoration
from cdnkit.policy.rules.service import Behavior, ErrorPage, Service
from cdnkit.policy.store.eviction import Room, room_for
from cdnkit.policy.store.index import Entry, EntryIndex
from cdnkit.policy.store.key import (
    HEADS,
    cache_key,
    has_cookies_in_pairs,
    with_viewer_fields,
)
from cdnkit.policy.store.lookup import Judgement, Way, judge
from cdnkit.policy.store.slices import Versions
from cdnkit.policy.upstream.request import Asking


class NodeState:
    """All that changes in a node, and what it was made from."""

    def __init__(
        self,
        service: Service,
        profile: Profile = RFC9111,
        *,
        gate: Gate | None = None,
        limits: RequestLimits = UNLIMITED,
        fresh_id: Callable[[], str] | None = None,
        codings: Collection[str] = ("gzip",),
        fresh_room: Callable[[], Room] | None = None,
    ) -> None:
        """`fresh_id`: a new request id at every call, for profiles that send one; None: ids that count up.

        `limits`: the largest request that this node answers. `codings`: content codings that the shell can put on a
        body. `fresh_room`: makes an empty room; None: the service's eviction does.
        """
        # What a behavior leaves open, the profile settles: once, here.
        policies = {**profile.response_headers_policies, **service.response_headers}
        behaviors = tuple(settled(behavior, profile, policies) for behavior in service.behaviors)
        service = service.model_copy(update={"behaviors": behaviors})
        self.service = service
        self.profile = profile
        self.decisive = DECISIVE | profile.asks_more
        self.codings = frozenset(codings)
        self.gate: Gate = gate if gate is not None else ServiceGate(service, {})
        self.index = EntryIndex(vary_as_sent=profile.vary_as_sent)
        self.fresh_room = fresh_room or partial(room_for, service.eviction, service.room, service.block)
        self.room = self.fresh_room()
        self.flights = FlightTable()
        node = Node(service, profile, limits, lambda path: self.matcher.ambiguity(path))
        self.matcher = Matcher(
            [
                compiled(behavior, node, self.gate, _decoration(policies, behavior.response_headers_policy))
                for behavior in behaviors
            ],
            compiled(settled(Behavior(path="*"), profile), node, self.gate, None),
        )
        self.pages = Pages(service)
        self.paging: dict[int, Instead] = {}
        """Tickets that wait for a page in place of an error -> what to tell with it. Each goes when its flight lands:
        one that was forgotten sooner would be shown a page in place of the page's own error, and so on."""
        self.answering = Answering(service.name, profile, faces_viewers=service.gate, fresh_id=fresh_id)
        self.asking = Asking(service, profile, self.answering.fresh_id)
        self.filling: dict[int, Entry] = {}
        self.alone_until: Notes[str] = Notes(65_536)
        """Keys, and ranges of them, whose last answer could not be shared, until when, and why: requests for them do
        not wait for one another."""
        self.varies: LRUCache[int, tuple[str, ...]] = LRUCache(65_536)
        """By the hash of a key whose last answer varied: on what. Requests for different variants do not wait for one
        another."""
        self.failing: Notes[Refuse] = Notes(4096)
        """Keys whose fill failed, until when the parent is left alone, and what is said meanwhile."""
        self.versions = Versions()
        self.purges: list[tuple[int, PurgeOrder]] = []
        """Purges since the oldest open flight began: what lands must not bring back what they took away."""
        self.varying: set[str] = set()
        """Every request field a Vary has named so far: what a record must keep, for a replay to select the same."""
        self.events = 0
        """How many things this machine was told; the `seq` of records."""
        self.ids = 0

    def next_id(self) -> int:
        self.ids += 1
        return self.ids

    def take_out(self, entry: Entry, why: Cause) -> int:
        self.index.remove(entry, why)
        self.room.pop(entry.id, None)
        return entry.id


class View:
    """What a request would be told now; nothing is touched."""

    def __init__(self, state: NodeState) -> None:
        self._state = state
        self._service = state.service
        self._profile = state.profile

    def rule_of(self, request: RequestHead) -> Rule:
        """What rules a request, by its path proper."""
        return self._state.matcher.match(self._state.gate.path_proper(request.path))

    def seen(self, request: RequestHead) -> RequestHead:
        """The request as key, rules and origin see it: cookies that are not too long and in their form, its codings
        reduced, what it says of its viewer this node's own.

        A shield leaves the latter as its edges wrote it.
        """
        if self._profile.limits is not None:
            request = with_short_cookies(request, self._profile.limits)
        if self._profile.cookies_in_pairs and not has_cookies_in_pairs(request):
            request = request.with_fields(request.headers.without(("cookie",)))
        if request.version == "1.0" and not self._profile.codings_over_http_1_0:
            request = request.with_fields(request.headers.without(("accept-encoding",)))
        if self._profile.normalized is not None:
            request = self._profile.normalized(request)
        if self._service.gate and self._profile.viewer_fields:
            request = with_viewer_fields(request, self._profile.viewer_fields)
        return request

    def page_for(self, status: int, request: RequestHead, refusal: Refusal | None = None) -> ErrorPage | None:
        """The page that this request is shown instead of such a status, or of this refusal."""
        if refusal is not None and not refusal.paged:
            return None
        return self._state.pages.instead_of(status, request)

    def alone(self, key: str, now: float) -> tuple[float, str] | None:
        """(until when, why) requests for this key go to the parent each by itself; None: they wait for one another."""
        return self._state.alone_until.get(key, now)

    def failing(self, key: str, now: float) -> tuple[float, Refuse] | None:
        """(until when, what is said) of a parent that failed for this key and is left alone; None where it is asked."""
        return self._state.failing.get(key, now)

    def plain_answer(self, key: str, now: float) -> Entry | None:
        """What every plain GET for the key gets that the gate lets by, from `now` until its `fresh_until`, if nothing
        but such requests is told meanwhile; None: each is to be decided."""
        entries = self._state.index.variants(key)
        if len(entries) != 1:
            return None
        entry = entries[0]
        life = entry.life
        if now >= life.fresh_until or life.revalidate_always or entry.selecting or entry.part is not None:
            return None
        return entry

    def plain_key_of(self, request: RequestHead) -> str | None:
        """The key of a GET that is plain if it has no `DECISIVE` field; None where none is."""
        key_of = self._state.matcher.match(request.path).plain_key
        return None if key_of is None or request.method != "GET" else key_of(request)

    def judged(self, request: RequestHead, rule: Rule, now: float) -> Judgement:
        """What the request would get now; nothing is touched."""
        judgement = self._judged(cache_key(request, rule.behavior), request, rule, now)
        if request.method != "HEAD" or not self._profile.head_answers_kept:
            return judgement
        if judgement.way is not Way.ASK or judgement.entry is not None:
            return judgement
        if not judgement.alone and self._state.flights.to_join(judgement.flight_key) is not None:
            return judgement
        # Nothing is there or on its way that a GET could have, so that only another HEAD's answer may do.
        return self._judged(judgement.key + HEADS, request, rule, now)

    def _judged(self, key: str, request: RequestHead, rule: Rule, now: float) -> Judgement:
        state = self._state
        return judge(
            request, rule.behavior, index=state.index, profile=self._profile, key=key, versions=state.versions, now=now,
            mark_on=lambda asked: (self.alone(asked, now) or (0.0, ""))[1], varies=state.varies.get(hash(key), ()),
        )  # fmt: skip

    def stands_in_while_held(self, entry: Entry, said: Refuse, now: float) -> bool:
        """Whether a stored response is served while the parent is left alone, of which that was said."""
        if entry.part is not None:
            return False
        if entry.life.revalidate_always:
            return said.silent and self._profile.no_cache_stands_in and now < entry.life.unreachable_until
        return now < entry.life.fallback_until


def _decoration(policies: Mapping[str, ResponseHeaders], name: str) -> Decoration | None:
    return None if name == "none" else Decoration(policies[name])
