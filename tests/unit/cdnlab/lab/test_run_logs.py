"""A run's logs have a bound, also while a process writes on."""

import subprocess
import sys
from pathlib import Path

from cdnlab.lab.run_logs import cut

BOUND = 1000


def test_a_process_writes_on_in_the_log_that_was_cut(tmp_path: Path) -> None:
    log = tmp_path / "fra.log"
    echo = "import sys\nfor line in sys.stdin: print(line, end='', file=sys.stderr, flush=True)\nprint('.', flush=True)"
    with log.open("ab") as file:
        child = subprocess.Popen(
            [sys.executable, "-uc", echo], stdin=subprocess.PIPE, stderr=file, stdout=-1, text=True
        )
    assert child.stdin is not None
    try:
        said = 0
        for number in range(500):
            child.stdin.write(f"line {number}\n")
            child.stdin.flush()
            said += len(f"line {number}\n")
            if number == 399:
                while log.stat().st_size < said:
                    assert child.poll() is None
                cut(tmp_path, BOUND)
    finally:
        child.communicate(timeout=60)
    assert log.read_text() == "".join(f"line {number}\n" for number in range(400, 500))
    old = (tmp_path / "fra.old.log").read_text()
    assert len(old) == BOUND and old.endswith("line 398\nline 399\n")


def test_a_log_within_its_bound_stays_and_the_newest_cut_part_replaces_the_one_before(tmp_path: Path) -> None:
    small, large = tmp_path / "nyc.log", tmp_path / "fra.log"
    small.write_text("x" * BOUND)
    for letter in "ab":
        large.write_text(letter * (BOUND + 1))
        cut(tmp_path, BOUND)
    assert small.read_text() == "x" * BOUND
    assert (large.read_text(), (tmp_path / "fra.old.log").read_text()) == ("", "b" * BOUND)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fra.log", "fra.old.log", "nyc.log"]


def test_a_place_that_takes_no_copy_costs_the_text_and_not_the_bound(tmp_path: Path) -> None:
    log = tmp_path / "fra.log"
    log.write_text("x" * (BOUND + 1))
    (tmp_path / "fra.old.log").mkdir()  # stands for a disk that is full
    cut(tmp_path, BOUND)
    assert log.stat().st_size == 0
