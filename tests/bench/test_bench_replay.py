"""How fast a live trace is read and told again: one edge's records of ten minutes, four renditions.

A viewer asks for its media playlist every two seconds and for every two-second segment; one in fifty changes its
rendition now and then. The edge is a real machine under this file's clock, behind the gate that `cdnlab demo` has, its
parent 20 ms away: so there are joins and revalidations beside the hits, and the lines are those that a node would write.
Times are the process's own (CPU seconds, one thread): what else the machine does is left out as far as can be.
"""

import time
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from cdnkit.policy import Behavior, EdgeMachine, Fetch, Headers, ResponseHead, Service
from cdnkit.policy.http.messages import get_for_url
from cdnkit.policy.http.place import Place
from cdnkit.policy.outcomes import Outcome
from cdnkit.policy.record.lines import FetchRecord, Record, RequestRecord, line_of
from cdnkit.policy.record.object_class import ObjectClass
from cdnkit.policy.rules.profile import RFC9111
from cdnkit.policy.rules.service import Geo, Ttl
from cdnkit.replay import Trace, read_trace, replay_each, replay_node, trace_of
from cdnkit.replay.trace import Line, events_of

NOW = 1_795_000_000.0
SECONDS = 600
RENDITIONS = ("1080p", "720p", "480p", "360p")
GEO = Geo(deny=("KP",), unknown="allow")
SERVICE = Service(
    name="fra", behaviors=(Behavior(path="*.m3u8", ttl=Ttl(max="1s"), geo=GEO), Behavior(path="*", geo=GEO))
)


def record_run(viewers: int, write: Callable[[Record], object]) -> None:
    """Writes what the edge would have written."""
    machine, order = EdgeMachine(SERVICE, RFC9111), count()
    happenings: list[tuple[float, int, Callable[..., None], Any]] = []
    waiting: dict[int, RequestRecord] = {}

    def at(when: float, what: Callable[..., None], *about: Any) -> None:
        heappush(happenings, (when, next(order), what, about))

    def ask(now: float, viewer: int, target: str) -> None:
        request = get_for_url(f"http://127.0.0.1:8081{target}")
        request.headers = Headers([("accept-encoding", "gzip, deflate, br")])
        request.client_ip, request.place = f"198.51.100.{viewer % 250}", Place("US")
        plan = machine.on_request(request, now)
        record = RequestRecord(
            node="fra", seq=machine.events, at=round(now, 6), method="GET", url=request.url, status=200,
            outcome=plan.outcome, cause=plan.cause, behavior=plan.rule.path, object_class=ObjectClass.SEGMENT,
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

    for viewer in range(viewers):
        for second in range(0, SECONDS, 2):
            rendition = RENDITIONS[(viewer + (second // 30 if viewer % 50 == 0 else 0)) % len(RENDITIONS)]
            start = NOW + second + viewer * 2 / viewers
            at(start, ask, viewer, f"/live/{rendition}/media.m3u8")
            at(start + 0.1, ask, viewer, f"/live/{rendition}/seg-1-{second // 2}.m4s")
    while happenings:
        now, _, what, about = heappop(happenings)
        what(now, *about)


def trace_with(viewers: int) -> Trace:
    """The same as `read_trace` makes of a file: lines decoded in batches, so that neighbours lie beside one another."""
    lines: list[Line] = []
    batch: list[bytes] = []
    decode_lines = msgspec.json.Decoder(Line).decode_lines

    def write(record: Record) -> None:
        batch.append(line_of(record).rstrip())
        if len(batch) == 10_000:
            lines.extend(decode_lines(b"\n".join(batch)))
            batch.clear()

    record_run(viewers, write)
    return trace_of(events_of([*lines, *decode_lines(b"\n".join(batch))]))


@pytest.mark.benchmark(group="replay", timer=time.process_time)
def test_a_live_trace_read(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    path = tmp_path / "fra.jsonl"
    with path.open("wb") as file:
        record_run(300, lambda record: file.write(line_of(record)))
    lines = path.read_bytes().count(b"\n")
    benchmark.pedantic(read_trace, (path,), rounds=5)
    figures = {"lines": lines, "lines a second": round(lines / benchmark.stats.stats.min)}
    benchmark.extra_info.update(figures)
    print("\n" + "\n".join(f"{name}: {figure}" for name, figure in figures.items()))


@pytest.mark.benchmark(group="replay", timer=time.process_time)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("viewers", [300, 2000])
def test_a_live_trace_told_again(benchmark: BenchmarkFixture, viewers: int) -> None:
    """Beside it, in the same run: each event told, once; and what finding the plain requests adds to the reading."""
    trace = trace_with(viewers)
    start = time.process_time()
    expected = replay_each(trace.events, SERVICE, RFC9111)
    each = time.process_time() - start
    replayed = benchmark.pedantic(replay_node, (trace, SERVICE, RFC9111), rounds=3)
    assert replayed == expected
    assert replayed.requests == viewers * SECONDS and replayed.differences == []
    assert replayed.outcomes[Outcome.HIT] > 0.9 * replayed.requests and replayed.outcomes[Outcome.COLLAPSED] > 100
    start = time.process_time()
    trace_of(trace.events)
    arranging = time.process_time() - start
    jumped = benchmark.stats.stats.min
    figures = {
        "requests": replayed.requests,
        "outcomes": ", ".join(f"{n} {outcome}" for outcome, n in sorted(replayed.outcomes.items())),
        "requests a second": round(replayed.requests / jumped),
        "requests a second, each told": round(replayed.requests / each),
        "times as fast": round(each / jumped, 1),
        "seconds": round(jumped, 3),
        "seconds that reading took for the plain ones": round(arranging, 3),
    }
    benchmark.extra_info.update(figures)
    print("\n" + "\n".join(f"{name}: {figure}" for name, figure in figures.items()))
