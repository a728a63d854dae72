"""`cdnlab replay` on a run folder: what it shows, what it says in JSON, what it cannot read."""

import json
from pathlib import Path

import pytest

from cdnlab.document import parse
from cdnlab.errors import FAILED, BadUsage
from cdnlab.replaying import run
from policy.record import Cause, FetchRecord, ObjectClass, Outcome, RequestRecord, to_json

AT = 1_795_000_000.25


def line(seq: int, outcome: Outcome, cause: Cause | None = None) -> str:
    record = RequestRecord(
        node="fra", seq=seq, at=AT + seq, method="GET", url="http://h/a", status=200, outcome=outcome, cause=cause,
        behavior="*", object_class=ObjectClass.SEGMENT, rendition="720p", bytes_sent=10, ttfb_ms=1.5, duration_ms=2.5,
        client_ip="198.51.100.7", country="DE",
    )  # fmt: skip
    return json.dumps(to_json(record)) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of one node: a miss, three hits, and one line that says what did not happen."""
    settings = parse('[[node]]\nname = "fra"\n', file="cdn.toml", folder=tmp_path, environ={}).document
    (tmp_path / "cdn.json").write_text(settings.model_dump_json())
    fetch = FetchRecord(
        "fra", 2, "/a", "miss", AT + 1, 2, AT + 1.5, 200, [("cache-control", "max-age=60")], 3, AT + 1.5, 10
    )
    lines = [line(1, Outcome.MISS, Cause.COLD), json.dumps(to_json(fetch)) + "\n"]
    lines += [line(seq, Outcome.HIT) for seq in (4, 5, 6)] + [line(7, Outcome.MISS, Cause.EXPIRED)]
    (tmp_path / "records").mkdir()
    (tmp_path / "records/fra.jsonl").write_text("".join(lines))
    return tmp_path


def test_what_it_says_to_a_script(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, as_json=True) == FAILED
    told = json.loads(capsys.readouterr().out)["fra"]
    assert (told["requests"], told["outcomes"]) == (5, {"miss": 1, "hit": 4})
    assert told["differences"] == ["seq 7: http://h/a: live miss/expired 200, replayed hit/- 200"]
    assert told["requests_per_second"] == pytest.approx(5 / told["seconds"]["replaying"], rel=0.05)
    assert told["seconds"]["reading"] > 0


def test_what_it_shows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = folder / "records/fra.jsonl"
    records.write_text(records.read_text().replace(line(7, Outcome.MISS, Cause.EXPIRED), ""))
    assert run(folder, as_json=False) == 0
    shown = capsys.readouterr()
    heading, row = shown.out.splitlines()
    assert heading.split() == ["node", "requests", "requests/s", "differences", "outcomes"]
    assert row.split()[:2] == ["fra", "4"] and row.split()[3:] == ["0", "3", "hit,", "1", "miss"]
    assert shown.err == "", "no terminal, no progress"


def test_a_line_that_is_no_record_is_a_clear_error(folder: Path) -> None:
    records = folder / "records/fra.jsonl"
    records.write_text(records.read_text() + '{"kind":"request"}\n')
    with pytest.raises(BadUsage, match=r"fra\.jsonl: line 7: no record: Object missing required field `seq`"):
        run(folder, as_json=True)


def test_records_of_no_node_are_a_clear_error(folder: Path) -> None:
    (folder / "records/fra.jsonl").rename(folder / "records/nyc.2.jsonl")
    with pytest.raises(BadUsage, match=r"found records of 'nyc', wanted a node of .*cdn\.json"):
        run(folder, as_json=True)
