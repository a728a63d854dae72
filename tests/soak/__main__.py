"""`python -m tests.soak --seconds 600`: exit status 0 when all held."""

import argparse
import asyncio
import sys
from pathlib import Path

from rich.console import Console

from tests.soak.run import soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="about how long")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the run's folder is made")
    wanted = parser.parse_args()
    console = Console()
    soaked = asyncio.run(soak(wanted.seconds, wanted.runs, console))
    for note in soaked.notes:
        console.print(note, highlight=False, markup=False, soft_wrap=True)
    for complaint in soaked.complaints[:20]:
        console.print(complaint, style="red", highlight=False, markup=False, soft_wrap=True)
    if len(soaked.complaints) > 20:
        console.print(f"and {len(soaked.complaints) - 20} more", style="red")
    return 1 if soaked.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
