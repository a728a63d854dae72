"""Texts reach the terminal as they are: brackets are no markup, and `:key:` is no picture."""

import ast
import io
import re
from pathlib import Path

import pytest
import typer.main
from rich.console import Console
from rich.table import Table
from rich.text import Text

import cdnlab
import loadtests
from cdnlab.cli import app
from cdnlab.lab.cluster import Event
from cdnlab.lab.process import State
from cdnlab.screen import terminal
from cdnlab.screen.display import Display
from cdnlab.tasks import doctor
from cdnlab.tasks.doctor import Finding

ODD = [
    "pip install 'cdnlab[ffmpeg]'",
    "[[node]] [/] [bold]x[/bold]",
    ":key: :smile:",
    "runs/[red]/:bomb:.jsonl",
    "\\[a]",
]


def wide(file: io.StringIO) -> Console:
    made = terminal.console()
    made.file, made.width = file, 200
    return made


@pytest.mark.parametrize("text", ODD)
def test_a_text_is_a_text(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    console = wide(out)
    monkeypatch.setattr(doctor.terminal, "console", lambda: console)
    doctor._show([Finding(text, state, text, text) for state in doctor.State])
    assert out.getvalue().count(text) == 9
    display = Display(console, verbose=False)
    display.say(text, "red")
    display.on_event(Event(text, State.RESTARTING, {"why": text, "pause": 1.0}))
    display.on_event(Event("fra", None, {"text": text}))
    assert out.getvalue().count(text) == 13


def test_no_help_loses_a_word_to_its_markup() -> None:
    """In texts of options a bracket is a bracket; in epilogs [bold] marks what can be typed."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name, command in commands.items():
        texts = [command.help, *(getattr(one, "help", None) for one in command.params)]
        for text in filter(None, texts):
            assert Text.from_markup(text).plain == text.replace("\\[", "["), f"{name}: {text!r}"
        epilog = command.epilog.replace("[bold]", "").replace("[/]", "")
        assert Text.from_markup(command.epilog).plain == epilog, f"{name}: {epilog!r}"


def test_every_console_is_made_in_one_place() -> None:
    """And a column of a progress bar, which has a switch of its own, takes no markup either."""
    for package in (cdnlab, loadtests):
        for file in Path(package.__path__[0]).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
                assert called != "Console" or file.name == "terminal.py", f"{file}:{node.lineno}"  # type: ignore[attr-defined]
                if called == "TextColumn":
                    assert any(one.arg == "markup" for one in node.keywords), f"{file}:{node.lineno}"  # type: ignore[attr-defined]


@pytest.mark.parametrize("colour", [True, False])
def test_no_text_steers_the_terminal(colour: bool) -> None:
    evil = "a\x1b]0;owned\x07b\x1b[2J\x9b1mc\u202ed\x7f\ttwo\nlines"
    made = terminal.console()
    made.file, made.width, made._force_terminal = (out := io.StringIO()), 200, colour
    table = Table("head")
    table.add_row(evil)
    made.print(evil)
    made.print(Text(evil, "red"), soft_wrap=True)
    made.print(table)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert not set("\x1b\x07\x9b\u202e\x7f") & set(shown)
    assert shown.count(r"a\x1b]0;owned") == 3 and shown.count(r"b\x1b[2J\x9b1mc\u202ed\x7f") >= 2
