"""The tool that asks whether the tests would notice: what it changes, whom it asks, what it leaves behind."""

import time
from pathlib import Path

import pytest

from tests.mutants.__main__ import SOURCES
from tests.mutants.nearest import MOST, Nearest
from tests.mutants.places import Mutant, Source, mutants_of
from tests.mutants.sample import PACKAGES, all_mutants, equivalents, sample
from tests.mutants.trial import Verdict, Workshop

ROOT = Path(__file__).parents[2]

FAULTS = [  # given a line                      then it reads
    ("f(a < b)", {"f(a <= b)", "pass"}),
    ("x = a <= b < c", {"x = a < b < c", "x = a <= b <= c"}),
    ("x = a not  in b", {"x = a in b"}),
    ("x = (a) - (b)", {"x = (a) + (b)"}),
    ("x = 'a' + b", set[str]()),  # a TypeError would prove nothing
    ("x = a and b", {"x = a or b"}),
    ("x = not a.b()", {"x = (a.b())"}),
    ("x = not (a or b)", {"x = (a or b)", "x = not (a and b)"}),
    ("x = 60.0", {"x = 61.0"}),
    ("x = True", {"x = False"}),
    ("x = 'text'", set[str]()),
    ("self.a = b", {"pass"}),
    ("a += b", {"pass"}),
    ("await a()", {"pass"}),
    ("x: 'a < b' = c", set[str]()),
    ("x = f'{a < b}'", set[str]()),  # Python 3.11 misplaces it
    ("x = 'ä' < b", {"x = 'ä' <= b"}),  # positions are bytes
]


@pytest.mark.parametrize(("line", "faults"), FAULTS)
def test_the_faults_of_a_line(line: str, faults: set[str], tmp_path: Path) -> None:
    whole = f"async def f(self):\n    {line}\n"
    (tmp_path / "a.py").write_text(whole, encoding="utf-8")
    found = list(mutants_of(Source(tmp_path, "a.py")))
    assert {mutant.after for mutant in found} == faults
    for mutant in found:
        assert (mutant.line, mutant.before) == (2, line.replace("  ", " "))
        assert mutant.applied(whole.encode()).decode().split() == f"async def f(self): {mutant.after}".split()


def test_every_mutant_of_the_source_is_python() -> None:
    found = all_mutants(ROOT, PACKAGES)
    assert {mutant.kind for mutant in found} == {
        "comparison",
        "arithmetic",
        "logic",
        "negation",
        "constant",
        "statement",
    }
    texts = {mutant.file: (ROOT / mutant.file).read_bytes() for mutant in found}
    for mutant in found[::20]:
        compile(mutant.applied(texts[mutant.file]), mutant.file, "exec")


def test_a_seed_draws_the_same_list_again_and_none_twice() -> None:
    found = all_mutants(ROOT, ("edge",))
    assert sample(found, 50, 7) == sample(found, 50, 7) != sample(found, 50, 8)
    assert len(set(sample(found, 500, 7))) == 500
    assert len(sample(found[:9], 500, 7)) == 9


def test_what_is_called_equivalent_is_a_mutant_of_today_and_says_why() -> None:
    found = {(mutant.file, mutant.before, mutant.after) for mutant in all_mutants(ROOT, PACKAGES)}
    for row in equivalents():
        assert (row.file, row.before, row.after) in found, row
        assert len(row.reason) > 20, row


NEAREST = [  # a file, a word of its line, and the test that must be among the first that are tried
    ("cdnkit/policy/http/etags.py", "", "etags"),
    ("cdnkit/policy/rules/resolve.py", "key_query", "test_who_shares_an_answer"),  # reached by nearly all
    ("edge/log.py", "", "log"),
    ("origin/media/boxes.py", "", "boxes"),
    ("transcode/progress.py", "", "progress"),
]


@pytest.fixture(scope="module")
def nearest() -> Nearest:
    return Nearest(ROOT, SOURCES)


@pytest.mark.parametrize(("file", "word", "spoken"), NEAREST)
def test_nearest_are_those_that_import_the_file_and_speak_of_the_line(
    nearest: Nearest, file: str, word: str, spoken: str
) -> None:
    mutant = next(one for one in all_mutants(ROOT, (file,)) if word in one.before)
    reader, *tests = nearest.of(mutant)
    assert reader == "tests/test_bounds.py"  # it reads every file
    assert 1 <= len(tests) <= MOST
    assert any(spoken in (ROOT / test).read_text(encoding="utf-8") for test in tests[:8])


TREE = {
    "a.py": "def f(n):\n    return n < 6\n",
    "test_near.py": "from a import f\n\n\ndef test_f():\n    assert f(5) and not f(7)\n",
    "test_on.py": "from a import f\n\n\ndef test_on_it():\n    assert not f(6)\n",
    "test_broken.py": "def test_broken():\n    assert False\n",
    "test_slow.py": "import time\n\n\ndef test_slow():\n    time.sleep(600)\n",
    "pytest.ini": "[pytest]\nmarkers = slow: minutes\n",
}
TRIALS = [  # the tests                        then
    (["test_near.py"], Verdict.SURVIVED, ""),
    (["test_near.py", "test_on.py"], Verdict.NOTICED, "test_on.py::test_on_it"),
    (["test_broken.py", "test_near.py"], Verdict.SURVIVED, ""),  # a test that fails anyway notices nothing
    ([], Verdict.UNTESTED, ""),
]


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    (tmp_path / "tree").mkdir()
    for name, text in TREE.items():
        (tmp_path / "tree" / name).write_text(text, encoding="utf-8")
    return Workshop(tmp_path / "tree", tmp_path / "copy", limit=100.0)


def the_mutant(workshop: Workshop) -> Mutant:
    return next(mutant for mutant in mutants_of(Source(workshop.copy, "a.py")) if mutant.kind == "comparison")


@pytest.mark.long
@pytest.mark.parametrize(("tests", "verdict", "by"), TRIALS)
def test_a_trial(tests: list[str], verdict: Verdict, by: str, workshop: Workshop, tmp_path: Path) -> None:
    trial = workshop.try_one(the_mutant(workshop), tests)
    assert (trial.verdict, trial.by) == (verdict, by)
    for folder in ("tree", "copy"):
        assert (tmp_path / folder / "a.py").read_text(encoding="utf-8") == TREE["a.py"]


@pytest.mark.long
def test_what_takes_too_long_is_ended_and_is_no_verdict(workshop: Workshop) -> None:
    workshop.limit = 3.0
    began = time.monotonic()
    trial = workshop.try_one(the_mutant(workshop), ["test_slow.py"])
    assert trial.verdict is Verdict.UNDECIDED
    assert time.monotonic() - began < 60
