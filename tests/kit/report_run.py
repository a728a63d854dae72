"""Runs for these tests: records as the nodes would have written them, from a seed, and their folders."""

import json
import random
from pathlib import Path

from cdnkit.policy.outcomes import Cause, Outcome
from cdnkit.policy.record.lines import FetchRecord, PurgeRecord, Record, RequestRecord, to_json
from cdnkit.policy.record.object_class import ObjectClass

BEGAN = 1_790_000_000.0
CLASSES = {
    ObjectClass.MULTIVARIANT: ("live/multivariant.m3u8", "", 600),
    ObjectClass.MEDIA_PLAYLIST: ("live/{r}/media.m3u8", "r", 1_500),
    ObjectClass.INIT: ("live/{r}/init-1.mp4", "r", 900),
    ObjectClass.SEGMENT: ("live/{r}/seg-1-{n}.m4s", "r", 1_250_000),
}


def records(seed: int, *, requests: int = 2000, nodes: tuple[str, ...] = ("fra", "nyc", "shield")) -> list[Record]:
    """A run of so many viewer requests; the last node is the shield of the others, if there are others."""
    rng = random.Random(seed)
    shield = nodes[-1] if len(nodes) > 1 else ""
    edges = nodes[:-1] if shield else nodes
    made: list[Record] = []
    seq = dict.fromkeys(nodes, 0)
    fetch = dict.fromkeys(nodes, 0)

    def ask(node: str, at: float, object_class: ObjectClass, url: str, rendition: str, size: int, child: str) -> None:
        seq[node] += 1
        outcome = rng.choices(list(Outcome), weights=[60, 3, 12, 6, 8, 3, 4, 1])[0]
        if child:
            outcome = rng.choices([Outcome.HIT, Outcome.MISS, Outcome.COLLAPSED], weights=[3, 5, 1])[0]
        cause = None
        if outcome in (Outcome.MISS, Outcome.REVALIDATED, Outcome.PASS):
            cause = {
                Outcome.MISS: rng.choice([Cause.COLD, Cause.EXPIRED, Cause.EVICTED, Cause.PURGED]),
                Outcome.REVALIDATED: Cause.EXPIRED,
                Outcome.PASS: rng.choice([Cause.BYPASS, Cause.METHOD, Cause.UNCACHEABLE]),
            }[outcome]
        drew = outcome in (Outcome.MISS, Outcome.REVALIDATED, Outcome.PASS, Outcome.FAILED)
        refused, failed = outcome is Outcome.REFUSED, outcome is Outcome.FAILED
        status = 403 if refused else 502 if failed else 200
        reason = rng.choice(["geo", "token expired"]) if refused else "refused" if failed else ""
        sent = 40 if refused or failed else size
        slow = 40.0 if drew else 25.0 if outcome is Outcome.COLLAPSED else 0.4
        ttfb = round(rng.lognormvariate(0, 0.5) * slow, 3)
        if drew:
            fetch[node] += 1
        made.append(
            RequestRecord(
                node=node, seq=seq[node], at=at, method="GET", url=f"http://{node}:8080/{url}", status=status,
                outcome=outcome, cause=cause, behavior="*", object_class=object_class, rendition=rendition,
                bytes_sent=sent, ttfb_ms=ttfb, duration_ms=ttfb + 5, client_ip="203.0.113.7",
                country=rng.choice(["DE", "FR"]), reason=reason, fetch=fetch[node] if drew else 0, from_node=child,
            )
        )  # fmt: skip
        if not drew:
            return
        purpose = {Outcome.REVALIDATED: "revalidate", Outcome.PASS: "pass"}.get(outcome, "miss")
        seq[node] += 1
        moved = 0 if outcome is Outcome.REVALIDATED or failed else size
        made.append(
            FetchRecord(
                node=node, fetch=fetch[node], url=f"/{url}", purpose=purpose, sent_at=at, landed_seq=seq[node],
                landed_at=at + ttfb / 1000, status=0 if failed else 304 if moved == 0 else 200, headers=[],
                ended_seq=seq[node], ended_at=at + ttfb / 1000, size_bytes=moved,
                failure="connection refused" if failed else "",
            )
        )  # fmt: skip
        if shield and node != shield and not failed:
            ask(shield, at + 0.001, object_class, url, rendition, size, node)

    at = BEGAN
    for _ in range(requests):
        at += rng.expovariate(requests / 30)
        object_class = rng.choices(list(CLASSES), weights=[1, 10, 2, 12])[0]
        path, named, size = CLASSES[object_class]
        rendition = rng.choice(["720p", "360p", "audio-128k"]) if named else ""
        url = path.format(r=rendition, n=int(at - BEGAN) // 2)
        ask(rng.choice(edges), at, object_class, url, rendition, size + rng.randrange(size), "")
    if requests:
        made.append(PurgeRecord(edges[0], seq[edges[0]] + 1, BEGAN + 15, "url", "/live/multivariant.m3u8", True, 1))
    return made


def lay(directory: Path, made: list[Record], *, nodes: tuple[str, ...] = ("fra", "nyc", "shield")) -> Path:
    """The records in a run folder, a file a node, and its cluster.json."""
    folder = directory / "records"
    folder.mkdir(parents=True)
    for node in nodes:
        lines = [json.dumps(to_json(record)) for record in made if record.node == node]
        (folder / f"{node}.jsonl").write_text("".join(line + "\n" for line in lines))
    shield = nodes[-1] if len(nodes) > 1 else "origin"
    told = [{"name": node, "parent": "origin" if node == nodes[-1] else shield} for node in nodes]
    (directory / "cluster.json").write_text(json.dumps({"nodes": told}))
    return directory
