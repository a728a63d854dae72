"""report.html: one file that holds all it needs, works from disk, and cannot fetch anything.

Its Content-Security-Policy, which allows no source at all, makes sure of the last.
"""

import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from cdnlab.report import words
from cdnlab.report.errors import ExtraMissing
from cdnlab.report.facts import Report
from cdnlab.report.figures import all_figures
from cdnlab.report.run_files import Row
from cdnlab.report.words import count, milliseconds, percent, period, size

_HERE = Path(__file__).parent
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"

_CAPTIONS = {
    "hit-rate": ("Hit rate over time", "Per node; the larger the dot, the more requests. New segments make it dip."),
    "requests": ("Requests over time", "Viewers' requests per second, by outcome."),
    "outcomes": ("Outcomes by object class", "Viewers' requests; their number is in brackets."),
    "causes": ("Why the caches missed", "Every miss has one cause; the bars add up to all misses of all nodes."),
    "ttfb": ("Time to first byte", "At the edges, by outcome: what a miss costs a viewer."),
    "bytes": ("Bytes by tier", "What each tier sent. The origin's share is what the caches had to fetch."),
}


def render(report: Report) -> str:
    """The page. Raises `ExtraMissing` without plotly."""
    figures = all_figures(report)
    parts = [
        f"<header><h1>{escape(report.run)}</h1>",
        f'<span class="when">{escape(period(report))}</span></header>',
        _words(report),
        _cards(report),
        _plots(figures),
        _tables(report),
        _definitions(report),
    ]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(report.run)} – cdnlab report</title>",
            f"<style>{(_HERE / 'page.css').read_text()}</style></head><body><main>",
            *parts,
            "</main>",
            _embedded("report", report.to_json()),
            *((_embedded("figures", figures), *_scripts()) if figures else ()),
            "</body></html>\n",
        ]
    )


def _scripts() -> tuple[str, str]:
    try:
        from plotly.offline import get_plotlyjs
    except ModuleNotFoundError as error:
        raise ExtraMissing("plotly") from error
    return (f"<script>{get_plotlyjs()}</script>", f"<script>{(_HERE / 'page.js').read_text()}</script>")


def _embedded(name: str, values: Any) -> str:
    # "</" would end the script element from inside a string; "<!--" would change how the rest of it is read.
    text = json.dumps(values, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'


def _words(report: Report) -> str:
    first, *rest = words.sentences(report)
    player = words.player_sentence(report)
    found = [f'<p class="lead">{escape(first)}</p>']
    more = [text for text in (*rest, player) if text]
    if more:
        found.append('<ul class="more">' + "".join(f"<li>{escape(text)}</li>" for text in more) + "</ul>")
    if report.notes:
        found.append('<div class="notes">' + "".join(f"<p>{escape(note)}</p>" for note in report.notes) + "</div>")
    return "\n".join(found)


def _cards(report: Report) -> str:
    total, offload = report.total, report.offload
    segment = next((row for row in report.classes if row["object_class"] == "segment"), None)
    cards = [
        ("Hit rate", percent(total["hit_rate"]), f"{count(total['hits'])} of {count(total['cacheable'])}"),
        (
            "Segments hit",
            percent(segment["hit_rate"] if segment else None),
            f"{count(segment['hits'])} of {count(segment['cacheable'])}" if segment else "no segment was requested",
        ),
        ("Byte hit rate", percent(total["byte_hit_rate"]), f"{size(total['bytes_hit'])} from the caches"),
        (
            "Request offload",
            percent(offload["request_offload"]),
            f"{count(offload['origin_requests'])} requests reached the origin",
        ),
        ("Byte offload", percent(offload["byte_offload"]), f"{size(offload['origin_bytes'])} came from the origin"),
        (
            "Requests",
            count(total["requests"]),
            f"{size(total['bytes'])} sent" + (f", {count(total['refused'])} refused" if total["refused"] else ""),
        ),
    ]
    if report.players is not None and report.players.get("total") is not None:
        seen = report.players["total"]
        cards.append(
            (
                "Rebuffering",
                percent(seen["rebuffer_ratio"], 2),
                f"{count(seen['stalls'])} stalls, {count(seen['viewers'])} players",
            )
        )
    return (
        '<section class="cards">'
        + "".join(
            f'<div class="card"><span class="name">{escape(name)}</span><b>{escape(value)}</b>'
            f"<small>{escape(small)}</small></div>"
            for name, value, small in cards
        )
        + "</section>"
    )


def _plots(figures: dict[str, Any]) -> str:
    if not figures:
        return ""
    return (
        '<section class="plots">'
        + "".join(
            f'<figure><h3>{escape(_CAPTIONS[name][0])}</h3><p class="caption">{escape(_CAPTIONS[name][1])}</p>'
            f'<div class="plot" id="plot-{name}"></div></figure>'
            for name in figures
        )
        + "</section>"
    )


def _tables(report: Report) -> str:
    made = ["<h2>Hit rate by node and object class</h2>", _rates_table(report)]
    details = [_renditions(report), _causes(report), _times(report), *_upstream(report), *_troubles(report)]
    made += ["<h2>In detail</h2>", '<section class="tables">', *(table for table in details if table), "</section>"]
    if report.players is not None:
        made += ["<h2>What the players saw</h2>", _players(report.players)]
    top = _table(
        "The URLs with the most misses",
        "only URLs that missed more than once at a node: no cache can avoid the first miss",
        ["path", "misses", "causes", "at"],
        [[row["path"], count(row["misses"]), row["causes"], row["nodes"]] for row in report.top_misses],
        numbers=(1,),
        paths=(0,),
        wide=True,
    )
    return "\n".join([*made, "<h2>Where to look</h2>" if top else "", top])


def _renditions(report: Report) -> str:
    head = ["rendition", "requests", "hit rate", "bytes", "byte hit rate"]
    rows = []
    for row in report.renditions:
        rates = [_rate(row["hit_rate"]), size(row["bytes"]), _rate(row["byte_hit_rate"])]
        rows.append([row["rendition"], count(row["requests"]), *rates])
    return _table("By rendition", "viewers' requests", head, rows, numbers=(1, 3))


def _causes(report: Report) -> str:
    nodes = [row["node"] for row in report.nodes]
    rows = [
        [outcome, cause, words.MEANING.get(cause, ""), *map(count, requests.values())]
        for outcome, cause, requests in report.causes_by_node()
    ]
    what = "each miss, revalidation and pass has exactly one"
    numbers = range(3, 3 + len(nodes))
    return _table("Causes", what, ["outcome", "cause", "meaning", *nodes], rows, numbers=numbers)


def _times(report: Report) -> str:
    rows = [
        [row["node"], row["outcome"], count(row["requests"]), *(milliseconds(row[p]) for p in ("p50", "p90", "p99"))]
        for row in report.ttfb
    ]
    what = "from a request's arrival to its response head"
    head = ["node", "outcome", "requests", "p50", "p90", "p99"]
    return _table("Time to first byte", what, head, rows, numbers=(2, 3, 4, 5))


def _upstream(report: Report) -> list[str]:
    fetches = []
    for row in report.fetches:
        numbers = [count(row["fetches"]), count(row["failed"]), size(row["bytes"])]
        fetches.append([row["node"], "origin" if row["to_origin"] else "shield", row["purpose"], *numbers])
    again = [
        [row["node"], count(row["objects"]), count(row["fetches"]), count(row["repeated"]), count(row["most"])]
        for row in report.repeated
    ]
    statuses = [
        [row["node"], str(row["status"]), count(row["requests"]), size(row["bytes"])] for row in report.statuses
    ]
    what = "init sections and segments that a node missed; each should be fetched once"
    head = ["node", "to", "purpose", "fetches", "failed", "bytes"]
    return [
        _table("Fetches from the parent", "", head, fetches, numbers=(3, 4, 5)),
        _table(
            "Fetched from the origin", what, ["node", "objects", "fetches", "fetched again", "most"], again,
            numbers=(1, 2, 3, 4),
        ),
        _table(
            "Status", "0: the client left before a response", ["node", "status", "requests", "bytes"], statuses,
            numbers=(1, 2, 3),
        ),
    ]  # fmt: skip


def _troubles(report: Report) -> list[str]:
    refused = [
        [row["node"], str(row["status"]), row["reason"], row["country"] or "–", count(row["requests"])]
        for row in report.refusals
    ]
    failed = [[row["node"], str(row["status"]), row["reason"], count(row["requests"])] for row in report.failures]
    purges = []
    for row in report.purges:
        at = f"{row['at'] - (report.began or row['at']):+.1f} s"
        soft = "yes" if row["soft"] else "no"
        purges.append([at, row["node"], row["what"], row["value"], soft, count(row["purged"])])
    what = "the parent failed, and no stored response could be served instead"
    head = ["at", "node", "what", "value", "soft", "purged"]
    return [
        _table("Refused at the gate", "", ["node", "status", "reason", "country", "requests"], refused, numbers=(1, 4)),
        _table("Failed", what, ["node", "status", "reason", "requests"], failed, numbers=(1, 3)),
        _table("Purges", "", head, purges, numbers=(0, 5), paths=(3,)),
    ]


def _rates_table(report: Report) -> str:
    head = ["node", "class", "requests", "hit rate", "hits", "misses", "revalidated", "pass", "refused", "failed"]
    head += ["byte hit rate", "bytes"]
    rows: list[Sequence[str]] = []
    sums: set[int] = set()
    for node in report.nodes:
        for row in report.node_classes:
            if row["node"] == node["node"]:
                rows.append([node["node"], row["object_class"], *_rates(row)])
        sums.add(len(rows))
        rows.append([node["node"], f"all ({node['role']})", *_rates(node)])
    return _table("", "", head, rows, numbers=(2, 4, 5, 6, 7, 8, 9, 11), sums=sums, wide=True)


def _rates(row: Row) -> list[str]:
    numbers = [count(row[name]) for name in ("hits", "misses", "revalidated", "passed", "refused", "failed")]
    return [count(row["requests"]), _rate(row["hit_rate"]), *numbers, _rate(row["byte_hit_rate"]), size(row["bytes"])]


class _Html(str):
    """Text that is already markup."""

    __slots__ = ()


def _rate(share: float | None) -> str:
    """A share as a number in front of a bar."""
    if share is None:
        return "–"
    return _Html(f'<div class="rate" style="--share:{100 * share:.2f}%">{percent(share)}</div>')


def _players(players: Row) -> str:
    def spread(values: dict[str, float] | None, unit: str) -> str:
        return "–" if not values else f"{values['p50']:g} / {values['p99']:g} {unit}"

    rows = [
        [
            row["edge"], row["rendition"] or "(none chosen)", count(row["viewers"]), spread(row["startup_ms"], "ms"),
            count(row["stalls"]), percent(row["rebuffer_ratio"], 2), spread(row["live_latency"], "s"),
            count(row["jumps"]), percent(row["hit_share"]), count(sum(row["failures"].values())),
            size(row["bytes"]),
        ]
        for row in players.get("renditions", [])
    ]  # fmt: skip
    head = ["edge", "rendition", "players", "startup p50 / p99", "stalls", "rebuffering", "behind live p50 / p99"]
    head += ["jumps", "hit share seen", "failed", "bytes"]
    generator = players.get("generator") or {}
    what = f"load generator: {percent(generator.get('cpu_share'), 0)} of a core" if generator else ""
    return _table("", what, head, rows, numbers=(2, 3, 4, 5, 6, 7, 8, 9, 10), wide=True)


def _table(
    title: str,
    what: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Iterable[int] = (),
    paths: Iterable[int] = (),
    sums: Iterable[int] = (),
    wide: bool = False,
) -> str:
    """A table; "" without rows. `numbers` and `paths` are column indices, `sums` row indices."""
    if not rows:
        return ""
    style = dict.fromkeys(numbers, ' class="n"') | dict.fromkeys(paths, ' class="path"')
    strong = set(sums)

    def cell(i: int, value: str) -> str:
        return f"<td{style.get(i, '')}>{value if isinstance(value, _Html) else escape(value)}</td>"

    body = "".join(
        ('<tr class="sum">' if n in strong else "<tr>")
        + "".join(cell(i, value) for i, value in enumerate(row))
        + "</tr>"
        for n, row in enumerate(rows)
    )
    place = "table wide" if wide else "table"
    top = f"<h3>{escape(title)}</h3>" if title else ""
    top += f'<p class="caption">{escape(what)}</p>' if what else ""
    aligned = dict.fromkeys(numbers, ' class="n"')
    headings = "".join(f"<th{aligned.get(i, '')}>{escape(name)}</th>" for i, name in enumerate(head))
    return f'<div class="{place}">{top}<table><thead><tr>{headings}</tr></thead><tbody>{body}</tbody></table></div>'


def _definitions(report: Report) -> str:
    items = "".join(
        f"<dt>{escape(name.replace('_', ' ').capitalize())}</dt><dd>{escape(text)}</dd>"
        for name, text in report.definitions.items()
    )
    return f"<h2>How it is counted</h2><dl>{items}</dl>"
