"""Record files as traces: every line that the edge writes is read, and what is no record is named."""

import json
import re
from pathlib import Path

import msgspec
import pytest

import cdnkit.replay.trace_files
from cdnkit.policy import Headers, PurgeKind, ResponseHead, Service
from cdnkit.policy.outcomes import Cause, Failure, Outcome, RefusalKind
from cdnkit.policy.plan import Fetch, Refuse
from cdnkit.policy.record.lines import (
    FetchRecord,
    LostRecord,
    PartRecord,
    PurgeRecord,
    Record,
    Requested,
    RequestRecord,
    to_json,
)
from cdnkit.policy.record.object_class import ObjectClass
from cdnkit.policy.rules.profile import RFC9111
from cdnkit.policy.rules.service import Behavior, ErrorPage, Geo
from cdnkit.replay import BadTrace, read_trace, replay_each, replay_node, trace_of
from cdnkit.replay.gate import kind_of
from cdnkit.replay.node import MOST_DIFFERENCES, ReplayNode, request_of
from cdnkit.replay.trace import Ended, Event, Exchange, Gap, Landed, Line, Missing, Ordered, events_of
from cdnkit.vendors import PROFILES

AT = 1_795_000_000.25
REQUEST = RequestRecord(
    node="fra", seq=1, at=AT, method="GET", url="http://h/a?q=\u00e9", status=200, outcome=Outcome.MISS, cause=Cause.COLD,
    behavior="*", object_class=ObjectClass.SEGMENT, rendition="720p", bytes_sent=10, ttfb_ms=1.5, duration_ms=2.5,
    client_ip="198.51.100.7", country="DE", reason="", fetch=2, headers=(("range", "bytes=0-9"),),
)  # fmt: skip
FETCH = FetchRecord("fra", 2, "/a", "miss", AT, 2, AT + 1, 200, (("etag", '"1"'),), 4, AT + 3, 10)
PURGE = PurgeRecord("fra", 3, AT + 2, "surrogate-key", "live", soft=True, purged=1)


def written(path: Path, *records: Record) -> Path:
    path.write_text("".join(json.dumps(to_json(record)) + "\n" for record in records), encoding="utf-8")
    return path


def test_records_are_events_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path / "fra.jsonl", FETCH, PURGE, REQUEST))
    request = Requested(
        1,
        AT,
        "GET",
        "http://h/a?q=\u00e9",
        200,
        Outcome.MISS,
        Cause.COLD,
        "198.51.100.7",
        "DE",
        "",
        (("range", "bytes=0-9"),),
    )
    exchange = Exchange("fra", 2, "/a", "miss", AT, 2, AT + 1, 200, (("etag", '"1"'),), 4, AT + 3, 10)
    assert list(trace.events) == [
        request, Landed(2, AT + 1, exchange), Ordered("fra", 3, AT + 2, PurgeKind.SURROGATE_KEYS, "live", True, 1), Ended(4, AT + 3, exchange),
    ]  # fmt: skip


def test_a_file_is_read_in_pieces_of_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "fra.jsonl", REQUEST, FETCH, PURGE)
    whole = list(read_trace(path).events)
    for size in (1, 7, 300, 1000):
        monkeypatch.setattr(cdnkit.replay.trace_files, "CHUNK_BYTES", size)
        told: list[int] = []
        assert list(read_trace(path, read=told.append).events) == whole
        assert sum(told) == path.stat().st_size


def test_a_line_that_was_being_written_is_passed_over_and_counted(tmp_path: Path) -> None:
    path = written(tmp_path / "fra.jsonl", REQUEST, PURGE)
    path.write_bytes(path.read_bytes()[:-20])
    trace = read_trace(path)
    assert list(trace.events) == [trace.events[0], Gap(1, 1, 1, Missing.TORN)]


TORN = [  # between two lines
    b"{nonsense",
    b'{"kind":"request","node":"fra","seq":2,"at":17950000',
    b'{"kind":"requ{"kind":"purge","node":"fra","seq":2,"at":1.5,"what":"url","value":"/a","soft":true,"purged":1}',
    b"\0\0\0\0",  # of a file system that was not told to write it
    b"\xff\xfe",
    b"[" * 100_000,
]


@pytest.mark.parametrize("line", TORN, ids=range(len(TORN)))
@pytest.mark.parametrize("chunk_bytes", [50, 1 << 22])
def test_a_torn_line_is_passed_over_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: bytes, chunk_bytes: int
) -> None:
    monkeypatch.setattr(cdnkit.replay.trace_files, "CHUNK_BYTES", chunk_bytes)
    path = written(tmp_path / "fra.jsonl", REQUEST)
    path.write_bytes(path.read_bytes() + line + b"\n" + json.dumps(to_json(PURGE)).encode() + b"\n")
    trace = read_trace(path)
    assert [type(event) for event in trace.events] == [Requested, Gap, Ordered]
    assert (trace.missing(Missing.TORN), trace.missing(Missing.LOST)) == (1, 0)


def test_parts_are_read_as_one_file(tmp_path: Path) -> None:
    first = written(tmp_path / "fra.jsonl", REQUEST)
    second = written(tmp_path / "fra.part-2.jsonl", PartRecord("fra", 2, 1, 1), FETCH, PURGE)
    whole = read_trace(written(tmp_path / "all", REQUEST, FETCH, PURGE))
    assert list(read_trace(first, second).events) == list(whole.events)


def test_what_is_not_kept_any_more_is_a_gap(tmp_path: Path) -> None:
    path = written(tmp_path / "fra.part-7.jsonl", PartRecord("fra", 7, 9000, 12_000), PURGE)
    trace = read_trace(path)
    assert trace.gaps == [Gap(0, 12_000, 9000, Missing.OLD)]
    assert trace.missing(Missing.OLD) == 9000
    later = written(tmp_path / "fra.part-8.jsonl", PartRecord("fra", 8, 9001, 12_001), REQUEST)
    assert read_trace(path, later).gaps == trace.gaps, "what is there is not missing"


def test_what_could_not_be_written_is_a_gap(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path / "fra.jsonl", REQUEST, LostRecord("fra", 40, 2, 90), PURGE))
    assert trace.gaps == [Gap(2, 90, 40, Missing.LOST)]


BAD = [  # the third line                                                          said of it
    ("[1, 2]", "line 3: no record: Expected `object`, got `array`"),
    ('{"kind":"answer"}', "line 3: no record: Invalid value 'answer' - at `$.kind`"),
    ('{"kind":"request","seq":3}', "line 3: no record: Object missing required field `at`"),
    (json.dumps(to_json(PURGE) | {"what": "half"}), "line 3: no record: Invalid enum value 'half' - at `$.what`"),
    (json.dumps(to_json(REQUEST) | {"status": "200"}), "line 3: no record: Expected `int`, got `str` - at `$.status`"),
    (json.dumps(to_json(FETCH) | {"failure": "tired"}), "line 3: no record: 'tired' is not a valid Failure"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "said"), BAD, ids=[row[0][:20] for row in BAD])
@pytest.mark.parametrize("chunk_bytes", [50, 1 << 22])
def test_what_is_no_record_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, said: str, chunk_bytes: int
) -> None:
    monkeypatch.setattr(cdnkit.replay.trace_files, "CHUNK_BYTES", chunk_bytes)
    path = written(tmp_path / "fra.jsonl", REQUEST, FETCH)
    path.write_text(path.read_text() + line + "\n\n" + json.dumps(to_json(PURGE)) + "\n")
    with pytest.raises(BadTrace, match=r"fra\.jsonl: line 3") as caught:
        read_trace(path)
    assert said in str(caught.value)


def test_empty_lines_are_passed_over_and_counted(tmp_path: Path) -> None:
    path = written(tmp_path / "fra.jsonl", REQUEST, PURGE)
    path.write_text(path.read_text().replace("\n", "\n\n"))
    assert [event.seq for event in read_trace(path).events] == [1, 3]
    path.write_text(path.read_text() + "[1]\n")
    with pytest.raises(BadTrace, match="line 5: no record"):
        read_trace(path)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(BadTrace, match="No such file"):
        read_trace(tmp_path / "fra.jsonl")


def test_times_that_step_back_are_told_one_by_one() -> None:
    """No live clock does that; a trace put together by hand may, and comes to the same end."""
    service = Service(name="fra")
    node = ReplayNode(service, RFC9111)
    plan = node.machine.on_request(cdnkit.replay.node.request_of(asked(1, AT)), AT)
    assert isinstance(plan, Fetch)
    fields = (("cache-control", "max-age=5"),)
    assert node.machine.on_response(plan, ResponseHead(200, Headers(fields)), AT).store is not None
    trace: list[Event] = events_of(
        [asked(1, AT), Exchange("fra", plan.id, "/a", "miss", AT, 2, AT, 200, fields, 3, AT, 10)]
        + [asked(4 + n, AT + after) for n, after in enumerate((1, 6, 2, 4.9, 5, 3))]
    )
    replayed = replay_node(trace_of(trace), service, RFC9111)
    assert replayed == replay_each(trace, service, RFC9111)
    assert len(replayed.differences) == 3  # live these were hits, and the first was answered at once


def asked(seq: int, at: float) -> Requested:
    return Requested(seq, at, "GET", "http://h/a", 200, Outcome.HIT, None)


def test_every_failure_can_be_read(tmp_path: Path) -> None:
    records = [
        FetchRecord("fra", number, "/a", "miss", AT, number, AT, 0, [], failure=failure.value)
        for number, failure in enumerate(Failure, start=1)
    ]
    assert len(read_trace(written(tmp_path / "fra.jsonl", *records))) == len(Failure)


GEO = Service(name="fra", behaviors=(Behavior(path="*", geo=Geo(deny=("KP",), unknown="allow")),))
PAGE = ErrorPage(status=403, page="/sorry", response_status=200)
REFUSED = [  # kind, status and reason in the record                        the status of the replay
    (RefusalKind.GEO, 403, "geo: KP is denied", 403),
    (RefusalKind.GEO, 403, "we do not serve North Korea", 403),
    (RefusalKind.TOKEN, 410, "your token has run out", 410),
    (RefusalKind.HOST, 421, "nobody of that name lives here", 421),
    (RefusalKind.LIMIT, 431, "geo: a word of another kind", 431),
    (RefusalKind.MALFORMED, 400, "", 400),
    (None, 403, "geo: KP is denied", 403),  # as earlier versions wrote them
    (None, 431, "limit: the request's head has 9000 bytes, 8192 are taken", 431),
    (None, 508, "loop: the request has passed fra before", 508),
]


@pytest.mark.parametrize(("kind", "status", "reason", "then"), REFUSED)
def test_a_refusal_is_replayed_by_its_kind_whatever_its_words(
    kind: RefusalKind | None, status: int, reason: str, then: int
) -> None:
    """Also where the replay's own rules would let it pass, and something stored would answer it."""
    record = Requested(1, AT, "GET", "http://h/a", status, Outcome.REFUSED, None, reason=reason, refusal=kind)
    for service in (Service(name="fra"), GEO):
        node = ReplayNode(service, RFC9111)
        node.on_event(record)
        assert node.finish().differences == []
        node._gate.record = record
        plan = node.machine.on_request(request_of(record), AT)
        assert isinstance(plan, Refuse) and plan.refusal is not None
        assert (plan.status, plan.reason, plan.refusal.kind) == (then, reason, kind or kind_of(record))


def test_a_page_stands_in_for_a_place_that_is_refused_whatever_the_words() -> None:
    """The record of such a refusal has the page's status."""
    for kind, reason in ((RefusalKind.GEO, "somewhere else"), (None, "geo: KP is denied")):
        record = Requested(1, AT, "GET", "http://h/a", 200, Outcome.REFUSED, None, reason=reason, refusal=kind)
        page = Exchange("fra", 2, "/sorry", "miss", AT, 2, AT, 200, (("cache-control", "max-age=9"),), 3, AT, 10)
        service = GEO.model_copy(update={"error_pages": (PAGE,)})
        assert replay_node(trace_of(events_of([record, page])), service, RFC9111).differences == []


def test_a_refusal_whose_viewer_had_left_before_its_head_is_replayed() -> None:
    left = Requested(1, AT, "GET", "http://h/a", 0, Outcome.REFUSED, None, reason="token: expired")
    for profile in PROFILES.values():
        assert replay_node(trace_of([left]), Service(name="fra"), profile).differences == []


@pytest.mark.parametrize("how_many", [3, 1999, 2000, 4001])
def test_the_first_differences_are_kept_and_the_others_counted(how_many: int) -> None:
    service = Service(name="fra")
    # Live these were hits; here nothing is ever stored, since no exchange is recorded.
    events = [msgspec.structs.replace(asked(1 + n, AT + n), url=f"http://h/{n}") for n in range(how_many)]
    replayed = replay_node(trace_of(events), service, RFC9111)
    assert replayed == replay_each(events, service, RFC9111)
    assert replayed.differed == how_many
    assert [one.seq for one in replayed.differences] == list(range(1, 1 + min(how_many, MOST_DIFFERENCES)))


ODD_ONES = [  # what a line may have beside those of plain hits
    {"status": 206}, {"status": 0}, {"outcome": Outcome.MISS, "cause": Cause.COLD}, {"method": "HEAD"}, {"block": 3},
    {"headers": (("Range", "bytes=0-1"),)}, {"outcome": Outcome.REFUSED}, {"headers": (("accept-encoding", "br"),)},
    {"url": "http://h/" + "x" * 5000},
]  # fmt: skip


@pytest.mark.parametrize("chunk_bytes", [300, 1 << 22])
def test_events_that_are_left_in_the_files_are_the_same(
    chunk_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cdnkit.replay.trace_files, "CHUNK_BYTES", chunk_bytes)
    hits = [msgspec.structs.replace(REQUEST, outcome=Outcome.HIT, cause=None, status=200, headers=(), block=None)]
    records = [msgspec.structs.replace(hits[0], **odd) for one in ODD_ONES for odd in ({}, one, {"url": "http://h/b"})]
    for number, record in enumerate(records):
        record.seq, record.at = (number * 7) % len(records), AT + number  # not in their order
    files = (written(tmp_path / "a", *records[:9]), written(tmp_path / "b", FETCH, *records[9:]))
    whole = b"".join(path.read_bytes() for path in files)
    trace = read_trace(*files)
    expected = trace_of(events_of(msgspec.json.decode(line, type=Line) for line in whole.splitlines()))
    assert list(trace.events) == expected.events == trace.events[:]
    assert trace.others == expected.others
    told = {url: (one.positions, one.times, one.status, one.odd) for url, one in trace.plain.items()}
    assert told == {url: (one.positions, one.times, one.status, one.odd) for url, one in expected.plain.items()}


def test_a_line_that_is_read_again_and_is_no_record_is_named(tmp_path: Path) -> None:
    hit = msgspec.structs.replace(REQUEST, outcome=Outcome.HIT, cause=None, status=200, headers=(), block=None)
    path = written(tmp_path / "fra.jsonl", hit)
    path.write_bytes(re.sub(rb'"head_fields": ?\d+', b'"head_fields":"many"', path.read_bytes()))
    with pytest.raises(BadTrace, match="no record"):
        list(read_trace(path).events)
