"""How fast a live trace is read and told again: one edge's records of 300 viewers over ten minutes, four renditions.

A viewer asks for its media playlist every two seconds and for every two-second segment; one in fifty changes its
rendition now and then. The edge is a real machine under this file's clock, behind the gate that `cdnlab demo` has, its
parent 20 ms away: so there are joins and revalidations beside the hits, and the lines are those that a node would write.
"""

import json
import time
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from policy import Behavior, EdgeMachine, Fetch, Headers, ResponseHead, Service
from policy.messages import target_of
from policy.profile import RFC9111
from policy.record import FetchRecord, ObjectClass, Outcome, RequestRecord, to_json
from policy.service import Geo, Ttl
from replay import read_trace, replay_node, tell_each
from replay.runs import arranged
from replay.trace import Event

NOW = 1_795_000_000.0
VIEWERS, SECONDS = 300, 600
RENDITIONS = ("1080p", "720p", "480p", "360p")
GEO = Geo(deny=("KP",), unknown="allow")
SERVICE = Service(
    name="fra", behaviors=(Behavior(path="*.m3u8", ttl=Ttl(max="1s"), geo=GEO), Behavior(path="*", geo=GEO))
)


def record_run(path: Path) -> None:
    """Writes what the edge would have written."""
    machine, order = EdgeMachine(SERVICE, RFC9111), count()
    happenings: list[tuple[float, int, Callable[..., None], Any]] = []
    waiting: dict[int, RequestRecord] = {}
    with path.open("w", encoding="utf-8") as file:

        def write(record: Any) -> None:
            file.write(json.dumps(to_json(record), separators=(",", ":")) + "\n")

        def at(when: float, what: Callable[..., None], *about: Any) -> None:
            heappush(happenings, (when, next(order), what, about))

        def ask(now: float, viewer: int, target: str) -> None:
            request = target_of(f"http://127.0.0.1:8081{target}")
            request.headers = Headers([("accept-encoding", "gzip, deflate, br")])
            request.client_ip, request.country = f"198.51.100.{viewer % 250}", "US"
            plan = machine.on_request(request, now)
            record = RequestRecord(
                node="fra", seq=machine.events, at=round(now, 6), method="GET", url=request.url, status=200,
                outcome=plan.outcome, cause=plan.cause, behavior=plan.behavior.path, object_class=ObjectClass.SEGMENT,
                rendition=target.split("/")[2], bytes_sent=1000, ttfb_ms=0.131, duration_ms=0.217, country="US",
                client_ip=request.client_ip, session=f"viewer-{viewer}", headers=request.headers.lines,
            )  # fmt: skip
            if plan.outcome is Outcome.HIT:
                write(record)
                return
            waiting[plan.ticket] = record
            if isinstance(plan, Fetch):
                at(now + 0.02, land, plan)

        def land(now: float, fetch: Fetch) -> None:
            playlist = fetch.key.endswith(".m3u8")
            fields = [("cache-control", "max-age=1" if playlist else "max-age=31536000, immutable")]
            fields += [("content-type", "video/mp4"), ("content-length", "1000"), ("etag", f'"{int(now)}"')]
            landing = machine.on_response(fetch, ResponseHead(200, Headers(fields)), now)
            landed = machine.events
            machine.on_body_end(fetch, 1000, now)
            for ticket, answer in landing.answers.items():
                record = waiting.pop(ticket)
                record.outcome, record.cause = answer.outcome, answer.cause
                write(record)
            exchange = FetchRecord(
                "fra", fetch.id, fetch.request.target, fetch.purpose.value, fetch.sent_at, landed, now, 200, fields,
                machine.events, now, 1000,
            )  # fmt: skip
            write(exchange)

        for viewer in range(VIEWERS):
            for second in range(0, SECONDS, 2):
                rendition = RENDITIONS[(viewer + (second // 30 if viewer % 50 == 0 else 0)) % len(RENDITIONS)]
                start = NOW + second + viewer * 2 / VIEWERS
                at(start, ask, viewer, f"/live/{rendition}/media.m3u8")
                at(start + 0.1, ask, viewer, f"/live/{rendition}/seg-1-{second // 2}.m4s")
        while happenings:
            now, _, what, about = heappop(happenings)
            what(now, *about)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("replay") / "fra.jsonl"
    record_run(path)
    return path


@pytest.fixture(scope="module")
def trace(records: Path) -> list[Event]:
    return read_trace(records)


def best_of(rounds: int, what: Callable[[], Any]) -> float:
    """Seconds of the quickest round: what else runs on the machine only ever adds."""
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        what()
        taken.append(time.perf_counter() - start)
    return min(taken)


@pytest.mark.benchmark(group="replay")
def test_a_live_trace_read(benchmark: BenchmarkFixture, records: Path) -> None:
    with records.open("rb") as file:
        lines = sum(1 for _ in file)
    benchmark.pedantic(read_trace, (records,), rounds=5)
    benchmark.extra_info["lines a second"] = round(lines / benchmark.stats.stats.min)


@pytest.mark.benchmark(group="replay")
def test_a_live_trace_told_again(benchmark: BenchmarkFixture, trace: list[Event]) -> None:
    """Beside it, in the same run: each event told; and what of the time goes into arranging the trace."""
    replayed = benchmark.pedantic(replay_node, (trace, SERVICE, RFC9111), rounds=5)
    assert replayed.requests == VIEWERS * SECONDS and replayed.differences == []
    assert replayed == tell_each(trace, SERVICE, RFC9111)
    assert replayed.outcomes[Outcome.HIT] > 0.9 * replayed.requests > 0 < replayed.outcomes[Outcome.COLLAPSED]
    each = best_of(2, lambda: tell_each(trace, SERVICE, RFC9111))
    arranging = best_of(3, lambda: arranged(trace, EdgeMachine(SERVICE, RFC9111).plain_key_of))
    jumped = benchmark.stats.stats.min
    figures = {
        "requests": replayed.requests,
        "requests a second": round(replayed.requests / jumped),
        "requests a second, each told": round(replayed.requests / each),
        "times as fast": round(each / jumped, 1),
        "arranging, of the time": round(arranging / jumped, 2),
    }
    benchmark.extra_info.update(figures)
    print("\n" + "\n".join(f"{name}: {figure}" for name, figure in figures.items()))
