"""Requests to the parent: on behalf of one viewer, or for a missing response that is then stored for all.

Here is which fields go along, and how many upstream requests one viewer's request may cause; what becomes of each field
is in `cdnkit/policy/upstream/forward.py`.

A viewer's request causes at most `MAX_UPSTREAM_REQUESTS`. The first may revalidate a stored response, or ask for the
rest of a stored part. If its response is of no use, the second is plain: it has no condition, and no Range but the
viewer's. So a response to it either answers the viewer or is a failure of the parent (`mismatch`).
"""

from collections.abc import Callable

from cdnkit.policy.freshness.storable import forwards_cookies
from cdnkit.policy.http.conditions import has_conditions
from cdnkit.policy.http.messages import Headers, RequestHead, ResponseHead
from cdnkit.policy.outcomes import Cause, Purpose
from cdnkit.policy.rules.parent_headers import lines_of
from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.service import Behavior, Service
from cdnkit.policy.store.key import HEAD_SUFFIX
from cdnkit.policy.store.lookup import Lookup
from cdnkit.policy.store.parts import may_be_completed
from cdnkit.policy.upstream.forward import conditional, for_the_rest, forwarded

MAX_UPSTREAM_REQUESTS = 2
"""One viewer's request may cause this many, and as many more for an error page shown in its place. Retries of a failed
exchange count as one (`cdnkit/policy/upstream/retry.py`)."""


def mismatch(request: RequestHead, response: ResponseHead) -> str | None:
    """Why the response is none to this request; None: it is one. Source: RFC 9110 §15.3.7, §15.4.5.

    A 412 or 416 without a condition or range is an error like any other, and is passed on. So is every response to a
    HEAD: nobody would get a body of it.
    """
    if request.method == "HEAD":
        return None
    if response.status == 206 and not has_range(request):
        return "206 to a request without Range"
    if response.status == 304 and not is_conditional(request):
        return "304 to a request without conditions"
    return None


def has_range(request: RequestHead) -> bool:
    return request.method == "GET" and "range" in request.headers


def same_part(upstream: RequestHead, request: RequestHead) -> bool:
    """Whether an upstream request is for the very part that the viewer's request is for."""
    return has_range(request) and upstream.headers.first("range") == request.headers.first("range")


def is_conditional(request: RequestHead) -> bool:
    """Whether a 304 may answer it."""
    return "if-none-match" in request.headers or "if-modified-since" in request.headers


class UpstreamRequests:
    """Makes one node's upstream requests."""

    __slots__ = ("_added", "_faces_viewers", "_fresh_id", "_name", "_profile")

    def __init__(self, service: Service, profile: Profile, fresh_id: Callable[[], str]) -> None:
        """`fresh_id`: a new request id at every call."""
        self._name, self._profile, self._faces_viewers = service.name, profile, service.gate
        self._added = lines_of(service.parent_headers)
        with_id = profile.request_fields is not None or profile.hop_fields is not None
        self._fresh_id = fresh_id if with_id else None

    def for_viewer(
        self, request: RequestHead, behavior: Behavior, *, conditions: bool = True, ranges: bool = True
    ) -> RequestHead:
        """The viewer's request as it is forwarded, with or without its conditions and ranges."""
        facts = request.headers.facts
        if facts is None or self._profile.request_fields is not None or self._fresh_id is not None:
            return self._forwarded(request, behavior, conditions=conditions, ranges=ranges)
        of = conditions, ranges, request.method, request.version, request.host, request.client_ip
        known = facts.forwarded
        if known is None or known[0] is not behavior or known[1] != of:
            lines = self._forwarded(request, behavior, conditions=conditions, ranges=ranges).headers.lines
            known = facts.forwarded = behavior, of, lines
        return request.with_fields(Headers.wrap(known[2].copy()))

    def _forwarded(self, request: RequestHead, behavior: Behavior, *, conditions: bool, ranges: bool) -> RequestHead:
        return forwarded(
            request, self._name, conditions=conditions, ranges=ranges, behavior=behavior, profile=self._profile,
            request_id=self._fresh_id() if self._fresh_id is not None else "", added=self._added,
            faces_viewers=self._faces_viewers,
        )  # fmt: skip

    def for_missing(
        self, lookup: Lookup, request: RequestHead, behavior: Behavior, *, conditions: bool, plain: bool = False
    ) -> tuple[RequestHead, Purpose]:
        """A request whose response is to be stored, and whether it fetches a new one or revalidates the stored one.

        `conditions`: the client's may be forwarded, where no stored response has validators; the outcome then answers
        them. `plain`: without conditions, and not for the rest of a part.
        """
        entry, ranged = lookup.entry, lookup.ranged
        own = entry is None and conditions and not plain
        own = own and has_conditions(request) and self._passes_conditions(behavior)
        upstream = self.for_viewer(request, behavior, conditions=own, ranges=ranged)
        if request.method != "OPTIONS" and not lookup.key.endswith(HEAD_SUFFIX):
            upstream.method = "GET"
        if plain:
            return upstream, Purpose.MISS
        if entry is not None and lookup.cause is Cause.PARTIAL:
            if not ranged and may_be_completed(entry):
                assert entry.part is not None and entry.etag is not None
                upstream = for_the_rest(upstream, entry.part.stop, entry.etag)
        elif entry is not None and entry.has_validator:
            return conditional(upstream, entry.etag, entry.last_modified), Purpose.REVALIDATE
        return upstream, Purpose.MISS

    def _passes_conditions(self, behavior: Behavior) -> bool:
        profile = self._profile
        if not profile.forward_conditions:
            return False
        return profile.conditions_beside_cookies or not forwards_cookies(behavior, profile)
