"""The report on a terminal: hit rates, causes, refusals, offload, and what the players saw."""

from collections.abc import Callable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cdnlab.report import words
from cdnlab.report.facts import Report
from cdnlab.report.run_files import Row
from cdnlab.report.words import count, percent, size

MOST_REFUSALS = 10
"""Rows of refusals; the page has all."""


def show(report: Report, console: Console) -> None:
    """Print the report's tables; everything else is on the page and in the JSON."""
    for note in report.notes:
        console.print(Text.assemble(("note:", "yellow"), f" {note}"))
    if report.began is not None:
        console.print(Text(words.period(report)))
    if report.total["requests"]:
        console.print(hit_rates(report, wide=console.width >= 125))
        if report.causes:
            console.print(causes(report))
    for sentence in [*words.sentences(report), words.player_sentence(report)]:
        if sentence:
            console.print(Text(sentence))
    if report.total["refused"]:
        console.print(refusals(report))
    offload = report.offload
    if offload["edge_requests"]:
        reached = f"({count(offload['origin_requests'])} of {count(offload['edge_requests'])} reached it)"
        console.print(
            Text.assemble(
                "Origin offload: ", (percent(offload["request_offload"]), "bold"), f" of requests {reached}, ",
                (percent(offload["byte_offload"]), "bold"), " of bytes.",
            )
        )  # fmt: skip


def hit_rates(report: Report, *, wide: bool) -> Table:
    """Rows: node x object class, then the node's sum. Not `wide`: the columns that fit 80 characters."""
    table = Table(title="Hit rate", title_justify="left", header_style="bold", pad_edge=False)
    columns = [column for column in _COLUMNS if wide or column[2]]
    for name in ("node", "class"):
        table.add_column(name, no_wrap=True)
    for name, _, _ in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for node in report.nodes:
        for row in report.node_classes:
            if row["node"] == node["node"]:
                table.add_row(node["node"], row["object_class"], *(cell(row) for _, cell, _ in columns))
        cells = (cell(node) for _, cell, _ in columns)
        table.add_row(node["node"], f"all ({node['role']})", *cells, style="bold", end_section=True)
    return table


def causes(report: Report) -> Table:
    """Misses, revalidations and passes by cause, one column a node."""
    table = Table(title="Why", title_justify="left", header_style="bold", pad_edge=False)
    for name in ("outcome", "cause", "meaning"):
        table.add_column(name, no_wrap=name != "meaning")
    for node in report.nodes:
        table.add_column(node["node"], justify="right", no_wrap=True)
    for outcome, cause, requests in report.causes_by_node():
        table.add_row(outcome, cause, words.MEANING.get(cause, ""), *map(count, requests.values()))
    return table


def refusals(report: Report) -> Table:
    """The most common refusals: where, with what, why."""
    table = Table(title="Refused at the gate", title_justify="left", header_style="bold", pad_edge=False)
    for name in ("node", "status", "reason", "country"):
        table.add_column(name, no_wrap=name != "reason")
    table.add_column("requests", justify="right", no_wrap=True)
    for row in report.refusals[:MOST_REFUSALS]:
        cells = (row["node"], str(row["status"]), row["reason"], row["country"] or "–", count(row["requests"]))
        table.add_row(*map(Text, cells))
    rest = sum(row["requests"] for row in report.refusals[MOST_REFUSALS:])
    if rest:
        table.add_row("", "", "others, in report.json", "", count(rest))
    return table


def _rate(row: Row) -> Text:
    rate = row["hit_rate"]
    colour = "" if rate is None else "green" if rate >= 0.95 else "yellow" if rate >= 0.8 else "red"
    return Text(percent(rate), style=colour)


def _number(name: str) -> Callable[[Row], str]:
    return lambda row: count(row[name])


_COLUMNS: tuple[tuple[str, Callable[[Row], str | Text], bool], ...] = (
    ("requests", _number("requests"), True),
    ("hit rate", _rate, True),
    ("hits", _number("hits"), False),
    ("misses", _number("misses"), True),
    ("reval.", _number("revalidated"), False),
    ("pass", _number("passed"), False),
    ("refused", _number("refused"), False),
    ("failed", _number("failed"), False),
    ("bytes hit", lambda row: percent(row["byte_hit_rate"]), True),
    ("bytes", lambda row: size(row["bytes"]), True),
)
"""Heading, cell, and whether a narrow terminal shows it too."""
