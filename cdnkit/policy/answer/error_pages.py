"""Error pages: which page is served in place of an error, and the request for it.

Source: CloudFront, "Generating custom error responses": the page is fetched through the cache behaviors by its path; if
that fails, the viewer gets the status of that fetch.
"""

from dataclasses import dataclass, replace

from cdnkit.policy.http.conditions import CONDITIONS
from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import Outcome, Refusal
from cdnkit.policy.plan import Refuse, Relay, Serve
from cdnkit.policy.rules.service import ErrorPage, Service


@dataclass(slots=True)
class Substitution:
    """What an error page that was fetched stands in for."""

    status: int
    refusal: Refusal | None = None
    """The gate's, where it stands in for one."""

    def apply_to(self, answer: Serve | Relay | Refuse) -> None:
        """Set status and reason of the page's answer; a page that failed keeps its own status."""
        if answer.status == 200:
            answer.status = self.status
        if self.refusal is not None:
            answer.outcome, answer.refusal = Outcome.REFUSED, self.refusal
            if isinstance(answer, Refuse):
                answer.reason = self.refusal.reason
            else:
                answer.cause = None


class Pages:
    """The error pages of one service, by the status they stand in for."""

    __slots__ = ("_by_status",)

    def __init__(self, service: Service) -> None:
        self._by_status: dict[int, ErrorPage] = {}
        for page in service.error_pages:
            self._by_status.setdefault(page.status, page)

    def __bool__(self) -> bool:
        return bool(self._by_status)

    def page_for(self, status: int, request: RequestHead) -> ErrorPage | None:
        """The error page for this request and status; None for unsafe methods, which get the error itself."""
        return self._by_status.get(status) if request.method in ("GET", "HEAD") else None


def request_for(page: ErrorPage, request: RequestHead) -> RequestHead:
    """The viewer's request, changed into one for the whole page."""
    headers = request.headers.without(("range", *CONDITIONS))
    return replace(request, path=page.page, query=None, headers=headers, block=None)
