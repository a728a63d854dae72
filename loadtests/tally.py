"""The results of one run's viewers, counted as they happen; and load.json, made of them.

load.json (times in seconds unless the key says ms):

- `began`, `seconds`, `stream_url`: when and how long (Unix seconds), what was watched
- `total`: one row as in `renditions`, over all of them
- `renditions`: a row per edge and rendition the viewers chose: `viewers`, `started`, `startup_ms`, `stalls`,
  `stalled`, `played`, `rebuffer_ratio` (stalled / (stalled + played)), `live_latency`, `jumps`, `skipped`,
  `regressions` (playlists older than one seen before), `requests`, `bytes`,
  `failures` {status or word: count}, `hit_share`
- `classes`: a row per edge and object class: `requests`, `bytes`, `failures`, `cache_status`, `hit_share`,
  `ttfb_ms`, `age` (of answers that had an Age)
- `bad_playlists`: up to ten texts of what was wrong with playlists
- `generator`: `cpu_share` of one core over the run, `cpu_peak` of its busiest second, and `bound`: true above
  0.8, when latencies measure the generator and not the edge

Distributions are {"p50", "p90", "p99", "max"}; null without samples. `hit_share` is the report's hit rate as
seen from outside, by `Cache-Status` (RFC 9211): (hit + collapsed) / all responses that name a forward or a hit,
without those forwarded for `bypass` or `method`; null where no response has the field.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import http_sf

from loadtests.player import Player

GENERATOR_BOUND = 0.8
_NOT_CACHEABLE = ("fwd=bypass", "fwd=method")


@dataclass(slots=True)
class Requests:
    """Requests of one edge, rendition and object class."""

    count: int = 0
    size_bytes: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    cache: Counter[str] = field(default_factory=Counter)
    ttfb_ms: Counter[int] = field(default_factory=Counter)
    age: Counter[int] = field(default_factory=Counter)

    def add(self, other: "Requests") -> None:
        self.count += other.count
        self.size_bytes += other.size_bytes
        self.failures += other.failures
        self.cache += other.cache
        self.ttfb_ms += other.ttfb_ms
        self.age += other.age


class Tally:
    """The results of all viewers of one process. `requests` is keyed by (edge, rendition, object class)."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, str, str], Requests] = {}
        self.viewers: list[tuple[str, Player]] = []
        self.bad_playlists: list[str] = []

    def record(
        self,
        at: tuple[str, str, str],
        *,
        size_bytes: int,
        ttfb_ms: float,
        cache_status: str = "",
        age: int | None = None,
        failure: str = "",
    ) -> None:
        row = self.requests.get(at)
        if row is None:
            row = self.requests[at] = Requests()
        row.count += 1
        row.size_bytes += size_bytes
        if failure:
            row.failures[failure] += 1
        if ttfb_ms >= 0:
            row.ttfb_ms[round(ttfb_ms)] += 1
        row.cache[cache_outcome(cache_status)] += 1
        if age is not None:
            row.age[age] += 1

    def sum(self, keys: Iterable[tuple[str, str, str]] | None = None) -> Requests:
        total = Requests()
        for key in self.requests if keys is None else keys:
            total.add(self.requests[key])
        return total


def cache_outcome(field_value: str) -> str:
    """What the cache nearest to the client did: "hit", "collapsed", "fwd=<reason>"; "" without field, "?" garbled.

    The last member of Cache-Status is the cache nearest to the client. Source: RFC 9211 section 2.
    """
    if not field_value:
        return ""
    try:
        members: Any = http_sf.parse(field_value.encode(), tltype="list")
        parameters: dict[str, Any] = members[-1][1]
    except (ValueError, IndexError, TypeError):
        return "?"
    if parameters.get("hit"):
        return "hit"
    if parameters.get("collapsed"):
        return "collapsed"
    return f"fwd={parameters['fwd']}" if "fwd" in parameters else "?"


def hit_share(cache: Mapping[str, int]) -> float | None:
    """As the module says; None where no response has `Cache-Status`."""
    counted = {word: n for word, n in cache.items() if word not in ("", "?", *_NOT_CACHEABLE)}
    total = sum(counted.values())
    return (counted.get("hit", 0) + counted.get("collapsed", 0)) / total if total else None


def distribution(counts: Mapping[int, int], scale: float = 1.0) -> dict[str, float] | None:
    """p50, p90, p99 (nearest rank) and the maximum of a histogram, each times `scale`."""
    total = sum(counts.values())
    if not total:
        return None
    ordered = sorted(counts.items())
    found: dict[str, float] = {}
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        seen = 0
        for value, count in ordered:
            seen += count
            if seen >= share * total:
                found[name] = round(value * scale, 6)
                break
    found["max"] = round(ordered[-1][0] * scale, 6)
    return found


def summary(
    tally: Tally, *, began: float, now: float, stream_url: str, cpu_share: float, cpu_peak: float
) -> dict[str, Any]:
    """load.json's content, for a run that is over (or is looked at) at `now`."""
    for _, player in tally.viewers:
        player.next(now)  # play on to now, so that a stall that lasts is counted
    pairs = sorted({(edge, player.rendition) for edge, player in tally.viewers})
    classes = sorted({(edge, object_class) for edge, _, object_class in tally.requests})
    return {
        "began": began,
        "seconds": round(now - began, 3),
        "stream_url": stream_url,
        "total": _row([player for _, player in tally.viewers], tally.sum()),
        "renditions": [
            {"edge": edge, "rendition": rendition}
            | _row(
                [p for at, p in tally.viewers if (at, p.rendition) == (edge, rendition)],
                tally.sum(key for key in tally.requests if key[:2] == (edge, rendition)),
            )
            for edge, rendition in pairs
        ],
        "classes": [
            {"edge": edge, "object_class": object_class}
            | _class_row(tally.sum(k for k in tally.requests if (k[0], k[2]) == (edge, object_class)))
            for edge, object_class in classes
        ],
        "bad_playlists": tally.bad_playlists,
        "generator": {
            "cpu_share": round(cpu_share, 3),
            "cpu_peak": round(cpu_peak, 3),
            "bound": cpu_share > GENERATOR_BOUND,
        },
    }


def sentence(result: dict[str, Any]) -> str:
    """What the viewers saw, of load.json's content."""
    total = result["total"]
    startup, latency = total["startup_ms"], total["live_latency"]
    parts = [
        f"{total['started']} of {total['viewers']} viewers saw a picture",
        f"the first after {startup['p50']:.0f} ms (p50)" if startup else "",
        f"{total['stalls']} stalls, {total['stalled']:.1f} s in all",
        f"rebuffering {total['rebuffer_ratio']:.2%}" if total["rebuffer_ratio"] is not None else "",
        f"{latency['p50']:.1f} s behind live (p50)" if latency else "",
        f"{total['hit_share']:.1%} hits" if total["hit_share"] is not None else "",
    ]
    return ", ".join(filter(None, parts))


def _row(players: list[Player], requests: Requests) -> dict[str, Any]:
    seen = [player.seen for player in players]
    startups = Counter(round(one.startup * 1000) for one in seen if one.startup is not None)
    latency: Counter[int] = Counter()
    for one in seen:
        latency.update(one.latency)
    stalled, played = sum(one.stalled for one in seen), sum(one.played for one in seen)
    return {
        "viewers": len(seen),
        "started": sum(startups.values()),
        "startup_ms": distribution(startups),
        "stalls": sum(one.stalls for one in seen),
        "stalled": round(stalled, 3),
        "played": round(played, 3),
        "rebuffer_ratio": round(stalled / (stalled + played), 6) if stalled + played else None,
        "live_latency": distribution(latency, 0.1),
        "jumps": sum(one.jumps for one in seen),
        "skipped": sum(one.skipped for one in seen),
        "regressions": sum(one.regressions for one in seen),
        "requests": requests.count,
        "bytes": requests.size_bytes,
        "failures": dict(requests.failures),
        "hit_share": hit_share(requests.cache),
    }


def _class_row(requests: Requests) -> dict[str, Any]:
    return {
        "requests": requests.count,
        "bytes": requests.size_bytes,
        "failures": dict(requests.failures),
        "cache_status": {word or "unsigned": n for word, n in sorted(requests.cache.items())},
        "hit_share": hit_share(requests.cache),
        "ttfb_ms": distribution(requests.ttfb_ms),
        "age": distribution(requests.age),
    }
