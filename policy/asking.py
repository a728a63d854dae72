"""How the parent is asked: for one viewer as he asks, or for what a judgement found missing, to be stored for all.

`policy/forward.py` has what becomes of single fields; here is which of them go along.
"""

from collections.abc import Callable

from policy.forward import conditional, for_the_rest, forwarded, has_conditions
from policy.judging import Judgement
from policy.messages import RequestHead
from policy.parent_headers import lines_of
from policy.parts import may_be_completed
from policy.plan import Purpose
from policy.profile import Profile, RequestFields
from policy.record import Cause
from policy.service import Behavior, Service
from policy.storing import forwards_cookies


class Asking:
    """Makes one node's requests to its parent."""

    __slots__ = ("_added", "_faces_viewers", "_fresh_id", "_name", "_profile")

    def __init__(self, service: Service, profile: Profile, fresh_id: Callable[[], str]) -> None:
        """`fresh_id`: a new request id at every call."""
        self._name, self._profile, self._faces_viewers = service.name, profile, service.gate
        self._added = lines_of(service.parent_headers)
        with_id = profile.request_fields is RequestFields.CLOUDFRONT or profile.hop_fields is not None
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
        self, judgement: Judgement, request: RequestHead, behavior: Behavior, *, conditions: bool
    ) -> tuple[RequestHead, Purpose]:
        """The request for what is stored from its answer, and whether it asks for that or only whether it still holds.

        `conditions`: the client's own may go along, where nothing stored has validators to ask with: then his are
        answered from the outcome.
        """
        entry, ranged = judgement.entry, judgement.ranged
        own = entry is None and conditions and has_conditions(request) and self._passes_conditions(behavior)
        upstream = self.as_asked(request, behavior, conditions=own, ranges=ranged)
        upstream.method = "OPTIONS" if request.method == "OPTIONS" else "GET"
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
