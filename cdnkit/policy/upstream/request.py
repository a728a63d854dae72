"""How the parent is asked: for one viewer as he asks, or for what a judgement found missing, to be stored for all.

`cdnkit/policy/upstream/forward.py` has what becomes of single fields; here is which of them go along, and how often a
request may ask.

A request asks at most `MOST_ASKS` times. The first question may be about what is stored: whether it still holds, or
for the rest of it. If its answer is of no use, the second is plain: no condition, and no Range but the viewer's own.
So every answer that fits it (`misfit`) is an answer to the viewer, and one that does not is the parent's failure.
"""

from collections.abc import Callable

from cdnkit.policy.freshness.storable import forwards_cookies
from cdnkit.policy.http.conditions import has_conditions
from cdnkit.policy.http.messages import RequestHead, ResponseHead
from cdnkit.policy.outcomes import Cause
from cdnkit.policy.plan import Purpose
from cdnkit.policy.rules.parent_headers import lines_of
from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.service import Behavior, Service
from cdnkit.policy.store.key import HEADS
from cdnkit.policy.store.lookup import Judgement
from cdnkit.policy.store.parts import may_be_completed
from cdnkit.policy.upstream.forward import conditional, for_the_rest, forwarded

MOST_ASKS = 2
"""Questions to the parent that one request of a viewer may cost (of the page that it is shown instead, as many more).
What is tried again because an exchange failed counts as one (`cdnkit/policy/upstream/retry.py`)."""


def misfit(question: RequestHead, answer: ResponseHead) -> str | None:
    """Why this answers nothing that was asked; None: it does. Source: RFC 9110 §15.3.7, §15.4.5.

    A 412 or a 416 that nobody asked for is an error like another, and is passed on; so is whatever answers a HEAD, of
    which nobody would get a body.
    """
    if question.method == "HEAD":
        return None
    if answer.status == 206 and not asks_for_part(question):
        return "206 to a request without Range"
    if answer.status == 304 and not asks_whether(question):
        return "304 to a request without conditions"
    return None


def asks_for_part(request: RequestHead) -> bool:
    return request.method == "GET" and "range" in request.headers


def same_part(question: RequestHead, request: RequestHead) -> bool:
    """Whether the parent was asked for the very part that a viewer asks for."""
    return asks_for_part(request) and question.headers.first("range") == request.headers.first("range")


def asks_whether(question: RequestHead) -> bool:
    """Whether it asks if a copy still holds."""
    return "if-none-match" in question.headers or "if-modified-since" in question.headers


class Asking:
    """Makes one node's requests to its parent."""

    __slots__ = ("_added", "_faces_viewers", "_fresh_id", "_name", "_profile")

    def __init__(self, service: Service, profile: Profile, fresh_id: Callable[[], str]) -> None:
        """`fresh_id`: a new request id at every call."""
        self._name, self._profile, self._faces_viewers = service.name, profile, service.gate
        self._added = lines_of(service.parent_headers)
        with_id = profile.request_fields is not None or profile.hop_fields is not None
        self._fresh_id = fresh_id if with_id else None

    def as_asked(
        self, request: RequestHead, behavior: Behavior, *, conditions: bool = True, ranges: bool = True
    ) -> RequestHead:
        """The viewer's request as it goes on; his conditions and ranges with it, or not."""
        return forwarded(
            request, self._name, conditions=conditions, ranges=ranges, behavior=behavior, profile=self._profile,
            request_id=self._fresh_id() if self._fresh_id is not None else "", added=self._added,
            faces_viewers=self._faces_viewers,
        )  # fmt: skip

    def for_missing(
        self, judgement: Judgement, request: RequestHead, behavior: Behavior, *, conditions: bool, plainly: bool = False
    ) -> tuple[RequestHead, Purpose]:
        """The request for what is stored from its answer, and whether it asks for that or only whether it still holds.

        `conditions`: the client's own may go along, where nothing stored has validators to ask with: then his are
        answered from the outcome. `plainly`: without conditions, and not for the rest of a part.
        """
        entry, ranged = judgement.entry, judgement.ranged
        own = entry is None and conditions and not plainly
        own = own and has_conditions(request) and self._passes_conditions(behavior)
        upstream = self.as_asked(request, behavior, conditions=own, ranges=ranged)
        if request.method != "OPTIONS" and not judgement.key.endswith(HEADS):
            upstream.method = "GET"
        if plainly:
            return upstream, Purpose.MISS
        if entry is not None and judgement.cause is Cause.PARTIAL:
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
