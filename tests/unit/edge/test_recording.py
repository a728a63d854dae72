"""What a record says of an answer: its object by the answer's type, and how it came about, as far as that is known."""

import pytest

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import Cause, Failure, Outcome
from cdnkit.policy.plan import Fetch, Refuse, Relay, Serve
from cdnkit.policy.record.lines import RequestRecord
from cdnkit.policy.record.object_class import ObjectClass
from cdnkit.policy.rules.profile import RFC9111
from cdnkit.policy.rules.service import Behavior
from edge.recording import Blind, answered, request_record
from tests.kit.machine import NOW, ask, node, says

PATH = "/live/720p/list"  # its name says nothing of it
TYPE = {"content_type": "application/vnd.apple.mpegurl", "cache_control": "max-age=60", "etag": '"1"'}
LISTED = (ObjectClass.MEDIA_PLAYLIST, "720p")
UNKNOWN = (ObjectClass.OTHER, "")
PART = {"content_range": "bytes 0-4/10", "content_length": "5"}

ANSWERS = [  # the request's fields, what the parent gives, the status that is recorded, and what it says of the object
    ({}, says(200, **TYPE), 200, LISTED),
    ({"range": "bytes=0-4"}, says(206, **TYPE, **PART), 206, LISTED),
    ({"if_none_match": '"1"'}, says(200, **TYPE), 304, LISTED),  # by what is stored: its own head has no type
    ({}, says(404, **TYPE), 404, UNKNOWN),  # a page about it is not the object
    ({}, says(302, **TYPE), 302, UNKNOWN),
    ({}, Failure.CONNECT, 502, UNKNOWN),
]


def recorded(request: RequestHead, came: object) -> tuple[RequestRecord, Serve | Relay | Refuse, Fetch]:
    edge = node(RFC9111)
    plan = edge.on_request(request, NOW)
    assert isinstance(plan, Fetch)
    record = request_record("fra", 1, NOW, request, plan, blind=Blind(edge.gate), viewers=True)
    landing = (
        edge.on_failure(plan, came, NOW) if isinstance(came, Failure) else edge.on_response(plan, came, NOW)  # type: ignore[arg-type]
    )
    (answer,) = landing.answers.values()
    assert isinstance(answer, Serve | Relay | Refuse)
    answered(record, answer, NOW + 0.0123456, request.path)
    return record, answer, plan


@pytest.mark.parametrize(("fields", "came", "status", "what"), ANSWERS)
def test_what_is_recorded_of_an_answer(
    fields: dict[str, str], came: object, status: int, what: tuple[ObjectClass, str]
) -> None:
    record, answer, plan = recorded(ask(PATH, **fields), came)
    assert (record.status, record.ttfb_ms) == (status, 12.346)
    assert (record.object_class, record.rendition) == what
    assert (record.outcome, record.reason) == (answer.outcome, answer.reason)
    if isinstance(came, Failure):
        assert (record.outcome, record.cause, record.reason) == (Outcome.FAILED, Cause.COLD, "origin: connect-refused")
    else:
        assert (record.outcome, record.cause, record.fetch) == (Outcome.MISS, Cause.COLD, plan.id)


def test_a_refusal_has_no_cause_no_fetch_and_what_its_path_says() -> None:
    edge = node(RFC9111, Behavior(path="*", methods="GET, HEAD"))
    request = ask("/live/720p/seg-1.m4s", method="POST")
    refused = edge.on_request(request, NOW)
    assert isinstance(refused, Refuse)
    record = request_record("fra", 1, NOW, request, refused, blind=Blind(edge.gate), viewers=True)
    answered(record, refused, NOW, request.path)
    assert (record.status, record.outcome, record.cause, record.fetch) == (403, Outcome.REFUSED, None, 0)
    assert (record.object_class, record.rendition) == (ObjectClass.SEGMENT, "720p")
    assert record.reason == refused.reason != ""
