"""What a record says of an answer: its object by the answer's type, and how it came about, as far as that is known."""

from typing import Any, cast

import pytest

from cdnkit.policy.http.messages import RequestHead, ResponseHead
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.outcomes import Cause, Failure, Outcome
from cdnkit.policy.plan import Fetch, Refuse, Relay, Serve
from cdnkit.policy.record.lines import RequestRecord
from cdnkit.policy.record.object_class import ObjectClass
from cdnkit.policy.rules.profile import RFC9111
from cdnkit.policy.rules.service import Behavior
from edge.recorder import Recorder
from edge.response import Response
from tests.kit.machine import NOW, get, node
from tests.kit.machine import dated as says

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


def recorder_of(edge: EdgeMachine, responds_at: float) -> Recorder:
    return Recorder(edge, cast(Any, None), lambda: responds_at)


def recorded(request: RequestHead, came: ResponseHead | Failure) -> tuple[RequestRecord, Serve | Relay | Refuse, Fetch]:
    edge = node(RFC9111)
    recorder = recorder_of(edge, NOW + 0.0123456)
    plan = edge.on_request(request, NOW)
    assert isinstance(plan, Fetch)
    record = recorder.request(request, plan, NOW)
    landing = edge.on_failure(plan, came, NOW) if isinstance(came, Failure) else edge.on_response(plan, came, NOW)
    (answer,) = landing.answers.values()
    assert isinstance(answer, Serve | Relay | Refuse)
    recorder.responded(record, Response(answer), request.path)
    return record, answer, plan


@pytest.mark.parametrize(("fields", "came", "status", "what"), ANSWERS)
def test_what_is_recorded_of_an_answer(
    fields: dict[str, str], came: ResponseHead | Failure, status: int, what: tuple[ObjectClass, str]
) -> None:
    record, answer, plan = recorded(get(PATH, **fields), came)
    assert (record.status, record.ttfb_ms) == (status, 12.346)
    assert (record.object_class, record.rendition) == what
    assert (record.outcome, record.reason) == (answer.outcome, answer.reason)
    if isinstance(came, Failure):
        assert (record.outcome, record.cause, record.reason) == (Outcome.FAILED, Cause.COLD, "origin: connect-refused")
    else:
        assert (record.outcome, record.cause, record.fetch) == (Outcome.MISS, Cause.COLD, plan.id)


def test_a_refusal_has_no_cause_no_fetch_and_what_its_path_says() -> None:
    edge = node(RFC9111, Behavior(path="*", methods="GET, HEAD"))
    request = get("/live/720p/seg-1.m4s", method="POST")
    refused = edge.on_request(request, NOW)
    assert isinstance(refused, Refuse)
    recorder = recorder_of(edge, NOW)
    record = recorder.request(request, refused, NOW)
    recorder.responded(record, Response(refused), request.path)
    assert (record.status, record.outcome, record.cause, record.fetch) == (403, Outcome.REFUSED, None, 0)
    assert (record.object_class, record.rendition) == (ObjectClass.SEGMENT, "720p")
    assert record.reason == refused.reason != ""
