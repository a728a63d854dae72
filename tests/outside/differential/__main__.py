"""`python -m tests.outside.differential`: what differs, as the rows of docs/differences.md."""

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.outside.differential.run import differing, known, play_three


def main() -> int:
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    with tempfile.TemporaryDirectory() as folder:
        rows = differing(*asyncio.run(play_three(Path(folder), seed)))
    told = known()
    for place, cells in rows.items():
        why = told[place].why if place in told and told[place].seen == cells else "?"
        print(f"| {' | '.join((*place, *cells, why))} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
