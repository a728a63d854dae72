"""The report's numbers in the form that people read, and sentences that say what the numbers mean."""

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cdnlab.report.facts import Report

MEANING = {
    "cold": "the first request for it",
    "expired": "stored, but no longer fresh",
    "evicted": "removed to make room",
    "purged": "removed by a purge",
    "lost": "damaged or gone on disk",
    "vary": "stored only for other request fields",
    "uncacheable": "the origin forbade storing",
    "bypass": "the behavior does not cache",
    "method": "neither GET nor HEAD",
    "request": "the client required a new response",
    "partial": "a range the store could not cut",
    "aborted": "the fill it waited for broke off",
}
"""Each `Cause` of cdnkit/policy/outcomes.py, in a few words."""


def percent(share: float | None, digits: int = 1) -> str:
    """0.98765 -> "98.8 %"; never rounded up to 100 % or down to 0 % when it is not; "–" for nothing to divide by."""
    if share is None:
        return "–"
    step = 10.0**-digits
    value = share * 100
    if value < 100:
        value = min(value, 100 - step)
    if value > 0:
        value = max(value, step)
    return f"{value:.{digits}f} %"


def count(number: int | float | None) -> str:
    """12345 -> "12,345"."""
    return "–" if number is None else f"{number:,.0f}"


def size(number: int | float | None) -> str:
    """1234567 -> "1.23 MB" (decimal, as traffic is billed)."""
    if number is None:
        return "–"
    value = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < 1000:
            return f"{value:.0f} B" if unit == "B" else f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"


def milliseconds(value: float | None) -> str:
    """0.04321 -> "0.043 ms"; 1234 -> "1,234 ms"."""
    if value is None:
        return "–"
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.3g} ms"


def when(began: float | None) -> str:
    """An instant in UTC, as people read it."""
    if began is None:
        return "never"
    return datetime.fromtimestamp(began, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def period(report: "Report") -> str:
    """When the run began and how long it lasted."""
    return f"{when(report.began)} · {count(report.seconds)} s of requests"


def sentences(report: "Report") -> list[str]:
    """Sentences on what the numbers mean, the most important first; each can be read alone."""
    total, offload = report.total, report.offload
    if not total["requests"]:
        return ["No viewer sent a request, so there is nothing to say about the cache."]
    found: list[str] = []
    if total["cacheable"]:
        found.append(
            f"{percent(total['hit_rate'])} of viewers' {count(total['cacheable'])} cacheable requests were hits: they "
            f"needed no fetch of their own ({percent(total['byte_hit_rate'])} of the bytes)."
        )
    if offload["origin_requests"] and offload["request_offload"] is not None:
        ratio = offload["edge_requests"] / offload["origin_requests"]
        found.append(
            f"The origin got one request for every {ratio:,.0f} requests of viewers and sent "
            f"{size(offload['origin_bytes'])} where the edges sent {size(offload['edge_bytes'])}."
            if ratio >= 2
            else f"The origin got {count(offload['origin_requests'])} requests for "
            f"{count(offload['edge_requests'])} requests of viewers: the caches saved it few."
        )
    misses = Counter[tuple[str, str]]()
    for row in report.causes:
        if row["outcome"] == "miss":
            misses[row["object_class"], row["cause"]] += row["requests"]
    if misses:
        (object_class, cause), most = misses.most_common(1)[0]
        found.append(
            f"The most common miss, {percent(most / misses.total(), 0)} of them over all nodes, was "
            f"{object_class}, {cause} ({MEANING.get(cause, cause)})."
            + (" No cache can avoid these: each node must fetch each object once." if cause == "cold" else "")
        )
    for row in report.repeated:
        if row["repeated"]:
            found.append(
                f"Node {row['node']} fetched {count(row['repeated'])} of {count(row['objects'])} segments and init "
                f"sections more than once (one of them {count(row['most'])} times): look for evictions or purges."
            )
    if total["failed"]:
        found.append(f"{count(total['failed'])} requests failed with their parent: no stored response could be served.")
    if total["refused"]:
        found.append(f"{count(total['refused'])} requests were refused at the gate, for the reasons below.")
    return found


def player_sentence(report: "Report") -> str:
    """What the load test's viewers saw; "" without one."""
    if report.players is None or report.players.get("total") is None:
        return ""
    seen, generator = report.players["total"], report.players.get("generator") or {}
    stalls = seen["stalls"]
    if seen["rebuffer_ratio"] is None:
        return f"{count(seen['viewers'])} players came, and none saw a picture."
    text = (
        f"{count(seen['viewers'])} players watched: "
        + (f"{count(stalls)} stall{'s' if stalls > 1 else ''}" if stalls else "no stall")
        + f", {percent(seen['rebuffer_ratio'], 2)} of their time rebuffering"
    )
    if seen["startup_ms"]:
        text += f"; half of them saw a picture within {milliseconds(seen['startup_ms']['p50'])}"
    if seen["live_latency"]:
        text += f", {seen['live_latency']['p50']:.1f} s behind live"
    text += "."
    if generator.get("bound"):
        text += (
            f" The load generator itself used {percent(generator['cpu_share'], 0)} of a core, so latencies and stalls "
            "measure the generator rather than the edges."
        )
    return text
