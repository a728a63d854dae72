"""Every fact of a report, counted again in plain Python from the same records."""

import io
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cdnkit.policy.outcomes import Cause, Outcome
from cdnkit.policy.record.lines import FetchRecord, LostRecord, PartRecord, PurgeRecord, Record, RequestRecord, to_json
from cdnkit.policy.record.object_class import ObjectClass
from cdnlab import report
from cdnlab.report import CausesDoNotSum, NoRecords
from tests.kit.report_run import BEGAN, lay, records

HITS = (Outcome.HIT, Outcome.HIT_STALE, Outcome.COLLAPSED)


def rates(rows: list[RequestRecord]) -> dict[str, Any]:
    """A rates row, the slow and obvious way."""
    n = Counter(row.outcome for row in rows)
    hits = sum(n[one] for one in HITS)
    cacheable = len(rows) - n[Outcome.PASS] - n[Outcome.REFUSED]
    bytes_hit = sum(row.bytes_sent for row in rows if row.outcome in HITS)
    bytes_cacheable = sum(row.bytes_sent for row in rows if row.outcome not in (Outcome.PASS, Outcome.REFUSED))
    return {
        "requests": len(rows), "cacheable": cacheable, "hits": hits, "revalidated": n[Outcome.REVALIDATED],
        "misses": n[Outcome.MISS], "failed": n[Outcome.FAILED], "passed": n[Outcome.PASS],
        "refused": n[Outcome.REFUSED], "hit_rate": hits / cacheable if cacheable else None,
        "bytes": sum(row.bytes_sent for row in rows), "bytes_cacheable": bytes_cacheable, "bytes_hit": bytes_hit,
        "byte_hit_rate": bytes_hit / bytes_cacheable if bytes_cacheable else None,
    }  # fmt: skip


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


@pytest.mark.parametrize(
    ("seed", "requests", "nodes"),
    [(1, 2000, ("fra", "nyc", "shield")), (2, 300, ("alone",)), (3, 1, ("alone",)), (4, 40, ("a", "b", "c", "s"))],
)
def test_the_same_as_counted_by_hand(tmp_path: Path, seed: int, requests: int, nodes: tuple[str, ...]) -> None:
    made = records(seed, requests=requests, nodes=nodes)
    found = report.build(lay(tmp_path / "run", made, nodes=nodes))
    asked = [one for one in made if isinstance(one, RequestRecord)]
    fetched = [one for one in made if isinstance(one, FetchRecord)]
    viewers = [one for one in asked if not one.from_node]
    origin = [one for one in fetched if one.node == nodes[-1]]

    assert found.notes == []
    assert found.total == pytest.approx(rates(viewers))
    assert found.began == min(one.at for one in asked)
    assert found.seconds == pytest.approx(
        max(one.at + one.duration_ms / 1000 for one in asked) - found.began, abs=0.001
    )
    for row in found.nodes:
        assert row.pop("role") == ("edge" if any(one.node == row["node"] for one in viewers) else "shield")
        assert row == pytest.approx({"node": row["node"]} | rates([one for one in asked if one.node == row["node"]]))
    for name, rows, among in (
        ("object_class", found.classes, viewers),
        ("rendition", found.renditions, [one for one in viewers if one.rendition]),
    ):
        assert {row[name] for row in rows} == {str(getattr(one, name)) for one in among}
        for row in rows:
            mine = [one for one in among if getattr(one, name) == row[name]]
            assert row == pytest.approx({name: row[name]} | rates(mine))
    for row in found.node_classes:
        mine = [one for one in asked if (one.node, one.object_class) == (row["node"], row["object_class"])]
        assert row == pytest.approx({"node": row["node"], "object_class": row["object_class"]} | rates(mine))

    def sums(rows: list[dict[str, Any]], names: tuple[str, ...], what: str = "requests") -> Counter[tuple[Any, ...]]:
        return Counter({tuple(row[name] for name in names): row[what] for row in rows})

    assert sums(found.statuses, ("node", "status")) == Counter((one.node, one.status) for one in asked)
    assert sums(found.outcomes, ("object_class", "outcome")) == Counter(
        (str(one.object_class), str(one.outcome)) for one in viewers
    )
    assert sums(found.causes, ("node", "object_class", "outcome", "cause")) == Counter(
        (one.node, str(one.object_class), str(one.outcome), str(one.cause)) for one in asked if one.cause
    )
    assert sums(found.refusals, ("node", "status", "reason", "country")) == Counter(
        (one.node, one.status, one.reason, one.country) for one in asked if one.outcome is Outcome.REFUSED
    )
    assert sums(found.failures, ("node", "status", "reason")) == Counter(
        (one.node, one.status, one.reason) for one in asked if one.outcome is Outcome.FAILED
    )
    assert sums(found.timeline, ("second", "node", "outcome")) == Counter(
        (float(int(one.at - found.began)), one.node, str(one.outcome)) for one in asked
    )

    told = found.offload
    assert (told["edge_requests"], told["origin_requests"]) == (len(viewers), len(origin))
    assert told["edge_bytes"] == sum(one.bytes_sent for one in viewers)
    assert told["origin_bytes"] == sum(one.size_bytes for one in origin)
    assert told["request_offload"] == pytest.approx(1 - len(origin) / len(viewers))
    assert sums(found.fetches, ("node", "to_origin", "purpose"), "fetches") == Counter(
        (one.node, one.node == nodes[-1], one.purpose) for one in fetched
    )
    again = Counter(
        one.url
        for one in origin
        if one.purpose == "miss" and any(part in one.url for part in ("/seg-", "/init-"))
    )  # fmt: skip
    if again:
        assert found.repeated == [
            {
                "node": nodes[-1], "objects": len(again), "fetches": again.total(), "most": max(again.values()),
                "repeated": sum(n > 1 for n in again.values()),
            }
        ]  # fmt: skip
    for row in found.ttfb:
        mine = [one.ttfb_ms for one in asked if (one.node, one.outcome) == (row["node"], row["outcome"])]
        assert row["requests"] == len(mine)
        for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
            assert row[name] == pytest.approx(quantile(mine, share))
    assert sum(row["requests"] for row in found.ttfb_histogram) == len(viewers)
    for row in found.ttfb_histogram:
        low, high = 10 ** (row["bucket"] / 10), 10 ** ((row["bucket"] + 1) / 10)
        inside = [one for one in viewers if one.outcome == row["outcome"] and low <= one.ttfb_ms < high]
        assert row["requests"] == pytest.approx(len(inside), abs=1)  # a value on the edge of two buckets
    misses = Counter(
        one.url.split(":8080", 1)[1] for one in asked if one.outcome is Outcome.MISS
    )  # fmt: skip
    met = Counter(
        path for path, _ in {(one.url.split(":8080", 1)[1], one.node) for one in asked if one.outcome is Outcome.MISS}
    )
    again = Counter({path: n for path, n in misses.items() if n > met[path]})
    assert [row["misses"] for row in found.top_misses] == sorted(again.values(), reverse=True)[:15]
    for row in found.top_misses:
        assert misses[row["path"]] == row["misses"]
        assert sum(int(part.rsplit(" ", 1)[1]) for part in row["causes"].split(", ")) == row["misses"]
    assert [(row["at"], row["purged"]) for row in found.purges] == [
        (one.at, one.purged) for one in made if isinstance(one, PurgeRecord)
    ]


def test_a_run_that_is_counted_in_a_file_has_the_same_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = lay(tmp_path / "run", records(1), nodes=("fra", "nyc", "shield"))
    in_memory = report.build(run)
    monkeypatch.setattr("cdnlab.report.facts.IN_MEMORY_BYTES", 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert report.build(run) == in_memory
    assert [one.name for one in tmp_path.iterdir()] == ["run"], "and leaves nothing"


def test_causes_sum_to_all_the_misses(tmp_path: Path) -> None:
    found = report.build(lay(tmp_path / "run", records(5)))
    for node in found.nodes:
        for outcome, column in (("miss", "misses"), ("revalidated", "revalidated"), ("pass", "passed")):
            mine = [row for row in found.causes if (row["node"], row["outcome"]) == (node["node"], outcome)]
            assert sum(row["requests"] for row in mine) == node[column]


def test_a_miss_without_a_cause_is_a_loud_error(tmp_path: Path) -> None:
    made = records(6)
    broken = next(one for one in made if isinstance(one, RequestRecord) and one.outcome is Outcome.MISS)
    broken.cause = None
    with pytest.raises(CausesDoNotSum) as caught:
        report.build(lay(tmp_path / "run", made))
    assert caught.value.node == broken.node
    assert caught.value.requests == caught.value.with_cause + 1
    assert broken.url in str(caught.value)


def test_a_torn_last_line_is_left_out_and_told(tmp_path: Path) -> None:
    made = records(7)
    whole = report.build(lay(tmp_path / "whole", made))
    run = lay(tmp_path / "torn", made)
    with (run / "records" / "nyc.jsonl").open("a") as file:
        file.write('{"kind": "request", "node": "nyc", "at": 1.5, "outco')
    torn = report.build(run)
    assert len(torn.notes) == 1
    assert "nyc.jsonl: 1 line could not be read" in torn.notes[0]
    assert torn.total == whole.total


def test_a_node_that_went_on_writing_behind_a_torn_line(tmp_path: Path) -> None:
    run = lay(tmp_path / "run", made := records(8, requests=50, nodes=("fra",)), nodes=("fra",))
    path = run / "records" / "fra.jsonl"
    lines = path.read_text().splitlines()
    lines[10] = lines[10][:40]
    lines[20] = lines[20].replace('"status": ', '"status": "none", "was": ')
    path.write_text("\n".join(lines) + "\n")
    found = report.build(run)
    lost = sum('"kind": "request"' in line for line in (lines[10], lines[20]))
    assert "fra.jsonl: 2 lines" in found.notes[0]
    assert found.total["requests"] >= sum(isinstance(one, RequestRecord) for one in made) - 2 - lost


def test_fields_from_a_later_version_are_passed_over(tmp_path: Path) -> None:
    run = lay(tmp_path / "run", made := records(9, requests=20, nodes=("fra",)), nodes=("fra",))
    path = run / "records" / "fra.jsonl"
    rows = [json.loads(line) | {"later": {"deep": [1]}} for line in path.read_text().splitlines()]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    found = report.build(run)
    assert found.notes == []
    assert found.total["requests"] == sum(isinstance(one, RequestRecord) for one in made)


def test_no_requests(tmp_path: Path) -> None:
    found = report.build(lay(tmp_path / "run", [], nodes=("fra",)))
    assert found.began is None
    assert found.total["hit_rate"] is None and found.offload["request_offload"] is None
    assert found.notes == ["no request was recorded"]


def test_without_cluster_json_the_records_tell_who_asks_the_origin(tmp_path: Path) -> None:
    made = records(10)
    told = report.build(lay(tmp_path / "told", made))
    run = lay(tmp_path / "untold", made)
    (run / "cluster.json").unlink()
    assert report.build(run).offload == told.offload
    (run / "cluster.json").write_text("{broken")
    found = report.build(run)
    assert found.offload == told.offload
    assert "cluster.json could not be read" in found.notes[0]


def test_a_long_run_is_binned(tmp_path: Path) -> None:
    made: list[Record] = [
        RequestRecord(
            node="fra", seq=n, at=BEGAN + n * 60, method="GET", url="http://fra/x", status=200, outcome=Outcome.MISS,
            cause=Cause.COLD, behavior="*", object_class=ObjectClass.OTHER, rendition="", bytes_sent=10, ttfb_ms=1.0,
            duration_ms=1.0, fetch=n,
        )
        for n in range(60)
    ]  # fmt: skip
    found = report.build(lay(tmp_path / "run", made, nodes=("fra",)))
    assert found.bin_seconds == 6.0
    assert len({row["second"] for row in found.timeline}) == 60
    assert all(row["second"] % 6 == 0 for row in found.timeline)


def test_says_what_it_wanted(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "bare").mkdir()
    (tmp_path / "empty" / "records").mkdir(parents=True)
    for name, found in (
        ("nowhere", "no such folder"), ("file", "a file"), ("bare", "no records folder"), ("empty", "an empty"),
    ):  # fmt: skip
        with pytest.raises(NoRecords, match=found) as caught:
            report.build(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "records/<node>.jsonl" in str(caught.value)


def request(node: str, seq: int, **changed: Any) -> RequestRecord:
    return RequestRecord(
        **{
            "node": node, "seq": seq, "at": BEGAN + seq, "method": "GET", "url": f"http://{node}/x", "status": 200,
            "outcome": Outcome.HIT, "cause": None, "behavior": "*", "object_class": ObjectClass.OTHER, "rendition": "",
            "bytes_sent": 10, "ttfb_ms": 1.0, "duration_ms": 1.0, "client_ip": "", "country": "",
        } | changed
    )  # fmt: skip


def put(directory: Path, name: str, *made: Record) -> Path:
    (directory / "records").mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(to_json(record)) + "\n" for record in made)
    (directory / "records" / name).write_text(text)
    return directory


def test_services_of_a_node_are_told_apart(tmp_path: Path) -> None:
    miss = {"outcome": Outcome.MISS, "cause": Cause.COLD, "fetch": 1, "object_class": ObjectClass.SEGMENT}
    for name, missed in (("fra.jsonl", 1), ("fra+images.jsonl", 2), ("fra+images.2.part-2.jsonl", 1)):
        made = [request("fra", 1 + n, **miss | {"fetch": 1 + n}) for n in range(missed)]
        fetches = [FetchRecord("fra", 1 + n, "/x", "miss", BEGAN, 2, BEGAN, 200, []) for n in range(missed)]
        put(tmp_path, name, *made, request("fra", 9), *fetches)
    (tmp_path / "cluster.json").write_text(json.dumps({"nodes": [{"name": "fra", "parent": "origin"}]}))
    found = report.build(tmp_path)
    assert [(row["node"], row["role"], row["requests"], row["misses"]) for row in found.nodes] == [
        ("fra", "edge", 2, 1), ("fra+images", "edge", 5, 3),
    ]  # fmt: skip
    assert [(row["node"], row["to_origin"], row["fetches"]) for row in found.fetches] == [
        ("fra", True, 1), ("fra+images", True, 3),
    ]  # fmt: skip
    assert [(row["node"], row["fetches"]) for row in found.repeated] == [("fra", 1), ("fra+images", 3)]
    (tmp_path / "cluster.json").unlink()
    assert report.build(tmp_path).fetches == found.fetches, "without it, the records tell"


@pytest.mark.parametrize("told", [True, False], ids=["with cluster.json", "without"])
def test_a_shield_stays_one_when_it_is_asked_directly(tmp_path: Path, told: bool) -> None:
    made = records(11, requests=100)
    seq = max(one.seq for one in made if isinstance(one, RequestRecord) and one.node == "shield")
    run = lay(tmp_path / "run", [*made, request("shield", seq + 1)])
    if not told:
        (run / "cluster.json").unlink()
    assert {row["node"]: row["role"] for row in report.build(run).nodes} == {
        "fra": "edge", "nyc": "edge", "shield": "shield",
    }  # fmt: skip


def test_blocks_of_a_slice_are_no_ones_requests_and_readable(tmp_path: Path) -> None:
    found = report.build(put(tmp_path, "fra.jsonl", request("fra", 1), request("fra", 2, block=0)))
    assert (found.total["requests"], found.notes) == (1, [])


def test_what_is_not_kept_any_more_or_was_never_written_is_told(tmp_path: Path) -> None:
    put(tmp_path, "fra.part-3.jsonl", PartRecord("fra", 3, 7000, 9000), request("fra", 9001))
    put(tmp_path, "fra.part-4.jsonl", PartRecord("fra", 4, 7001, 9001), LostRecord("fra", 40, 9002, 9050))
    put(tmp_path, "nyc.jsonl", request("nyc", 1))
    put(tmp_path, "nyc.part-2.jsonl", PartRecord("nyc", 2, 1, 1), request("nyc", 2))
    found = report.build(tmp_path)
    assert found.notes == [
        "records of fra: 7,000 older records are no longer kept: counted from 2026-09-21 16:43:21 UTC on; "
        "40 records could not be written, as on a full disk, and are not counted"
    ]
    assert (found.total["requests"], found.began) == (3, BEGAN + 1)


ABSURD = [  # of a damaged or an invented line
    {"at": 1e308}, {"at": -1e17}, {"at": "1e999"}, {"at": "NaN"}, {"bytes_sent": 2**63 - 1}, {"bytes_sent": 2**70},
    {"bytes_sent": -1}, {"ttfb_ms": 1e308}, {"duration_ms": -1e308}, {"status": 2**40},
]  # fmt: skip


@pytest.mark.parametrize("values", ABSURD, ids=str)
def test_absurd_numbers_are_left_out_and_told(tmp_path: Path, values: dict[str, Any]) -> None:
    run = put(tmp_path, "fra.jsonl", request("fra", 1))
    line = json.dumps(to_json(request("fra", 2)) | values).replace('"1e999"', "1e999").replace('"NaN"', "NaN")
    with (run / "records/fra.jsonl").open("a") as file:
        file.write(f"{line}\n{line}\n")
    report.write(run, report.build(run))
    found = report.build(run)
    assert found.total["requests"] == 1
    assert "fra.jsonl: 2 lines could not be read" in found.notes[0]


def test_what_is_no_file_is_left_out_and_told(tmp_path: Path) -> None:
    run = put(tmp_path / "[a]*?", "fra.jsonl", request("fra", 1))
    (run / "records/x.jsonl").mkdir()
    os.mkfifo(run / "records/\x1b[2Jy.jsonl")
    found = report.build(run)
    assert found.total["requests"] == 1
    assert sorted(found.notes) == [
        "records/\\x1b[2Jy.jsonl: not a file, left out", "records/x.jsonl: not a file, left out"
    ]  # fmt: skip
    (run / "records/fra.jsonl").unlink()
    with pytest.raises(NoRecords, match="an empty"):
        report.build(run)


PLAYERS = {"viewers": 3, "stalls": 0, "rebuffer_ratio": 0.0, "startup_ms": None, "live_latency": None}
LOADS = [  # load.json, and what is said of it
    ("{}", ""),
    (json.dumps({"total": PLAYERS, "later": [1]}), ""),
    ("[1]", "found list, wanted a JSON object"),
    ("{", "could not be read"),
    ("[" * 100_000, "nested too deep"),
    ('{"total": {"viewers": NaN}}', "NaN is not JSON"),
    (json.dumps({"total": PLAYERS | {"rebuffer_ratio": "inf"}}).replace('"inf"', "1e999"), "total.rebuffer_ratio"),
    ('{"total": 5}', "total: "),
    ('{"total": {"viewers": 3}}', "total.stalls: Field required"),
    (json.dumps({"total": PLAYERS | {"viewers": "three"}}), "total.viewers"),
    (json.dumps({"total": PLAYERS | {"viewers": 10**400}}), "total.viewers"),
    (json.dumps({"total": PLAYERS, "renditions": {"a": 1}}), "renditions: "),
    (json.dumps({"total": PLAYERS, "renditions": [{"edge": "\x1b[2J"}]}), "renditions.0.viewers"),
    (json.dumps({"generator": {"bound": True, "cpu_share": "most"}}), "generator.cpu_share"),
]


@pytest.mark.parametrize(("text", "said"), LOADS, ids=[row[0][:40] for row in LOADS])
def test_a_load_json_of_another_shape_is_left_out_and_told(tmp_path: Path, text: str, said: str) -> None:
    run = put(tmp_path, "fra.jsonl", request("fra", 1))
    (run / "load.json").write_text(text)
    report.write(run, report.build(run))
    json.loads((run / "report.json").read_text(), parse_constant=pytest.fail)
    found = report.build(run)
    assert [said in note for note in found.notes] == ([True] if said else [])
    assert (found.players is None) == bool(said)
    out = io.StringIO()
    report.show(found, Console(file=out))
    assert "\x1b" not in out.getvalue()


@pytest.mark.parametrize("name", ["load.json", "cluster.json"])
@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_a_pipe_in_a_files_place_is_not_waited_for(tmp_path: Path, name: str, kind: str) -> None:
    run = put(tmp_path, "fra.jsonl", request("fra", 1))
    (run / name).mkdir() if kind == "folder" else os.mkfifo(run / name)
    assert report.build(run).notes == [f"{name} could not be read and was left out: it is not a file"]


@pytest.mark.parametrize("text", ['{"nodes": 5}', '{"nodes": ["a"]}', '{"nodes": [{"parent": "a"}]}', "[]"])
def test_a_cluster_json_of_another_shape_is_left_out_and_told(tmp_path: Path, text: str) -> None:
    run = put(tmp_path, "fra.jsonl", request("fra", 1))
    (run / "cluster.json").write_text(text)
    (note,) = report.build(run).notes
    assert note.startswith("cluster.json was left out: ")
