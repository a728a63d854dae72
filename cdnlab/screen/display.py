"""The screen of `cdnlab up`: a table that is kept current on a terminal, plain lines anywhere else."""

import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cdnlab.client.signing import signed
from cdnlab.lab.cluster import Cluster, Event
from cdnlab.lab.process import State

_STYLE = {
    State.STARTING: "dim",
    State.READY: "green",
    State.RESTARTING: "yellow",
    State.ENDED: "blue",
    State.FAILED: "red",
    State.STOPPED: "dim",
}


class Display(AbstractContextManager["Display"]):
    """Shows the cluster's events."""

    def __init__(self, console: Console, *, verbose: bool) -> None:
        self._console = console
        self._verbose = verbose
        self._states: dict[str, State] = {}
        self._urls: dict[str, str] = {}
        self._progress: dict[str, str] = {}
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def pause(self) -> None:
        """Leaves the terminal to another progress bar; lines still appear."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, line: str, style: str = "") -> None:
        """Prints a line that stays on the screen."""
        self._console.print(line, style=style, soft_wrap=True)

    def on_event(self, event: Event) -> None:
        """Shows one event."""
        detail = event.detail
        if event.state is not None:
            self._states[event.process] = event.state
            self._progress.pop(event.process, None)
        match event.state:
            case State.READY:
                self._urls[event.process] = "  ".join(
                    str(detail[name]) if name == "url" else f"{name} {detail[name]}"
                    for name in ("url", "https", "admin", "ingest")
                    if name in detail
                )
                if self._live is None:
                    self.say(f"{event.process}: ready  {self._urls[event.process]}".rstrip())
            case State.RESTARTING:
                self.say(f"{event.process}: {detail['why']}; restarted in {detail['pause']:g} s", "yellow")
            case State.ENDED:
                self.say(f"{event.process}: ended")
            case None:
                self._message(event)
            case _:
                pass
        self._refresh()

    def urls(self, cluster: Cluster) -> None:
        """Prints the URLs to play, signed where the gate wants a token, and the run folder."""
        for stream in cluster.document.streams:
            for name, edge in (*cluster.edge_urls().items(), *cluster.https_urls().items()):
                plain = f"{edge}/{stream.name}/multivariant.m3u8"
                url = signed(cluster.document, plain, expires_at=int(time.time()) + 86_400)
                self.say(f"  play at {name}: {url}" + ("  (signed, good for a day)" if url != plain else ""))
        self.say(f"  run folder: {cluster.folder.path}")

    def _message(self, event: Event) -> None:
        text = str(event.detail.get("text", ""))
        if event.detail.get("routine"):
            self._progress[event.process] = text
        elif event.detail.get("important", True) or self._verbose:
            self.say(f"{event.process}: {text}")

    def _refresh(self) -> None:
        if self._live is None:
            return
        table = Table(box=None, pad_edge=False, show_header=False)
        for name, state in self._states.items():
            shown = self._progress.get(name) or self._urls.get(name, "")
            # Texts, not markup: names and messages may hold brackets.
            table.add_row(Text(name), Text(str(state), _STYLE[state]), Text(shown))
        self._live.update(table, refresh=True)
