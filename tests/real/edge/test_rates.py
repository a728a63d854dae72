"""Rate limits over real sockets: a flood, whom it is counted for, what is written of it, and its replay."""

import asyncio
from collections import Counter
from pathlib import Path

from cdnkit.policy.rules.profile import RFC9111
from cdnkit.policy.rules.rate_limit import RateLimit
from cdnkit.policy.rules.service import Behavior, Service
from cdnkit.replay import read_trace, replay_node
from tests.kit.node import running_node
from tests.kit.origin import running_origin


def test_a_flood(tmp_path: Path) -> None:
    """Two hundred requests at once, of which one client may make fifty; others are not held up, and no flood of
    addresses makes the table grow."""
    records = tmp_path / "fra.jsonl"
    rule = Behavior(path="*", rate_limit=RateLimit(requests=50, per=3600.0))

    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, rule, records=records) as node:
            origin.says("/a", b"body", cache_control="max-age=60")
            replies = await asyncio.gather(*(node.get("/a", cdnlab_client_ip="203.0.113.9") for _ in range(200)))
            assert Counter(reply.status for reply in replies) == {200: 50, 429: 150}
            refused = next(reply for reply in replies if reply.status == 429)
            assert 0 < int(refused["retry-after"] or 0) <= 72 and refused["cache-control"] == "no-store"
            assert (await node.get("/a", cdnlab_client_ip="203.0.113.10")).status == 200
            # of IPv6, one who takes a new address for each request stays one
            many = [node.get("/a", cdnlab_client_ip=f"2001:db8::{n:x}") for n in range(1, 101)]
            assert Counter(reply.status for reply in await asyncio.gather(*many)) == {200: 50, 429: 50}
            assert origin.count["/a"] == 1

    asyncio.run(run())
    trace = read_trace(records)
    replayed = replay_node(trace, Service(name="fra", behaviors=(rule,)), RFC9111)
    assert replayed.differences == [] and replayed.requests == 301
