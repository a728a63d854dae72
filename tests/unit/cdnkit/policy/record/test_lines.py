"""The schema of records: what a line looks like, and that its readers have no schema of their own."""

import json

import msgspec
import pytest

from cdnkit.policy.outcomes import Cause, Outcome
from cdnkit.policy.record.lines import (
    FetchRecord,
    LostRecord,
    PartRecord,
    PurgeRecord,
    Record,
    Requested,
    RequestRecord,
    line_of,
    lines_of,
)
from cdnkit.policy.record.object_class import ObjectClass
from cdnkit.replay.trace import Line
from cdnlab.report.sql import COLUMNS

REQUEST = RequestRecord(
    node="fra", seq=1, at=1_795_000_000.25, method="GET", url="http://h/a", status=200, outcome=Outcome.MISS,
    cause=Cause.COLD, behavior="*", object_class=ObjectClass.SEGMENT, rendition="720p", bytes_sent=10, ttfb_ms=1.5,
    duration_ms=2.5, client_ip="198.51.100.7", country="DE", fetch=2, headers=(("range", "bytes=0-9"),), block=0,
)  # fmt: skip
RECORDS: list[tuple[str, Record]] = [
    ("request", REQUEST),
    ("fetch", FetchRecord("fra", 2, "/a", "miss", 1.5, 2, 2.5, 200, (("etag", '"1"'),), 4, 3.5, 10, {"key": "/a"})),
    ("fetch", FetchRecord("fra", 2, "/a", "miss", 1.5, 2, 2.5, 0, (), failure="connection-reset")),
    ("purge", PurgeRecord("fra", 3, 2.5, "surrogate-keys", "live", soft=True, purged=1)),
    ("lost", LostRecord("fra", 4, 1, 9)),
    ("part", PartRecord("fra", 2, 40, 90)),
]


@pytest.mark.parametrize(("kind", "record"), RECORDS)
def test_a_line_holds_every_field_and_says_its_kind(kind: str, record: Record) -> None:
    line = line_of(record)
    values = json.loads(line)
    assert line.endswith(b"}\n") and line.count(b"\n") == 1
    assert values.pop("kind") == kind
    assert tuple(values) == record.__struct_fields__
    assert msgspec.json.decode(line, type=type(record)) == record


LETTERS = ["café", "\u2028 ends a line for some", "\x85", "日本", "\U0001f4fa", "half \ud800 a pair", 'a "quote"\\\n']


@pytest.mark.parametrize("text", LETTERS, ids=ascii)
def test_a_line_is_ascii_whatever_it_tells_of(text: str) -> None:
    line = line_of(PurgeRecord("fra", 3, 2.5, "url", text, soft=False, purged=0))
    assert line.isascii() and line.count(b"\n") == 1
    assert json.loads(line)["value"] == text
    assert json.loads(line)["kind"] == "purge"


@pytest.mark.parametrize(("kind", "record"), RECORDS)
def test_a_replay_reads_the_same_values(kind: str, record: Record) -> None:
    read = msgspec.json.decode(line_of(record), type=Line)
    assert isinstance(read, Requested if kind == "request" else type(record))
    for name in read.__struct_fields__:
        assert getattr(read, name) == getattr(record, name)


def test_the_report_has_a_column_of_its_type_for_each_field_it_reads() -> None:
    assert {name: COLUMNS[name] for name in ("kind", "at", "cause", "block", "soft", "object_class", "lines")} == {
        "kind": "VARCHAR", "at": "DOUBLE", "cause": "VARCHAR", "block": "BIGINT", "soft": "BOOLEAN",
        "object_class": "VARCHAR", "lines": "BIGINT",
    }  # fmt: skip


@pytest.mark.parametrize("targets", [("/a", "/b"), ("/a", "/caf\u00e9"), ("/a", "/\udc80", "/b"), ("/\u2028",), ()])
def test_lines_of_several_are_those_of_each(targets: tuple[str, ...]) -> None:
    records = [msgspec.structs.replace(REQUEST, url=target) for target in targets]
    assert lines_of(records) == b"".join(map(line_of, records))
