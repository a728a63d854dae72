"""The bar of a task that takes a while: how far it is, and how long it will take."""

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from cdnlab.screen import terminal


def bar(*, hidden: bool = False) -> Progress:
    """On standard error, and gone when the task is done; nothing is shown where that is no terminal."""
    console = terminal.console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=hidden or not console.is_terminal)
