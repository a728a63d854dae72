"""All that one node knows, in one place, and a read-only view of it.

The parts of the machine share a `NodeState` and change it. A `View` changes nothing: `explain` and a replay read there
what a request would get.
"""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TypedDict, Unpack

from cachetools import LRUCache

from cdnkit.policy.answer.error_pages import Pages, Substitution
from cdnkit.policy.answer.respond import Responder
from cdnkit.policy.gate.gate import Gate, Node, ServiceGate
from cdnkit.policy.gate.limits import UNLIMITED, RequestLimits, with_short_cookies
from cdnkit.policy.gate.plain import DECISIVE
from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.machine.flights import FlightTable
from cdnkit.policy.machine.key_facts import KeyFacts
from cdnkit.policy.outcomes import Cause, Refusal
from cdnkit.policy.plan import PurgeOrder, Refuse
from cdnkit.policy.rule import Rule, compile_rule
from cdnkit.policy.rules.matching import Matcher
from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.resolve import resolve
from cdnkit.policy.rules.response_headers import ResponseHeaders
from cdnkit.policy.rules.response_policy import ResponsePolicy
from cdnkit.policy.rules.service import Behavior, ErrorPage, Service
from cdnkit.policy.store.eviction import Room, room_for
from cdnkit.policy.store.index import Entry, EntryIndex
from cdnkit.policy.store.key import (
    HEAD_SUFFIX,
    cache_key,
    has_cookies_in_pairs,
    keyed_coding,
    with_viewer_fields,
)
from cdnkit.policy.store.lookup import Lookup, LookupAction, look_up
from cdnkit.policy.store.slices import Versions
from cdnkit.policy.upstream.request import UpstreamRequests


class NodeOptions(TypedDict, total=False):
    """What a node may be given beside its service and profile."""

    gate: Gate
    """Left out: the service's own, without key files."""
    limits: RequestLimits
    """The largest request that this node answers. Left out: any."""
    fresh_id: Callable[[], str]
    """A new request id at every call, for profiles that send one. Left out: ids that count up."""
    codings: Collection[str]
    """Content codings that the shell can put on a body. Left out: gzip."""
    fresh_room: Callable[[], Room] | None
    """Makes an empty room. Left out: the service's eviction does."""


class NodeState:
    """All that changes in a node, and what it was made from."""

    def __init__(self, service: Service, profile: Profile = RFC9111, **options: Unpack[NodeOptions]) -> None:
        # The profile fills in what a behavior leaves open; once, here.
        policies = {**profile.response_headers_policies, **service.response_headers}
        behaviors = tuple(resolve(behavior, profile, policies) for behavior in service.behaviors)
        service = service.model_copy(update={"behaviors": behaviors})
        self.service = service
        self.profile = profile
        self.decisive = DECISIVE | profile.extra_fields
        self.codings = frozenset(options.get("codings", ("gzip",)))
        self.gate: Gate = options.get("gate") or ServiceGate(service, {})
        self.index = EntryIndex(vary_as_sent=profile.vary_as_sent)
        self.fresh_room = options.get("fresh_room") or partial(room_for, service.eviction, service.room, service.block)
        self.room = self.fresh_room()
        self.flights = FlightTable()
        limits = options.get("limits", UNLIMITED)
        node = Node(service, profile, limits, lambda path: self.matcher.ambiguity(path))
        self.matcher = Matcher(
            [
                compile_rule(behavior, node, self.gate, _response_policy(policies, behavior.response_headers_policy))
                for behavior in behaviors
            ],
            compile_rule(resolve(Behavior(path="*"), profile), node, self.gate, None),
        )
        self.pages = Pages(service)
        self.substitutions: dict[int, Substitution] = {}
        """Tickets that wait for an error page -> the status to send with it. Each goes when its flight lands: if it
        went sooner, a page that fails would be replaced by an error page in turn, and so on."""
        self.responder = Responder(service.name, profile, faces_viewers=service.gate, fresh_id=options.get("fresh_id"))
        self.upstream_requests = UpstreamRequests(service, profile, self.responder.fresh_id)
        self.filling: dict[int, Entry] = {}
        self.uncollapsed: KeyFacts[str] = KeyFacts(65_536)
        """Keys, and ranges of them, whose last response could not be shared, until when, and why: requests for them are
        not collapsed (hit-for-pass)."""
        self.varies: LRUCache[int, tuple[str, ...]] = LRUCache(65_536)
        """By the hash of a key: the names in Vary of its last response. Requests for different variants are not
        collapsed."""
        self.failing: KeyFacts[Refuse] = KeyFacts(4096)
        """Keys whose fill failed, until when no request for them goes to the parent, and the response meanwhile."""
        self.versions = Versions()
        self.purges: list[tuple[int, PurgeOrder]] = []
        """Purges since the oldest open flight began: a landing must not bring back what they removed."""
        self.vary_fields: set[str] = set()
        """Every request field that a Vary has named so far: records keep them, so that a replay selects the same."""
        self.events = 0
        """How many events this machine has had; the `seq` of records."""
        self.ids = 0

    def next_id(self) -> int:
        self.ids += 1
        return self.ids

    def take_out(self, entry: Entry, why: Cause) -> int:
        self.index.remove(entry, why)
        self.room.pop(entry.id, None)
        return entry.id


class View:
    """What a request would get now; nothing is changed."""

    def __init__(self, state: NodeState) -> None:
        self._state = state
        self._service = state.service
        self._profile = state.profile

    def rule_of(self, request: RequestHead) -> Rule:
        """The rule that a request is under, by its path without a token."""
        return self._state.matcher.match(self._state.gate.path_proper(request.path))

    def normalized(self, request: RequestHead, behavior: Behavior) -> RequestHead:
        """The request as key, rules and origin see it: without cookies that are too long or malformed, with its codings
        reduced, and with this node's own fields about the viewer.

        A shield leaves those as its edges wrote them. Where codings are in the key, Accept-Encoding has no others: a
        response that varies by it would be stored for what is sent upstream, and not be found for what viewers send.
        """
        if self._profile.quotas is not None:
            request = with_short_cookies(request, self._profile.quotas)
        if self._profile.cookies_in_pairs and not has_cookies_in_pairs(request):
            request = request.with_fields(request.headers.without(("cookie",)))
        if request.version == "1.0" and not self._profile.codings_over_http_1_0:
            request = request.with_fields(request.headers.without(("accept-encoding",)))
        if self._profile.normalized is not None:
            request = self._profile.normalized(request)
        if (
            behavior.key.accept_encoding
            and self._profile.request_fields is None
            and "accept-encoding" in request.headers
        ):
            headers = request.headers.without(("accept-encoding",))
            request = request.with_fields(
                headers.plus(("accept-encoding", keyed_coding(request, behavior) or "identity"))
            )
        if self._service.gate and self._profile.viewer_fields:
            request = with_viewer_fields(request, self._profile.viewer_fields)
        return request

    def page_for(self, status: int, request: RequestHead, refusal: Refusal | None = None) -> ErrorPage | None:
        """The error page that this request gets in place of that status, or of this refusal."""
        if refusal is not None and not refusal.paged:
            return None
        return self._state.pages.page_for(status, request)

    def uncollapsed(self, key: str, now: float) -> tuple[float, str] | None:
        """(until when, why) requests for this key go to the parent each by itself; None: they are collapsed."""
        return self._state.uncollapsed.get(key, now)

    def failing(self, key: str, now: float) -> tuple[float, Refuse] | None:
        """(until when, the response meanwhile) where the parent failed for this key and gets no request for it; or
        None."""
        return self._state.failing.get(key, now)

    def plain_answer(self, key: str, now: float) -> Entry | None:
        """The response that every plain GET for the key gets, once past the gate, from `now` until its `fresh_until`,
        unless another kind of event comes between; None: each request is decided by itself."""
        entry = self._state.index.only(key)
        if entry is None:
            return None
        life = entry.life
        if now >= life.fresh_until or life.revalidate_always or entry.selecting or entry.part is not None:
            return None
        return entry

    def plain_key_of(self, request: RequestHead) -> str | None:
        """The key of a GET that is plain if it has no `DECISIVE` field; None where its rule has no fast path."""
        key_of = self._state.matcher.match(request.path).plain_key
        return None if key_of is None or request.method != "GET" else key_of(request)

    def lookup(self, request: RequestHead, rule: Rule, now: float) -> Lookup:
        """What the request finds in the store now; nothing is changed."""
        lookup = self._lookup(cache_key(request, rule.behavior), request, rule, now)
        if request.method != "HEAD" or not self._profile.head_responses_stored:
            return lookup
        if lookup.action is not LookupAction.FETCH or lookup.entry is not None:
            return lookup
        if not lookup.alone and self._state.flights.to_join(lookup.flight_key) is not None:
            return lookup
        # Nothing that a GET could have is stored or on its way, so only the response to another HEAD may answer.
        return self._lookup(lookup.key + HEAD_SUFFIX, request, rule, now)

    def _lookup(self, key: str, request: RequestHead, rule: Rule, now: float) -> Lookup:
        state = self._state
        return look_up(
            request, rule.behavior, index=state.index, profile=self._profile, key=key, versions=state.versions, now=now,
            why_uncollapsed=lambda key: (self.uncollapsed(key, now) or (0.0, ""))[1],
            varies=state.varies.get(hash(key), ()),
        )  # fmt: skip

    def may_stand_in(self, entry: Entry, refusal: Refuse, now: float) -> bool:
        """Whether a stored response is served in place of that refusal, while no request goes to a failed parent."""
        if entry.part is not None:
            return False
        if entry.life.revalidate_always:
            return refusal.silent and self._profile.no_cache_stands_in and now < entry.life.unreachable_until
        return now < entry.life.fallback_until


def _response_policy(policies: Mapping[str, ResponseHeaders], name: str) -> ResponsePolicy | None:
    return None if name == "none" else ResponsePolicy(policies[name])
