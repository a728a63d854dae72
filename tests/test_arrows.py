"""The house: which way imports point, and the rooms of the policy, read from the source (docs/architecture.md)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

KIT = {
    "units": set[str](),
    "serving": {"units"},
    "policy": {"units"},
    "vendors": {"policy"},
    "replay": {"policy"},
    "settings": {"units", "serving", "policy", "hls"},
    "geo": {"policy"},
    "hls": {"units"},
    "dash": {"units"},
}
"""What the programs are made of: part -> parts that it may import, itself aside."""

HOUSE = {
    "cdnkit": set[str](),
    "edge": {"cdnkit"},
    "origin": {"cdnkit"},
    "transcode": {"cdnkit"},
    "loadtests": {"cdnkit"},
    "cdnlab": {"cdnkit", "edge", "origin", "transcode", "loadtests"},
}
"""Package -> packages that it may import: three floors, and none of the four programs knows another."""

ROOMS = {
    "outcomes": 0,
    "http": 1,
    "rules": 2,
    "record": 2,
    "freshness": 3,
    "token": 3,
    "store": 4,
    "gate": 4,
    "rule": 5,
    "plan": 6,
    "answer": 7,
    "upstream": 7,
    "machine": 8,
}
"""Room of the policy -> its floor: each imports from lower floors alone."""

MOST_ARROWS = 50
"""Between rooms of the policy."""

LAB_ROOMS = {
    "errors": 0,
    "control": 1,
    "settings": 2,
    "client": 3,
    "lab": 4,
    "report": 5,
    "latency": 5,
    "screen": 6,
    "tasks": 7,
    "commands": 8,
    "cli": 9,
}
"""Room of cdnlab -> its floor, likewise."""

ORIGIN_ROOMS = {
    "errors": 0,
    "faults": 1,
    "tls": 1,
    "media": 1,
    "storage": 1,
    "encryption": 2,
    "live": 2,
    "hls": 3,
    "dash": 4,
    "publishing": 5,
    "ingest": 6,
    "mpegts": 7,
    "uploads": 7,
    "vod": 7,
    "webvtt": 7,
    "app": 8,
    "serve": 9,
}
"""Room of the origin -> its floor, likewise."""

MOST_LINES = 400
"""In a file of cdnlab."""

MOST_FILES = 14
"""In a room, its first page aside."""


def imports_of(file: Path) -> list[tuple[int, str]]:
    """(line, module) of every import in a file, inside functions too; `from a import b` is `a.b`."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def arrows(folder: Path, prefix: str, places: set[str]) -> Iterator[tuple[str, str, str]]:
    """(from, to, where) of every import from one of these places to another; the places lie in `folder`."""
    for here in sorted(places):
        for file in [*(folder / here).rglob("*.py"), *folder.glob(f"{here}.py")]:
            for line, module in imports_of(file):
                there = module.removeprefix(prefix).partition(".")[0] if module.startswith(prefix) else ""
                if there in places and there != here:
                    yield here, there, f"{file.relative_to(ROOT)}:{line} imports {module}"


def packages_in(folder: Path) -> set[str]:
    return {file.parent.name for file in folder.glob("*/__init__.py")}


def test_three_floors() -> None:
    assert packages_in(ROOT) - {"tests"} == set(HOUSE)
    assert [where for a, b, where in arrows(ROOT, "", set(HOUSE)) if b not in HOUSE[a]] == []


def test_the_parts_of_the_kit() -> None:
    assert packages_in(ROOT / "cdnkit") == set(KIT)
    assert [where for a, b, where in arrows(ROOT / "cdnkit", "cdnkit.", set(KIT)) if b not in KIT[a]] == []


def test_the_rooms_of_the_policy() -> None:
    policy = ROOT / "cdnkit/policy"
    rooms = packages_in(policy) | {file.stem for file in policy.glob("[a-z]*.py")}
    assert rooms == set(ROOMS)
    found = list(arrows(policy, "cdnkit.policy.", rooms))
    assert [where for a, b, where in found if ROOMS[a] <= ROOMS[b]] == [], "up, or on the same floor"
    assert len({(a, b) for a, b, _ in found}) < MOST_ARROWS


def test_the_rooms_of_cdnlab() -> None:
    lab = ROOT / "cdnlab"
    rooms = packages_in(lab) | {file.stem for file in lab.glob("[a-z]*.py")}
    assert rooms == set(LAB_ROOMS)
    found = arrows(lab, "cdnlab.", rooms)
    assert [where for a, b, where in found if LAB_ROOMS[a] <= LAB_ROOMS[b]] == [], "up, or on the same floor"


def test_the_rooms_of_the_origin() -> None:
    origin = ROOT / "origin"
    rooms = packages_in(origin) | {file.stem for file in origin.glob("[a-z]*.py")}
    assert rooms == set(ORIGIN_ROOMS)
    found = arrows(origin, "origin.", rooms)
    assert [where for a, b, where in found if ORIGIN_ROOMS[a] <= ORIGIN_ROOMS[b]] == [], "up, or on the same floor"


def test_a_verb_is_a_file_of_its_name() -> None:
    from cdnlab.cli import app

    verbs = {command.callback.__name__ for command in app.registered_commands if command.callback is not None}
    assert {file.stem for file in (ROOT / "cdnlab/commands").glob("[a-z]*.py")} == verbs | {"options"}


def test_a_file_of_cdnlab_is_one_idea() -> None:
    lengths = {str(file.relative_to(ROOT)): len(file.read_text().splitlines()) for file in ROOT.glob("cdnlab/**/*.py")}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


@pytest.mark.parametrize("room", sorted(ROOMS.keys() - {"outcomes", "rule", "plan"}))
def test_a_room_says_its_idea_and_holds_few_files(room: str) -> None:
    folder = ROOT / "cdnkit/policy" / room
    assert len(list(folder.glob("*.py"))) - 1 <= MOST_FILES
    assert len(ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or "") > 40


def test_the_policy_reads_no_clock_and_opens_nothing() -> None:
    """Pure: no I/O, no clock, no event loop, no randomness of its own."""
    forbidden = {"time", "asyncio", "socket", "random", "secrets", "threading", "os", "subprocess"}
    pure = {"time.gmtime"}  # an instant that is given, as a calendar has it
    wrong = [
        f"{file.name}:{line}: {module}"
        for file in (ROOT / "cdnkit/policy").rglob("*.py")
        for line, module in imports_of(file)
        if module.partition(".")[0] in forbidden and module not in pure
    ]
    assert wrong == []


def test_nothing_in_the_policy_is_known_by_its_identity() -> None:
    """What was compiled from settings carries what belongs to it: two behaviors may share a limit object."""
    wrong = [
        f"{file.name}:{node.lineno}"
        for file in (ROOT / "cdnkit/policy").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "id"
    ]
    assert wrong == []


@pytest.mark.parametrize(("folder", "whole"), [("cdnkit/policy/machine", "EdgeMachine"), ("edge", "Driver")])
def test_the_machine_and_its_driver_are_composed(folder: str, whole: str) -> None:
    """Their parts are held, and none of them is spread over several classes by inheritance."""
    classes = {
        node.name: [base.id for base in node.bases if isinstance(base, ast.Name)]
        for file in (ROOT / folder).glob("*.py")
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    }
    assert whole in classes
    inherited = {name: classes.keys() & set(bases) for name, bases in classes.items()}
    assert {name for name, bases in inherited.items() if bases - {"EdgeError"}} == set()


def test_the_files_of_the_edge_import_in_no_circle() -> None:
    """None imports another that imports it, however far round: each can be read with what it names, and no more.

    What opens one of several kinds imports that inside a function, when it is wanted.
    """

    def names_in(file: Path) -> set[str]:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        own = {
            inner.lineno
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
            for inner in ast.walk(function)
            if isinstance(inner, ast.ImportFrom)
        }
        return {module for line, module in imports_of(file) if line not in own}

    named = {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in ROOT.glob("edge/**/*.py")}
    left = {
        name: {other for module in names_in(file) for other in (module, module.rpartition(".")[0])}
        & (named.keys() - {name})
        for name, file in named.items()
    }
    while leaves := {name for name, others in left.items() if not others & left.keys()}:
        for name in leaves:
            del left[name]
    assert left.keys() == set(), "a circle"


def test_the_picture_names_every_package_and_room() -> None:
    picture = (ROOT / "docs/architecture.md").read_text()
    wanted = {*HOUSE, *KIT} | ROOMS.keys() | LAB_ROOMS.keys()
    assert [name for name in sorted(wanted) if re.search(rf"\b{name}\b", picture) is None] == []
