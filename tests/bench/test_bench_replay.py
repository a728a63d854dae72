"""How fast a live-like trace is told again: records of one edge, playlists every second and segments every six."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from policy.profile import RFC9111
from policy.record import FetchRecord, ObjectClass, Outcome, RequestRecord
from policy.service import Service
from replay import replay_node
from replay.trace import Event, events_of

NOW = 1_795_000_000.0
VIEWERS, SECONDS = 100, 60


def live_trace() -> list[Event]:
    """What an edge would have recorded: the first request for anything fetches it, the others hit."""
    records: list[RequestRecord | FetchRecord] = []
    seq, fetches, fresh_until = 0, 0, {}
    for second in range(SECONDS):
        for viewer in range(VIEWERS):
            at = NOW + second + viewer / VIEWERS
            path, ttl = ("/live/720p/media.m3u8", 1.0) if second % 6 else (f"/live/720p/seg-1-{second}.m4s", 3600.0)
            seq += 1
            missed = at >= fresh_until.get(path, 0.0)
            record = RequestRecord(
                node="fra", seq=seq, at=at, method="GET", url=f"http://h{path}", status=200,
                outcome=Outcome.MISS if missed else Outcome.HIT, cause=None, behavior="*",
                object_class=ObjectClass.SEGMENT, rendition="720p", bytes_sent=1000, ttfb_ms=1.0, duration_ms=1.0,
                client_ip="198.51.100.7", country="DE",
            )  # fmt: skip
            records.append(record)
            if missed:
                fetches += 1
                fresh_until[path] = at + ttl
                head = [("cache-control", f"max-age={ttl:.0f}"), ("content-length", "1000")]
                records.append(FetchRecord("fra", 0, path, "miss", at, seq + 1, at, 200, head, seq + 2, at, 1000))
                seq += 2
    return events_of(records)


@pytest.mark.benchmark(group="replay")
def test_a_live_trace_told_again(benchmark: BenchmarkFixture) -> None:
    """6,000 requests; requests a second = 6,000 / the time shown."""
    trace = live_trace()
    # Ids of fetches are the machine's own: learn them from one replay, so that the landings find their fetches.
    from replay.node import ReplayNode

    node = ReplayNode(Service(name="fra"), RFC9111)
    for event in trace:
        if isinstance(getattr(event, "record", None), FetchRecord) and event.record.fetch == 0:  # type: ignore[union-attr]
            event.record.fetch = max(node._fetches)  # type: ignore[union-attr]
        node.tell(event)
    replayed = benchmark.pedantic(lambda: replay_node(trace, Service(name="fra"), RFC9111), rounds=5)
    assert replayed.requests == VIEWERS * SECONDS and replayed.outcomes[Outcome.HIT] > 5900
