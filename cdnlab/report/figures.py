"""The report's plots, as plotly figure descriptions: plain values that page.js hands to plotly.js.

Built as plain dicts: plotly's Python classes take a second to import and add nothing a browser would see. The
browser sets the colours of text and grid, because it knows whether the reader's screen is light or dark. The colours of
the traces can be read on both.
"""

from collections import defaultdict
from itertools import accumulate
from typing import Any

from cdnlab.report.facts import Report
from cdnlab.report.words import MEANING, size

Figure = dict[str, Any]

OUTCOME_COLOURS = {
    "hit": "#2a9d76",
    "hit-stale": "#8bc34a",
    "collapsed": "#3f8fd2",
    "revalidated": "#e0a526",
    "miss": "#e2703a",
    "pass": "#8d99a6",
    "refused": "#9b6bc9",
    "failed": "#d1374b",
}
"""Good to bad, green to red, which is also the order they are stacked in."""

CLASS_COLOURS = {
    "multivariant": "#9b6bc9",
    "media-playlist": "#3f8fd2",
    "init": "#e0a526",
    "segment": "#2a9d76",
    "part": "#8bc34a",
    "other": "#8d99a6",
}
_LINES = ("#3f8fd2", "#e2703a", "#2a9d76", "#9b6bc9", "#e0a526", "#d1374b", "#17a2a2", "#8d99a6")
_LEGEND = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"}


def all_figures(report: Report) -> dict[str, Figure]:
    """Element id -> figure; empty ones are left out."""
    made = {
        "hit-rate": hit_rate_over_time(report),
        "requests": requests_over_time(report),
        "outcomes": outcomes_by_class(report),
        "causes": miss_causes(report),
        "ttfb": ttfb_distribution(report),
        "bytes": bytes_by_tier(report),
    }
    return {name: figure for name, figure in made.items() if figure["data"]}


def hit_rate_over_time(report: Report) -> Figure:
    """One line a node, in bins of `bin_seconds`; a gap where no request was cacheable."""
    sums: dict[str, dict[float, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for row in report.timeline:
        cell = sums[row["node"]][row["second"]]
        cell[0] += row["hits"]
        cell[1] += row["cacheable"]
    roles = {row["node"]: row["role"] for row in report.nodes}
    data = []
    for i, (node, bins) in enumerate(sorted(sums.items(), key=lambda item: (roles.get(item[0], ""), item[0]))):
        seconds = sorted(bins)
        # A bin of one request is 0 % or 100 %: its dot is small, so that it does not look like a fact.
        most = max(cell[1] for cell in bins.values()) or 1
        sizes = [3 + 6 * (bins[s][1] / most) ** 0.5 for s in seconds]
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers" if len(seconds) < 80 else "lines",
                "name": _text(node if roles.get(node) == "edge" else f"{node} (shield)"),
                "x": seconds,
                "y": [100 * bins[s][0] / bins[s][1] if bins[s][1] else None for s in seconds],
                "customdata": [bins[s] for s in seconds],
                "hovertemplate": "%{y:.1f} %  (%{customdata[0]} of %{customdata[1]})",
                "line": {
                    "color": _LINES[i % len(_LINES)],
                    "width": 1.3,
                    "dash": "solid" if roles.get(node) == "edge" else "dot",
                },
                "marker": {"size": sizes, "line": {"width": 0}},
            }
        )
    return _figure(
        data,
        x={"title": {"text": "seconds since the first request"}, "rangemode": "tozero"},
        y={"title": {"text": "hit rate, %"}, "range": [-2, 103]},
        hovermode="x unified",
    )


def requests_over_time(report: Report) -> Figure:
    """Viewers' requests per second, stacked by outcome."""
    bins: dict[str, dict[float, int]] = defaultdict(lambda: defaultdict(int))
    for row in report.timeline:
        if row["by_viewer"]:
            bins[row["outcome"]][row["second"]] += row["requests"]
    # Every trace needs every bin: a missing one would be drawn as a slope between its neighbours.
    seconds = _bins(report)
    data = [
        {
            "type": "bar",
            "name": outcome,
            "x": seconds,
            "y": [bins[outcome].get(second, 0) / report.bin_seconds for second in seconds],
            "marker": {"color": colour},
            "hovertemplate": "%{y:.1f}/s",
        }
        for outcome, colour in OUTCOME_COLOURS.items()
        if outcome in bins
    ]
    return _figure(
        data,
        x={"title": {"text": "seconds since the first request"}, "rangemode": "tozero"},
        y={"title": {"text": "requests per second"}, "rangemode": "tozero"},
        barmode="stack",
        bargap=0.05,
        hovermode="x unified",
    )


def outcomes_by_class(report: Report) -> Figure:
    """Share of each outcome in each object class, viewers' requests."""
    totals: dict[str, int] = defaultdict(int)
    for row in report.outcomes:
        totals[row["object_class"]] += row["requests"]
    classes = list(totals)[::-1]  # plotly draws the first row at the bottom
    counts = {(row["object_class"], row["outcome"]): row["requests"] for row in report.outcomes}
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": outcome,
            "y": [_text(f"{one} ({totals[one]:,})") for one in classes],
            "x": [100 * counts.get((one, outcome), 0) / totals[one] for one in classes],
            "customdata": [counts.get((one, outcome), 0) for one in classes],
            "hovertemplate": f"{outcome}: %{{x:.2f}} % (%{{customdata:,}})<extra>%{{y}}</extra>",
            "marker": {"color": colour},
        }
        for outcome, colour in OUTCOME_COLOURS.items()
        if any((one, outcome) in counts for one in classes)
    ]
    return _figure(
        data,
        x={"title": {"text": "share of requests, %"}, "range": [0, 100]},
        y={"automargin": True},
        barmode="stack",
        bargap=0.35,
    )


def miss_causes(report: Report) -> Figure:
    """Misses of all nodes by cause, stacked by object class."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in report.causes:
        if row["outcome"] == "miss":
            counts[row["cause"]][row["object_class"]] += row["requests"]
    causes = sorted(counts, key=lambda cause: sum(counts[cause].values()))
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": object_class,
            "y": [_text(cause) for cause in causes],
            "x": [counts[cause].get(object_class, 0) for cause in causes],
            "customdata": [_text(MEANING.get(cause, cause)) for cause in causes],
            "hovertemplate": f"{object_class}: %{{x:,}}<br>%{{customdata}}<extra>%{{y}}</extra>",
            "marker": {"color": colour},
        }
        for object_class, colour in CLASS_COLOURS.items()
        if any(object_class in counts[cause] for cause in causes)
    ]
    return _figure(
        data,
        x={"title": {"text": "misses at all nodes"}, "rangemode": "tozero"},
        y={"automargin": True, "type": "category"},
        barmode="stack",
        bargap=0.35,
    )


def ttfb_distribution(report: Report) -> Figure:
    """Share of an outcome's requests whose first byte came within a time, on a logarithmic axis.

    Cumulative: eight overlapping histograms cannot be read, eight such lines can.
    """
    buckets: dict[str, dict[int, int]] = defaultdict(dict)
    for row in report.ttfb_histogram:
        buckets[row["outcome"]][row["bucket"]] = row["requests"]
    data = []
    for outcome, colour in OUTCOME_COLOURS.items():
        if outcome not in buckets:
            continue
        found = buckets[outcome]
        every = range(min(found), max(found) + 1)
        sums = list(accumulate((found.get(b, 0) for b in every), initial=0))
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": outcome,
                "line": {"color": colour, "width": 2},
                "x": [10 ** (b / 10) for b in range(every.start, every.stop + 1)],
                "y": [100 * n / sums[-1] for n in sums],
                "hovertemplate": "%{y:.1f} % within %{x:.3g} ms",
            }
        )
    return _figure(
        data,
        x={"title": {"text": "time to first byte, ms (logarithmic)"}, "type": "log", "dtick": 1, "tickformat": "~g"},
        y={"title": {"text": "% answered by then"}, "range": [0, 103]},
    )


def bytes_by_tier(report: Report) -> Figure:
    """Body bytes sent to viewers, by shields, by the origin."""
    offload = report.offload
    tiers = [("edges → viewers", offload["edge_bytes"]), ("origin → caches", offload["origin_bytes"])]
    if offload["shield_requests"]:
        tiers.insert(1, ("shields → edges", offload["shield_bytes"]))
    tiers.reverse()
    if not offload["edge_bytes"]:
        return _figure([])
    bar = {
        "type": "bar",
        "orientation": "h",
        "y": [name for name, _ in tiers],
        "x": [value for _, value in tiers],
        "text": [size(value) for _, value in tiers],
        "textposition": "auto",
        "hovertemplate": "%{text}<extra>%{y}</extra>",
        "marker": {"color": ["#e2703a", "#e0a526", "#2a9d76"] if len(tiers) == 3 else ["#e2703a", "#2a9d76"]},
        "showlegend": False,
    }
    return _figure(
        [bar],
        x={"title": {"text": "body bytes"}, "tickformat": "~s", "ticksuffix": "B", "rangemode": "tozero"},
        y={"automargin": True},
        bargap=0.35,
    )


def _figure(
    data: list[dict[str, Any]],
    *,
    x: dict[str, Any] | None = None,
    y: dict[str, Any] | None = None,
    **layout: Any,
) -> Figure:
    axis = {"zeroline": False, "automargin": True}
    return {
        "data": data,
        "layout": {
            "xaxis": axis | (x or {}),
            "yaxis": axis | (y or {}),
            "margin": {"l": 8, "r": 12, "t": 34, "b": 8},
            "legend": _LEGEND,
            "height": 320,
            **layout,
        },
    }


def _text(text: str) -> str:
    """A text of the records, escaped: plotly reads tags and entities as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _bins(report: Report) -> list[float]:
    last = max((row["second"] for row in report.timeline), default=0.0)
    return [i * report.bin_seconds for i in range(int(last / report.bin_seconds) + 1)]
