"""One mutant, tried: in a copy of the tree, by the tests nearest to it, until the first of them fails.

NOTICED    a test failed that passes without the fault, or hung
SURVIVED   every test passed
UNDECIDED  the time was up before the tests were through
UNTESTED   no test module imports the file
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tests.mutants.places import Mutant

SKIPPED = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "runs", "node_modules")
ATTEMPTS = 4
"""For one mutant: each but the last leaves out a test that fails without the fault too."""
TEST_TIMEOUT = 30
"""Seconds for one test; it then counts as one that hangs."""


class Verdict(Enum):
    NOTICED = "noticed"
    SURVIVED = "survived"
    UNDECIDED = "undecided"
    UNTESTED = "untested"


@dataclass(frozen=True, slots=True)
class Trial:
    mutant: Mutant
    verdict: Verdict
    by: str = ""


class Workshop:
    """A copy of the tree; the tree itself is never changed."""

    def __init__(self, root: Path, copy: Path, limit: float) -> None:
        self.copy = copy
        self.limit = limit
        self.broken: set[str] = set()
        self.sound: set[str] = set()
        """Tests that pass without a fault."""
        self.child: subprocess.Popen[bytes] | None = None
        self.stopped = False
        shutil.copytree(root, copy, ignore=SKIPPED, symlinks=True)

    def try_one(self, mutant: Mutant, tests: list[str]) -> Trial:
        if not tests:
            return Trial(mutant, Verdict.UNTESTED)
        for _ in range(ATTEMPTS):
            verdict, by = self.run_mutated(mutant, tests)
            if verdict is not Verdict.NOTICED or self.stopped:
                return Trial(mutant, verdict, by)
            # A test that fails without the fault too is left out from then on. Where none is named, it was a hang, or
            # the machine's own trouble, which does not come every time.
            named = by.partition("::")[0] in tests
            if by in self.sound or (named and self.run([by])[0] is not Verdict.NOTICED):
                self.sound.add(by)
                return Trial(mutant, verdict, by)
            if named:
                self.broken.add(by)
        return Trial(mutant, Verdict.UNDECIDED if named else verdict, by)

    def run_mutated(self, mutant: Mutant, tests: list[str]) -> tuple[Verdict, str]:
        path = self.copy / mutant.file
        whole = path.read_bytes()
        try:
            self.write(path, mutant.applied(whole))
            return self.run(tests)
        finally:
            self.write(path, whole)

    def stop(self) -> None:
        """End the tests that run now, and all that they have started; no others are begun."""
        self.stopped = True
        self.end_child()

    def end_child(self) -> None:
        if self.child is not None and self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGKILL)

    @staticmethod
    def write(path: Path, data: bytes) -> None:
        """A file written twice within a second has one date: what was compiled from it must go with it."""
        path.write_bytes(data)
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
            compiled.unlink()

    def run(self, tests: list[str]) -> tuple[Verdict, str]:
        """The verdict of some tests on the copy as it stands, and the test that failed first."""
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "-p",
            "no:cacheprovider",
            "--no-header",
            "--tb=no",
            "-rfE",
        ]
        command += ["-m", "not slow", "--timeout", str(TEST_TIMEOUT)]
        command += [f"--deselect={test}" for test in sorted(self.broken) if "::" in test]
        command += [test for test in tests if test not in self.broken]
        surroundings = os.environ | {
            "PYTHONPATH": str(self.copy),
            "PYTHONHASHSEED": "0",
            "COLUMNS": "400",
        }
        # A session of its own, so that its end is the end of all that it started.
        self.child = child = subprocess.Popen(
            command, cwd=self.copy, env=surroundings, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            output = child.communicate(timeout=self.limit)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            return Verdict.UNDECIDED, f"{self.limit:g} s were not enough"
        finally:
            self.end_child()
            child.wait()
        if child.returncode in (0, 5):
            return Verdict.SURVIVED, ""
        failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", output, re.MULTILINE)
        hung = "+++ Timeout +++" in output
        return Verdict.NOTICED, failed[1] if failed else "a test that hangs" if hung else output.strip()[-300:]
