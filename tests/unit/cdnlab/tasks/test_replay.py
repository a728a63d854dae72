"""`cdnlab replay` on a run folder: what it shows, what it says in JSON, what it cannot read."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cdnkit.policy.outcomes import Cause, Outcome
from cdnkit.policy.record.lines import FetchRecord, PartRecord, RequestRecord, to_json
from cdnkit.policy.record.object_class import ObjectClass
from cdnlab.errors import FAILED, BadUsage
from cdnlab.settings.document import parse
from cdnlab.tasks.replay import run

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


def test_a_torn_line_is_passed_over_and_its_count_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = folder / "records/fra.jsonl"
    lines = records.read_text().splitlines(keepends=True)
    records.write_text("".join([*lines[:5], '{"kind":"requ\n', *lines[5:]]))
    assert run(folder, as_json=True) == 0, "what came behind it is not held against the replay"
    told = json.loads(capsys.readouterr().out)["fra"]
    assert (told["missing"], told["not_compared"], told["requests"]) == ({"torn": 1}, 1, 5)
    assert run(folder, as_json=False) == 0
    out = capsys.readouterr().out
    assert "fra: 1 record cannot be read\n" in out
    assert "fra: 1 of 5 requests not compared: their outcome depends on records that are missing\n" in out


def test_a_run_whose_oldest_records_are_gone_is_replayed_from_where_they_begin(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (folder / "records/fra.jsonl").read_text()
    (folder / "records/fra.jsonl").unlink()
    begun = json.dumps(to_json(PartRecord("fra", 5, 9000, 9000))) + "\n"
    later = [json.loads(text) for text in whole.splitlines()]
    for one in later:
        for name in ("seq", "landed_seq", "ended_seq", "fetch"):
            one |= {name: one[name] + 9000} if one.get(name) else {}
    (folder / "records/fra.part-5.jsonl").write_text(begun + "".join(json.dumps(one) + "\n" for one in later))
    assert run(folder, as_json=True) == FAILED
    told = json.loads(capsys.readouterr().out)["fra"]
    assert (told["missing"], told["begins"]) == ({"old": 9000}, AT + 1)
    assert told["differences"] == ["seq 9007: http://h/a: live miss/expired 200, replayed hit/- 200"], "it is seen"
    run(folder, as_json=False)
    out = capsys.readouterr().out
    assert "fra: 9,000 records are not kept any more\n" in out
    assert "fra: replayed from 2026-11-18 11:06:41 UTC on\n" in out


def test_what_is_no_file_is_not_waited_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(folder / "records/nyc.jsonl")
    (folder / "records/ams.jsonl").mkdir()
    assert run(folder, as_json=True) == FAILED
    captured = capsys.readouterr()
    assert list(json.loads(captured.out)) == ["fra"]
    assert captured.err.splitlines() == [
        "records/ams.jsonl: not a file, left out", "records/nyc.jsonl: not a file, left out"
    ]  # fmt: skip
    (folder / "cdn.json").unlink()
    os.mkfifo(folder / "cdn.json")
    with pytest.raises(BadUsage, match=r"cdn\.json: cannot be read: it is not a file"):
        run(folder, as_json=True)


def test_nothing_from_a_record_steers_a_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = folder / "records/fra.jsonl"
    evil = "/\x1b[2J\r\n\x9bm[red]:key:"
    records.write_text(records.read_text().replace("http://h/a", json.dumps(f"http://h{evil}")[1:-1]))
    run(folder, as_json=False)
    out = capsys.readouterr().out
    assert not set("\x1b\r\x9b") & set(out) and r"/\x1b[2J\r\n\x9bm[red]:key:" in out


ODD = [  # of a line that is a record by its shape, and cannot have been written by a node
    {"url": "http://[::1/"}, {"url": ""}, {"url": "a"}, {"at": -1e17}, {"at": 1e300}, {"status": 10**30},
    {"headers": [["\x00", "\ud800"]]}, {"client_ip": "nobody"}, {"version": ""}, {"method": ""}, {"seq": -5},
    {"block": -3}, {"asn": 2**70}, {"country": "\x1b"},
]  # fmt: skip


@pytest.mark.parametrize("values", ODD, ids=str)
def test_odd_values_are_replayed_or_refused_in_words(folder: Path, values: dict[str, Any]) -> None:
    records = folder / "records/fra.jsonl"
    odd = json.dumps(json.loads(line(8, Outcome.HIT)) | values)
    records.write_text(records.read_text() + odd + "\n")
    try:
        assert run(folder, as_json=True) == FAILED
    except BadUsage as refused:
        assert "fra.jsonl: line 7: no record" in str(refused)


def test_records_of_no_node_are_a_clear_error(folder: Path) -> None:
    (folder / "records/fra.jsonl").rename(folder / "records/nyc.2.jsonl")
    with pytest.raises(BadUsage, match=r"found records of 'nyc', wanted a node of .*cdn\.json"):
        run(folder, as_json=True)
