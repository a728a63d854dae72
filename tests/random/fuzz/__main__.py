"""`python -m tests.random.fuzz --seconds 600`: random lives and random bytes until the time is up or something is wrong."""

import argparse
import sys
import time
from collections import Counter
from random import Random

from tests.random.fuzz.field_values import PARSERS, some_value, wrong_with
from tests.random.fuzz.minimise import kind_of, minimised, playbook
from tests.random.fuzz.open_findings import OPEN
from tests.random.fuzz.steps import Step, some_case
from tests.random.fuzz.world import World


def start_of(seed: int) -> World:
    """Most lives have room for all; some have to evict."""
    return World(room=6 * 1024 if seed % 5 == 0 else 2**20)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=600.0)
    options.add_argument("--seed", type=int, default=None, help="the first seed; without one, the time")
    options.add_argument("--kinds", type=int, default=20, help="stop after so many kinds of wrong")
    options.add_argument("--open", action="store_true", help="report the findings of open_findings.py too")
    given = options.parse_args()
    first = given.seed if given.seed is not None else int(time.time()) * 1000
    print(f"fuzz: first seed {first}, {given.seconds:g} s", flush=True)
    found: dict[str, tuple[int, list[Step]]] = {}
    count: Counter[str] = Counter()
    began = time.monotonic()
    seed, values = first, 0
    bad_values: dict[str, str] = {}
    while time.monotonic() - began < given.seconds and len(found) < given.kinds:
        chance = Random(seed)
        steps = some_case(chance)
        kind = kind_of(steps, lambda: start_of(seed))  # noqa: B023
        if kind is not None:
            count[kind] += 1
            if kind not in found and (given.open or kind not in OPEN):
                found[kind] = (seed, steps)
                print(f"found {kind} at seed {seed}", flush=True)
        if seed % 4 == 0:
            text = some_value(chance)
            for name in PARSERS:
                values += 1
                wrong = wrong_with(name, text)
                if wrong is not None and name not in bad_values and (given.open or f"field {name}" not in OPEN):
                    bad_values[name] = wrong
                    print(f"found {name}: {wrong} at seed {seed}: {text[:80]!r}", flush=True)
        seed += 1
    spent = time.monotonic() - began
    lives = seed - first
    print(
        f"{lives} lives, {values} field values in {spent:.1f} s, {lives / spent:.0f} lives a second; wrong: {dict(count)}"
    )
    for number, (kind, (at, steps)) in enumerate(found.items()):
        small = minimised(steps, lambda: start_of(at))  # noqa: B023
        print(f"\n# {kind}, seed {at}")
        print(playbook(small, lambda: start_of(at), f"fuzz_{number}"))  # noqa: B023
    return 1 if found or bad_values else 0


if __name__ == "__main__":
    sys.exit(main())
