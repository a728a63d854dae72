"""What a record costs: its line by msgspec, as a node makes it, and in the standard library's way; and all of its way
to the disk.

The standard library's: `json.dumps(dataclasses.asdict(record))` of a dataclass with the same fields.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, make_dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from cdnkit.policy.outcomes import Outcome
from cdnkit.policy.record.lines import RequestRecord, line_of
from cdnkit.policy.record.object_class import ObjectClass
from edge.log import RecordLog

HIT = RequestRecord(
    node="fra", seq=123_456, at=1_795_000_000.123456, method="GET", url="http://127.0.0.1:8081/live/720p/seg-1-812.m4s",
    status=200, outcome=Outcome.HIT, cause=None, behavior="*", object_class=ObjectClass.SEGMENT, rendition="720p",
    bytes_sent=812_345, ttfb_ms=0.131, duration_ms=0.217, client_ip="198.51.100.7", client_port=53_122, country="DE",
    fetch=123_001, session="8a1f2c", head_bytes=211, head_fields=5, headers=(("accept-encoding", "gzip, deflate, br"),),
)  # fmt: skip
ABROAD = msgspec.structs.replace(HIT, headers=(("cookie", "café=1"),))

_Plain = make_dataclass("_Plain", [(name, Any) for name in ("kind", *HIT.__struct_fields__)])
PLAIN = _Plain("request", *msgspec.structs.astuple(HIT))


def as_the_library_does(record: Any) -> bytes:
    return json.dumps(asdict(record), separators=(",", ":")).encode("ascii") + b"\n"


WAYS = {
    "msgspec": (line_of, HIT),
    "msgspec, a letter beyond ASCII": (line_of, ABROAD),
    "json": (as_the_library_does, PLAIN),
}


@pytest.mark.benchmark(group="records: a line")
@pytest.mark.parametrize("way", WAYS)
def test_a_line(benchmark: BenchmarkFixture, way: str) -> None:
    write: Callable[[Any], bytes]
    write, record = WAYS[way]
    line = benchmark(write, record)
    if way != "msgspec, a letter beyond ASCII":
        assert json.loads(line) == json.loads(line_of(HIT))


@pytest.mark.benchmark(group="records: to the disk, CPU of the loop", timer=time.thread_time)
def test_a_record_on_its_way_to_the_disk(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """Per record: `add`, and its share of what the loop does for each slice and each write. The thread is left out."""
    log = RecordLog(tmp_path / "fra.jsonl", 2**33)

    def write() -> None:
        for _ in range(1000):
            log.add(HIT)

    benchmark.pedantic(write, teardown=log.flush, rounds=200)
    log.close()
    benchmark.extra_info["us a record"] = round(benchmark.stats.stats.median * 1e3, 2)
    print(f"\n{benchmark.extra_info['us a record']} us a record")
