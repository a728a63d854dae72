"""A bar is for people: it is shown on a terminal alone."""

import io

import pytest

from cdnlab.screen import terminal
from cdnlab.screen.bar import bar

SHOWN = [  # is a terminal, hidden, shown
    (True, False, True),
    (True, True, False),
    (False, False, False),
]


@pytest.mark.parametrize(("is_terminal", "hidden", "shown"), SHOWN)
def test_where_a_bar_is_shown(is_terminal: bool, hidden: bool, shown: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    console = terminal._Console(file=(out := io.StringIO()), force_terminal=is_terminal, width=100)
    monkeypatch.setattr(terminal, "console", lambda *, stderr: console)
    with bar(hidden=hidden) as one:
        one.update(one.add_task("[bold]reading", total=10), completed=5)
        one.refresh()
    assert ("[bold]reading" in out.getvalue() and "50%" in out.getvalue()) == shown
