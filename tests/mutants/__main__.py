"""`python -m tests.mutants --seed 1 --number 20`: would the tests notice?

Small faults are put into a copy of the source, one at a time, and the test modules nearest to each run against it. What
survives is printed as file, line, before, after: it asks for a row in a table, or for a line in `equivalents.toml` with
the reason why nobody could tell. A maintained tool that judges every mutant by one fixed command would cost minutes for
each here; this one draws a sample by seed, and asks the nearest tests alone.
"""

import argparse
import signal
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.mutants.nearest import Nearest
from tests.mutants.places import Mutant
from tests.mutants.sample import PACKAGES, all_mutants, package_of, sample
from tests.mutants.trial import Trial, Verdict, Workshop

ROOT = Path(__file__).parents[2]
SOURCES = ("cdnkit", "edge", "origin", "transcode", "loadtests", "cdnlab")


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--number", type=int, default=20)
    options.add_argument(
        "--package", action="append", help=f"only this folder or file; without it {', '.join(PACKAGES)}"
    )
    options.add_argument("--limit", type=float, default=120.0, help="seconds for the tests of one mutant")
    options.add_argument("--jobs", type=int, default=2, help="mutants at a time, each in a copy of its own")
    options.add_argument("--list", action="store_true", help="print the mutants and their tests; try none")
    given = options.parse_args()
    for ending in (signal.SIGINT, signal.SIGTERM):  # both leave no copy and no test behind
        signal.signal(ending, lambda *_: sys.exit(130))
    packages = tuple(given.package or PACKAGES)
    if missing := [name for name in packages if not (ROOT / name).exists()]:
        options.error(f"--package: found {missing[0]!r}, wanted a folder of the source, such as edge or cdnkit/policy")
    chosen = sample(all_mutants(ROOT, packages), given.number, given.seed)
    nearest = Nearest(ROOT, SOURCES)
    console = Console(highlight=False, soft_wrap=True)
    if given.list:
        for mutant in chosen:
            show(console, mutant)
            console.print("  by", ", ".join(nearest.of(mutant)) or "no test", markup=False)
        return 0
    trials = try_all(console, chosen, nearest, given.jobs, given.limit)
    report(console, trials, given.seed)
    return 0


def try_all(console: Console, mutants: list[Mutant], nearest: Nearest, jobs: int, limit: float) -> list[Trial]:
    """Every mutant's trial, in the order of the sample."""
    done: dict[Mutant, Trial] = {}
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    )
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, ThreadPoolExecutor(jobs) as pool, bar:
        workshops = [Workshop(ROOT, Path(folder) / f"tree-{number}", limit) for number in range(jobs)]
        free: SimpleQueue[Workshop] = SimpleQueue()
        for workshop in workshops:
            free.put(workshop)

        def try_one(mutant: Mutant) -> Trial:
            workshop = free.get()
            try:
                return workshop.try_one(mutant, nearest.of(mutant))
            finally:
                free.put(workshop)

        task = bar.add_task("mutants", total=len(mutants))
        try:
            for future in as_completed([pool.submit(try_one, mutant) for mutant in mutants]):
                trial = future.result()
                done[trial.mutant] = trial
                noticed = sum(one.verdict is Verdict.NOTICED for one in done.values())
                bar.update(task, advance=1, description=f"{noticed} of {len(done)} noticed")
                if not console.is_terminal:  # a log has no bar
                    console.print(
                        f"{noticed} of {len(done)} noticed; {trial.mutant.file}:{trial.mutant.line} by {trial.by}",
                        markup=False,
                    )
                if trial.verdict is not Verdict.NOTICED:
                    show(console, trial.mutant, trial.verdict.value)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for workshop in workshops:
                workshop.stop()
            raise
    return [done[mutant] for mutant in mutants]


def show(console: Console, mutant: Mutant, verdict: str = "") -> None:
    console.print(f"{mutant.file}:{mutant.line}: {mutant.kind} {verdict}".rstrip(), style="bold", markup=False)
    console.print(f"  - {mutant.before}\n  + {mutant.after}", markup=False)


def report(console: Console, trials: list[Trial], seed: int) -> None:
    """The share that was noticed, by package; what was undecided counts on neither side."""
    judged, noticed = Counter[str](), Counter[str]()
    for trial in trials:
        for name in (package_of(trial.mutant), "all"):
            judged[name] += trial.verdict is not Verdict.UNDECIDED
            noticed[name] += trial.verdict is Verdict.NOTICED
    console.print(f"\nseed {seed}, {len(trials)} mutants")
    for name in (*(name for name in sorted(judged) if name != "all"), "all"):
        if judged[name]:
            console.print(f"  {name:<16}{noticed[name]:>4} of {judged[name]:<4}{noticed[name] / judged[name]:>6.0%}")


if __name__ == "__main__":
    sys.exit(main())
