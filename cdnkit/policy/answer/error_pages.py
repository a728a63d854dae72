"""A page in place of an error: which, and the request for it.

Source: CloudFront, "Generating custom error responses": the page is fetched through the cache behaviors by its path; if
that fails, the viewer gets the status which that fetch produced.
"""

from dataclasses import dataclass, replace

from cdnkit.policy.http.conditions import CONDITIONS
from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import Outcome, Refusal
from cdnkit.policy.plan import Refuse, Relay, Serve
from cdnkit.policy.rules.service import ErrorPage, Service


@dataclass(slots=True)
class Instead:
    """What is told with a page that stands in for something."""

    status: int
    refusal: Refusal | None = None
    """The gate's, where it stands in for one."""

    def told_with(self, answer: Serve | Relay | Refuse) -> None:
        """Make the page's answer tell it; a page that failed keeps the status of that."""
        if answer.status == 200:
            answer.status = self.status
        if self.refusal is not None:
            answer.outcome, answer.refusal = Outcome.REFUSED, self.refusal
            if isinstance(answer, Refuse):
                answer.reason = self.refusal.reason
            else:
                answer.cause = None


class Pages:
    """The pages of one service, by the status they stand in for."""

    __slots__ = ("_by_status",)

    def __init__(self, service: Service) -> None:
        self._by_status: dict[int, ErrorPage] = {}
        for page in service.error_pages:
            self._by_status.setdefault(page.status, page)

    def __bool__(self) -> bool:
        return bool(self._by_status)

    def instead_of(self, status: int, request: RequestHead) -> ErrorPage | None:
        """The page that a viewer of this request is shown for this status; unsafe methods are told the error itself."""
        return self._by_status.get(status) if request.method in ("GET", "HEAD") else None


def request_for(page: ErrorPage, request: RequestHead) -> RequestHead:
    """The viewer's request, asking for the whole page."""
    headers = request.headers.without(("range", *CONDITIONS))
    return replace(request, path=page.page, query=None, headers=headers, block=None)
