"""Record files: bounded, in parts; whole lines whatever the disk does; and a node that serves on."""

import asyncio
import json
import logging
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from cdnkit.policy.record.lines import PurgeRecord
from cdnkit.policy.rules.profile import RFC9111
from cdnkit.policy.rules.service import Behavior, Service
from cdnkit.replay import Missing, read_trace, replay_node
from cdnkit.replay.trace import Landed, Requested
from edge.log import FLUSH_SECONDS, RecordLog
from edge.record_files import Life, RecordFile, lives_of
from edge.record_writer import PARTS
from tests.kit.node import running_node
from tests.kit.origin import running_origin

ROOM = 80_000
NAMES = [  # name, and what it says
    ("fra.jsonl", RecordFile("fra")),
    ("fra.2.jsonl", RecordFile("fra", 2)),
    ("fra.part-3.jsonl", RecordFile("fra", part=3)),
    ("fra+images.12.part-10.jsonl", RecordFile("fra+images", 12, part=10)),
    ("fra.worker-2.jsonl", RecordFile("fra", worker=2)),
    ("fra+images.12.worker-64.part-10.jsonl", RecordFile("fra+images", 12, 64, 10)),
    ("a.b.jsonl", RecordFile("a.b")),  # a file that somebody named with --records
    ("lines", RecordFile("lines", suffix="")),
]


def record(seq: int, value: str = "/live/a.m4s") -> PurgeRecord:
    return PurgeRecord("fra", seq, 1_790_000_000.5 + seq, "url", value, False, 1)


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Every line that is whole."""
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]


def seqs(path: Path) -> list[int]:
    return [line["seq"] for line in lines_of(path) if line["kind"] == "purge"]


def told(folder: Path) -> list[dict[str, Any]]:
    """Every line that is whole, oldest file first."""
    return [line for _, path in RecordFile("fra").beside(folder) for line in lines_of(path)]


@contextmanager
def full_at(size: int) -> Iterator[None]:
    """No file grows beyond that: what comes behind is cut off in mid-line, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(("name", "said"), NAMES)
def test_names(name: str, said: RecordFile) -> None:
    assert RecordFile.of(Path("records") / name) == said
    assert said.name == name


def test_lives_are_in_order_of_time() -> None:
    names = ["fra.part-10.jsonl", "fra.part-9.jsonl", "fra.2.jsonl", "fra.2.part-2.jsonl", "nyc.jsonl"]
    assert lives_of(map(Path, names)) == [
        Life("fra", "fra", (Path("fra.part-9.jsonl"), Path("fra.part-10.jsonl"))),
        Life("fra.2", "fra", (Path("fra.2.jsonl"), Path("fra.2.part-2.jsonl"))),
        Life("nyc", "nyc", (Path("nyc.jsonl"),)),
    ]


def test_a_room_is_never_exceeded_and_the_oldest_go(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / "fra.jsonl", ROOM)
    for seq in range(1, 3001):
        log.add(record(seq))
        if seq % 100 == 0:
            log.flush()
            assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= ROOM
    log.close()
    begun, *lines = told(tmp_path)
    kept = [line["seq"] for line in lines if line["kind"] == "purge"]
    assert kept == list(range(kept[0], 3001)), "the newest, without a hole"
    assert (begun["kind"], begun["lines"], begun["until"]) == ("part", kept[0] - 1, kept[0] - 1)
    assert len(list(tmp_path.iterdir())) in (PARTS - 1, PARTS)
    assert lives_of(tmp_path.iterdir())[0].files[0].name != "fra.jsonl", "which had to make room"


def test_within_its_room_it_is_one_file_or_several_and_whole(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / "fra.jsonl", ROOM)
    for seq in range(1, 301):
        log.add(record(seq))
    log.close()
    assert [line["seq"] for line in told(tmp_path) if line["kind"] == "purge"] == list(range(1, 301))
    (life,) = lives_of(tmp_path.iterdir())
    assert life.files[0].name == "fra.jsonl" and 1 < len(life.files) < PARTS


def test_earlier_lives_make_room_first_and_other_nodes_never(tmp_path: Path) -> None:
    for name, size in (("fra.jsonl", 60_000), ("fra.2.jsonl", 15_000), ("nyc.jsonl", 900_000), ("fra+a.jsonl", 9_000)):
        (tmp_path / name).write_bytes(b"\n" * size)
    log = RecordLog(tmp_path / "fra.3.jsonl", ROOM)
    log.add(record(1))
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "fra+a.jsonl",
        "fra.2.jsonl",
        "fra.3.jsonl",
        "nyc.jsonl",
    ]


def test_it_goes_on_in_the_newest_part(tmp_path: Path) -> None:
    (tmp_path / "fra.part-9.jsonl").write_text("")
    (tmp_path / "fra.part-10.jsonl").write_text("")
    log = RecordLog(tmp_path / "fra.jsonl", ROOM)
    log.add(record(1))
    log.close()
    assert seqs(tmp_path / "fra.part-10.jsonl") == [1]


def test_a_line_larger_than_a_part_has_one_for_itself(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / "fra.jsonl", ROOM)
    for seq in (1, 2, 3):
        log.add(record(seq, "/" + "x" * (ROOM // PARTS if seq == 2 else 1)))
    log.close()
    assert [seqs(tmp_path / f"fra{part}.jsonl") for part in ("", ".part-2", ".part-3")] == [[1], [2], [3]]


def test_a_torn_line_is_parted_from_the_next(tmp_path: Path) -> None:
    path = tmp_path / "fra.jsonl"
    path.write_text('{"kind": "purge", "no')
    log = RecordLog(path)
    log.add(record(1))
    log.close()
    assert path.read_text().splitlines()[0] == '{"kind": "purge", "no'
    assert seqs(path) == [1]


def test_a_full_disk_costs_lines_and_says_so_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "fra.jsonl"
    log = RecordLog(path)
    with full_at(1000):
        for seq in range(1, 31):
            log.add(record(seq))
            if seq % 5 == 0:
                log.flush()
    assert (log.failing, log.lost + len(seqs(path))) == ("File too large", 30)
    assert [one.levelno for one in caplog.records] == [logging.ERROR], "said once"
    log.add(record(31))
    log.flush()
    assert log.failing == "" and [one.levelno for one in caplog.records] == [logging.ERROR, logging.WARNING]
    log.close()
    lines = told(tmp_path)
    kept = [line["seq"] for line in lines if line["kind"] == "purge"]
    (gap,) = [line for line in lines if line["kind"] == "lost"]
    assert kept == [*range(1, gap["since"]), 31]
    assert (gap["lines"], gap["until"]) == (30 - kept[-2], 30) and gap["lines"] == log.lost > 0
    assert len(caplog.records) == 2


def test_a_part_that_cannot_be_begun_is_begun_later(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / "fra.jsonl", ROOM)
    (tmp_path / "fra.part-2.jsonl").mkdir()
    for seq in range(1, 201):
        log.add(record(seq))
    log.flush()
    assert log.failing == "Is a directory" and log.lost > 0
    (tmp_path / "fra.part-2.jsonl").rmdir()
    log.add(record(201))
    log.close()
    lines = told(tmp_path)
    assert log.lost + sum(line["kind"] == "purge" for line in lines) == 201
    assert [line["lines"] for line in lines if line["kind"] == "lost"] == [log.lost]


def test_a_file_that_cannot_be_made_is_made_later(tmp_path: Path) -> None:
    folder = tmp_path / "records"
    folder.write_text("in the way")
    log = RecordLog(folder / "fra.jsonl")
    log.add(record(1))
    log.flush()
    assert log.failing and log.lost == 1
    folder.unlink()
    folder.mkdir()
    log.add(record(2))
    log.close()
    assert [line.get("seq") for line in told(folder)] == [None, 2]


def test_nothing_is_held_while_the_disk_is_full() -> None:
    log = RecordLog(Path("/dev/full"))
    for seq in range(1, 10_001):
        log.add(record(seq))
    log.flush()
    assert log.lost == 10_000 and log.failing == "No space left on device"
    log.close()


def test_a_pipe_that_nobody_reads_does_not_hold_up_the_node(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fra.jsonl")
    log = RecordLog(tmp_path / "fra.jsonl", ROOM)
    log.add(record(1))
    log.close()


def test_a_disk_that_is_stuck_holds_up_nobody_and_what_it_cost_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A pipe stands for it: when 64 KiB are in it, writing waits until somebody reads."""
    monkeypatch.setattr("edge.log.WAITING_BYTES", 500_000)
    path = tmp_path / "fra.jsonl"
    os.mkfifo(path)
    log = RecordLog(path, ROOM)
    seqs = count(1)
    while log.lost < 1000:
        log.add(record(next(seqs)))
    assert log.failing == "the disk is too slow" and len(caplog.records) == 1, "said once"
    lines: list[dict[str, Any]] = []
    reader = os.open(path, os.O_RDONLY)

    def read() -> None:
        with os.fdopen(reader, "rb") as pipe:
            lines.extend(map(json.loads, pipe))

    reading = Thread(target=read)
    reading.start()
    for _ in range(100):
        log.flush()
        log.add(record(next(seqs)))
    log.close()
    reading.join()
    (gap,) = [line for line in lines if line["kind"] == "lost"]
    kept = {line["seq"] for line in lines if line["kind"] == "purge"}
    assert gap["lines"] == log.lost and log.failing == ""
    assert sorted(kept | set(range(gap["since"], gap["until"] + 1))) == list(range(1, next(seqs)))
    assert [one.levelno for one in caplog.records] == [logging.ERROR, logging.WARNING]


def test_a_node_that_ends_while_lines_are_being_written_loses_none(tmp_path: Path) -> None:
    path = tmp_path / "fra.jsonl"
    os.mkfifo(path)
    log = RecordLog(path, ROOM)

    async def run() -> None:
        flushing = asyncio.create_task(log.flush_later())
        for seq in range(1, 2001):
            log.add(record(seq))
        await asyncio.sleep(1.5 * FLUSH_SECONDS)
        assert not log._writing.done()
        flushing.cancel()
        await asyncio.wait({flushing})

    asyncio.run(run())
    with path.open("rb") as pipe:
        closing = Thread(target=log.close)
        closing.start()
        assert [json.loads(line)["seq"] for line in pipe] == list(range(1, 2001))
        closing.join()


def test_a_disk_that_stays_stuck_does_not_keep_a_node_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edge.log.LAST_WRITE_S", 0.01)
    os.mkfifo(tmp_path / "fra.jsonl")
    log = RecordLog(tmp_path / "fra.jsonl", ROOM)
    for seq in range(1, 2001):
        log.add(record(seq))
    log.close()
    assert caplog.messages == [f"records: {tmp_path}/fra.jsonl: is stuck, the last lines are lost"]


def test_a_node_serves_on_tells_of_it_and_loses_nothing_at_its_end(tmp_path: Path) -> None:
    async def run() -> None:
        path = tmp_path / "fra.jsonl"
        async with running_origin() as origin, running_node(origin.url, records=path) as node:
            origin.says("/a", b"body", cache_control="max-age=60")
            assert (await node.get("/a")).status == 200
            with full_at(10):
                while not (await node.health())["records_failing"]:
                    assert (await node.get("/a")).status == 200
                assert (await node.health())["lost_records"] > 0
            while (await node.health())["records_failing"]:
                assert (await node.get("/a")).status == 200
            assert (await node.get("/a?last")).status == 200
        lines = told(tmp_path)
        assert any(line["kind"] == "lost" for line in lines) and "last" in json.dumps(lines[-2:])

    asyncio.run(run())


def test_a_node_with_little_room_is_replayed_from_where_its_records_begin(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            running_origin() as origin,
            running_node(origin.url, records=tmp_path / "fra.jsonl", records_room="1MiB") as node,
        ):
            for number in range(300):
                path = f"/{number}/{'x' * 3000}.m4s"
                origin.says(path, b"body", cache_control="max-age=60")
                for _ in range(2):
                    assert (await node.get(path)).status == 200

    asyncio.run(run())
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2**20
    (life,) = lives_of(tmp_path.iterdir())
    assert life.files[0].name != "fra.jsonl"
    trace = read_trace(*life.files)
    replayed = replay_node(trace, Service(name="fra", behaviors=(Behavior(path="*"),)), RFC9111)
    records = trace.missing(Missing.OLD) + sum(isinstance(one, Requested | Landed) for one in trace.events)
    assert (replayed.differences, records) == ([], 900), "the last one, too"
    assert 0 < replayed.not_compared < 10 < replayed.requests
