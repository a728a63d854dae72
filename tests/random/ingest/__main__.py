"""`python -m tests.random.ingest --seconds 600`: random ingest requests until the time is up, or something is wrong."""

import argparse
import logging
import sys
import time
from random import Random

from tests.random.ingest.bodies import Case, some_case
from tests.random.ingest.world import minimised, wrong_with


def part_of(seed: int) -> float | None:
    """Some of the streams are of low latency."""
    return 0.25 if seed % 3 == 0 else None


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.random.ingest", description=__doc__)
    options.add_argument("--seconds", type=float, default=600.0)
    options.add_argument("--seed", type=int, default=None, help="the first seed; without one, the time")
    options.add_argument("--kinds", type=int, default=6, help="stop after so many kinds of wrong")
    given = options.parse_args()
    logging.getLogger("origin").setLevel(logging.CRITICAL)
    seed = first = given.seed if given.seed is not None else int(time.time()) * 1000
    print(f"first seed {first}, {given.seconds:g} s", flush=True)
    found: dict[str, tuple[int, Case]] = {}
    began = time.monotonic()
    while time.monotonic() - began < given.seconds and len(found) < given.kinds:
        case = some_case(Random(seed))
        wrong = wrong_with(case, part=part_of(seed))
        kind = (wrong or "").partition(":")[0]
        if wrong is not None and kind not in found:
            found[kind] = (seed, case)
            print(f"seed {seed}: {wrong}", flush=True)
        seed += 1
    spent = time.monotonic() - began
    print(f"{seed - first} cases in {spent:.1f} s, {(seed - first) / spent:.0f} a second")
    for kind, (at, case) in found.items():
        small = minimised(case, part=part_of(at))
        print(f"\n# {kind}, seed {at}: {wrong_with(small, part=part_of(at))}")
        print(f"({', '.join(map(repr, small))},)  # part={part_of(at)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
