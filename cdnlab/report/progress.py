"""How far DuckDB has come with reading the records: it says so to another thread, as a share of their bytes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

EVERY_S = 0.1

OnRead = Callable[[float], None]
"""Called with the share that is read, from 0 to 1; from another thread."""


@contextmanager
def watched(db: "DuckDBPyConnection", on_read: OnRead) -> Iterator[None]:
    """Call `on_read` again and again while the query of this context runs, and with 1 when it is done."""
    db.execute("SET enable_progress_bar = true")  # without it, the share is not counted
    db.execute("SET enable_progress_bar_print = false")
    over = Event()

    def watch() -> None:
        while not over.wait(EVERY_S):
            # Percent; -1: not known yet.
            on_read(min(1.0, max(0.0, db.query_progress() / 100)))

    thread = Thread(target=watch, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    on_read(1.0)
