"""`python -m tests.soak.origin --seconds 600`: exit status 0 when all held."""

import argparse
import asyncio
import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp

from tests.soak.origin.run import soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.origin", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="about how long, 60 at least")
    parser.add_argument("--seed", type=int, default=1, help="of the faults' order")
    parser.add_argument("--keep", action="store_true", help="leave the folder")
    given = parser.parse_args()
    folder = Path(mkdtemp(prefix="soak-origin-"))
    print(folder, flush=True)
    soaked = asyncio.run(soak(folder, given.seconds, seed=given.seed))
    print("\n".join([*soaked.notes, *soaked.complaints[:40]]))
    print(f"{len(soaked.complaints)} complaints")
    if not given.keep and not soaked.complaints:
        shutil.rmtree(folder)
    return 1 if soaked.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
