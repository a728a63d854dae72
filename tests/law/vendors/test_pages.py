"""Custom error responses: the page comes by its path through the behaviors, with the status that was configured."""

from dataclasses import replace

import pytest

from cdnkit.policy.http.place import Place
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.outcomes import Failure
from cdnkit.policy.plan import Fetch, Plan, PurgeKind, PurgeOrder, Refuse, Relay, Serve
from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.service import Behavior, ErrorPage, Geo, Service, Ttl
from cdnkit.vendors import CLOUDFRONT, FASTLY, RFC9111
from tests.kit.machine import NOW, fetched
from tests.kit.machine import dated as says
from tests.kit.machine import get as ask

PAGES = (
    ErrorPage(status=404, page="/errors/none.html", response_status=200),
    ErrorPage(status=503, page="/errors/down.html", response_status=503),
    ErrorPage(status=502, page="/errors/down.html", response_status=503),
)


def lab(*behaviors: Behavior) -> EdgeMachine:
    return EdgeMachine(Service(name="fra", error_pages=PAGES, behaviors=behaviors), CLOUDFRONT)


def test_an_error_becomes_a_request_for_its_page_and_the_page_carries_the_status() -> None:
    edge = lab()
    first, follower = (
        fetched(edge, edge.on_request(ask(range="bytes=0-1"), NOW)),
        edge.on_request(ask(range="bytes=0-1"), NOW),
    )
    landing = edge.on_response(first, says(404), NOW)
    page = landing.answers[first.ticket]
    assert isinstance(page, Fetch) and page.request.path == "/errors/none.html" and "range" not in page.request.headers
    assert follower.ticket not in landing.answers  # type: ignore[union-attr]
    edge.on_body_end(first, 3, NOW)
    shown = edge.on_response(page, says(cache_control="max-age=60"), NOW)
    edge.on_body_end(page, 10, NOW)
    for ticket in (first.ticket, follower.ticket):  # type: ignore[union-attr]
        answer = shown.answers[ticket]
        assert isinstance(answer, Serve) and answer.status == 200 and answer.entry.key == "/errors/none.html"


def test_a_cached_error_and_a_cached_page_need_no_origin() -> None:
    edge = lab()
    first = fetched(edge, edge.on_request(ask(), NOW))
    page = edge.on_response(first, says(503), NOW).answers[first.ticket]
    assert isinstance(page, Fetch)
    edge.on_body_end(first, 3, NOW)
    assert edge.on_response(page, says(cache_control="max-age=60"), NOW).answers[first.ticket].status == 503  # type: ignore[union-attr]
    edge.on_body_end(page, 10, NOW)
    again = edge.on_request(ask(), NOW + 9)  # ErrorCachingMinTTL: 10 s
    assert isinstance(again, Serve) and (again.status, again.entry.key) == (503, "/errors/down.html")
    asked_again = edge.on_request(ask(), NOW + 10)
    assert isinstance(asked_again, Fetch) and asked_again.request.path == "/a"
    plain = edge.on_request(ask("/errors/down.html"), NOW + 10)
    assert isinstance(plain, Serve) and plain.status == 200


def test_an_origin_that_is_away_is_an_error_too() -> None:
    edge = lab()
    first = fetched(edge, edge.on_request(ask(), NOW))
    page = edge.on_failure(first, Failure.CONNECT, NOW).answers[first.ticket]
    assert isinstance(page, Fetch) and page.request.path == "/errors/down.html"


def test_if_the_page_fails_the_viewer_gets_the_status_of_that() -> None:
    edge = lab()
    first = fetched(edge, edge.on_request(ask(), NOW))
    page = edge.on_response(first, says(404), NOW).answers[first.ticket]
    assert isinstance(page, Fetch)
    answer = edge.on_response(page, says(500), NOW).answers[first.ticket]
    assert isinstance(answer, Serve | Relay) and answer.status == 500
    edge = lab()
    first = fetched(edge, edge.on_request(ask(), NOW))
    page = edge.on_response(first, says(404), NOW).answers[first.ticket]
    assert isinstance(page, Fetch)
    failed = edge.on_failure(page, Failure.FIRST_BYTE_TIMEOUT, NOW).answers[first.ticket]
    assert isinstance(failed, Refuse) and failed.status == 504


def test_the_page_is_ruled_by_its_own_behavior() -> None:
    edge = lab(Behavior(path="/errors/*", ttl=Ttl(min=0.0, default=7.0, max=7.0)))
    first = fetched(edge, edge.on_request(ask(), NOW))
    page = edge.on_response(first, says(404), NOW).answers[first.ticket]
    assert isinstance(page, Fetch) and page.rule.path == "/errors/*"


@pytest.mark.parametrize(("method", "status"), [("POST", 404), ("GET", 403)])
def test_errors_without_a_page_and_unsafe_methods_are_told_as_they_are(method: str, status: int) -> None:
    edge = lab()
    plan = fetched(edge, edge.on_request(ask(method=method), NOW))
    answer = edge.on_response(plan, says(status), NOW).answers[plan.ticket]
    assert isinstance(answer, Serve | Relay) and answer.status == status


STATUSES = [400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504]


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_that_cloudfront_lists_may_have_a_page_and_be_told_with_one(status: int) -> None:
    page = ErrorPage.model_validate({"status": status, "page": "/e.html", "response_status": status})
    edge = EdgeMachine(Service(name="fra", error_pages=(page,)), CLOUDFRONT)
    plan = fetched(edge, edge.on_request(ask(), NOW))
    shown = edge.on_response(plan, says(status), NOW).answers[plan.ticket]
    assert isinstance(shown, Fetch) and shown.request.path == "/e.html"
    assert edge.on_response(shown, says(), NOW).answers[plan.ticket].status == status  # type: ignore[union-attr]


@pytest.mark.parametrize("left_out", ["page", "response_status"])
def test_a_page_and_its_status_are_given_together(left_out: str) -> None:
    whole = {"status": 404, "page": "/none.html", "response_status": 200}
    with pytest.raises(ValueError, match=left_out):
        ErrorPage.model_validate({name: value for name, value in whole.items() if name != left_out})


def test_to_clear_a_kept_error_its_own_path_is_purged_and_not_the_pages() -> None:
    edge = lab()
    first = fetched(edge, edge.on_request(ask(), NOW))
    page = edge.on_response(first, says(404), NOW).answers[first.ticket]
    assert isinstance(page, Fetch)
    edge.on_body_end(first, 3, NOW)
    edge.on_response(page, says(cache_control="max-age=60"), NOW)
    edge.on_body_end(page, 10, NOW)
    edge.on_purge(PurgeOrder(PurgeKind.URL, "/errors/none.html"), NOW + 1)
    asks_for_the_page = edge.on_request(ask(), NOW + 2)
    assert isinstance(asks_for_the_page, Fetch) and asks_for_the_page.request.path == "/errors/none.html"
    edge.on_purge(PurgeOrder(PurgeKind.URL, "/a"), NOW + 3)
    asks_the_origin = edge.on_request(ask(), NOW + 4)
    assert isinstance(asks_the_origin, Fetch) and asks_the_origin.request.path == "/a"


DENIED = ErrorPage(status=403, page="/errors/denied.html", response_status=403)


def refusing(profile: Profile, method: str = "GET") -> tuple[EdgeMachine, Plan]:
    rules = (Behavior(path="/errors/*"), Behavior(path="*", geo=Geo(deny=("KP",)), methods="GET, HEAD"))
    edge = EdgeMachine(Service(name="fra", error_pages=(DENIED,), behaviors=rules), profile)
    return edge, edge.on_request(replace(ask(method=method), place=Place("KP")), NOW)


@pytest.mark.parametrize("profile", [CLOUDFRONT, RFC9111, FASTLY], ids=lambda profile: profile.name)
def test_the_page_is_shown_also_to_those_who_are_blocked_by_country(profile: Profile) -> None:
    """CloudFront, "Restrict the geographic distribution of your content": the 403 may have a custom error response."""
    edge, plan = refusing(profile)
    assert isinstance(plan, Fetch) and plan.request.path == "/errors/denied.html"
    answer = edge.on_response(plan, says(cache_control="max-age=60"), NOW).answers[plan.ticket]
    assert isinstance(answer, Serve) and answer.status == 403


def test_a_method_that_is_not_let_through_is_told_so_itself() -> None:
    assert isinstance(refusing(CLOUDFRONT, "POST")[1], Refuse)


@pytest.mark.parametrize("wrong", [{"status": 429}, {"page": "none.html"}, {"page": "/a?b"}, {"response_status": 201}])
def test_what_cloudfront_would_refuse_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ErrorPage.model_validate({"status": 404, "page": "/none.html", "response_status": 200, **wrong})
