"""The `cdnlab` command: its verbs, and the one place that turns an error into a message and an exit status.

Exit status: 0 done, 1 tried and failed, 2 bad usage or settings, 3 not yet carried out on every node (purge), 130 ended
by Ctrl-C. The verbs are in `cdnlab.commands`. Each imports what it needs when it runs, so `cdnlab --help` and
`cdnlab edge` need no media, load or report packages.
"""

import os
import sys
import traceback
from typing import Annotated, Any, NoReturn

import typer

from cdnkit.units import visible
from cdnlab import __version__
from cdnlab.commands import (
    ca,
    demo,
    doctor,
    edge,
    explain,
    init,
    latency,
    load,
    origin,
    purge,
    recordings,
    replay,
    report,
    schema,
    sign,
    transcode,
    up,
)
from cdnlab.errors import FAILED, INTERRUPTED, exit_status, missing_extra

app = typer.Typer(
    name="cdnlab",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="First steps: [bold]cdnlab demo[/], or [bold]cdnlab init[/] and then [bold]cdnlab up[/].",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"cdnlab {__version__}")
        raise typer.Exit


@app.callback()
def cdnlab(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """A CDN that runs on your laptop: a live origin, shields and edge caches, and the cause of every miss."""


VERBS = (
    up,
    demo,
    edge,
    origin,
    transcode,
    init,
    schema,
    ca,
    explain,
    purge,
    recordings,
    sign,
    load,
    latency,
    report,
    replay,
    doctor,
)
"""In the order of `cdnlab --help`: the cluster, single parts, settings, querying a running cluster, measuring."""

for verb in VERBS:
    verb.register(app)


OURS = ("cdnkit", "transcode", "origin", "edge", "loadtests", "cdnlab")
"""Packages whose errors have messages written for users."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run one command line and exit with its status. Only with CDNLAB_DEBUG is a traceback printed."""
    sys.exit(_status(arguments))


def _status(arguments: list[str] | None) -> int:
    try:
        result = app(arguments, standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) closed the pipe. Nothing more may be flushed into it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("CDNLAB_DEBUG"):
            traceback.print_exc()
        return _explained(error)


def _explained(error: Any) -> int:
    """Print an error on standard error; return its exit status."""
    # typer's own usage errors know how to show themselves (its click is its own copy in some versions).
    if callable(getattr(error, "show", None)) and isinstance(getattr(error, "exit_code", None), int):
        error.show()
        return int(error.exit_code)
    if isinstance(error, ModuleNotFoundError) and (extra := missing_extra(error)) is not None:
        error = extra
    if type(error).__module__.partition(".")[0] in OURS:
        _complain(str(error))
        return exit_status(error)
    if isinstance(error, OSError):
        _complain(f"{error.filename or 'the system'}: {error.strerror or error}")
        return FAILED
    _complain(
        f"a fault in cdnlab itself: {type(error).__name__}: {error}\n"
        "Please report it. Set CDNLAB_DEBUG=1 in the environment to get the traceback, and include it."
    )
    return FAILED


def _complain(text: str) -> None:
    first, _, rest = text.partition("\n")
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    label = "\x1b[31merror:\x1b[0m" if colour else "error:"
    # The text may quote input from outside: a file name, a URL.
    print(f"{label} {visible(first)}", file=sys.stderr)
    for line in rest.splitlines():
        print(f"       {visible(line)}", file=sys.stderr)
