"""`cdnlab latency` on a terminal: a row for each stage."""

from typing import Any

from rich.table import Table
from rich.text import Text

from cdnlab.screen import terminal

_WHAT = {
    "encoder": "from a picture's capture until the origin has all of its part",
    "origin": "until the origin gives it out",
    "player": "until it is played, at the distance that the playlist asks for",
}
_BY = {
    "prft": "Captured: what the encoder says (prft).",
    "program date-time": "Captured: program date-times, which count from the encoder's first fragment: how long the "
    "encoder took with it is not in them.",
    "timeline": "Captured: the manifest's timeline, which counts from the encoder's first fragment: how long the "
    "encoder took with it is not in it.",
}


def show(facts: dict[str, Any]) -> None:
    """Prints what `cdnlab latency --json` says."""
    console = terminal.console()
    console.print(Text(f"{facts['url']}, {facts['protocol']}, {facts['units']} measured"), soft_wrap=True)
    table = Table.grid(padding=(0, 3, 0, 0))
    width = max(len(row["stage"]) for row in (*facts["stages"], {"stage": "end to end"}))
    table.add_column(no_wrap=True, min_width=width)
    for _ in range(3):
        table.add_column(justify="right", no_wrap=True, min_width=9)
    table.add_column(overflow="fold")
    table.add_row(*(Text(name, style="dim") for name in ("stage", "mean", "least", "most", "")))
    for row in facts["stages"]:
        table.add_row(Text(row["stage"]), *_numbers(row), Text(_WHAT.get(row["stage"], "until this node gives it out")))
    table.add_row(*(Text(one, style="bold") for one in ("end to end", *_numbers(facts["end_to_end"]), "")))
    console.print(table)
    console.print(Text(_BY[facts["captured_by"]], style="dim"))


def _numbers(row: dict[str, Any]) -> list[str]:
    return [f"{row[name]:,.0f} ms" for name in ("mean_ms", "least_ms", "most_ms")]
