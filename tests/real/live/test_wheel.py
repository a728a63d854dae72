"""The wheel, installed beside a project whose folders have the names that our packages have, or once had."""

import json
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdnlab.client.viewer import ask
from tests.kit.late import GUARD_S

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[3]
OURS = {"cdnkit", "cdnlab", "edge", "origin", "transcode", "loadtests"}
THEIRS = ("edge", "origin", "transcode", "loadtests", "policy", "vendors", "replay", "units", "listening", "tests")

SETTINGS = """
purge_log = "purges.sqlite3"

[origin]
listen = "127.0.0.1:0"
ingest = "127.0.0.1:0"

[[node]]
name = "fra"
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
parent = "{origin}"

[[behavior]]
path = "*"
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in (*OURS, "pyproject.toml", "README.md", "LICENSE"):
        place = ROOT / name
        if place.is_dir():
            shutil.copytree(place, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(place, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(out), str(source)], check=True, timeout=GUARD_S)
    return next(out.glob("cdnlab-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment's folder of programs: the wheel is in it, and what that needs, but not this checkout."""
    place = tmp_path_factory.mktemp("venv")
    venv.create(place)
    python = place / "bin/python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, str(wheel)], check=True, timeout=GUARD_S)
    needs = sysconfig.get_path("purelib")
    own = sysconfig.get_path("purelib", vars={"base": str(place), "platbase": str(place)})
    Path(own, "needs.pth").write_text(f"{needs}\n")
    return place / "bin"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's project: each of its packages says so when it is imported."""
    for name in THEIRS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise SystemExit('the user\\'s {name} was imported')\n")
    return tmp_path


def test_the_wheel_has_two_names_of_its_own_and_the_four_programs(wheel: Path) -> None:
    names = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == OURS
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"cdnlab": "cdnlab.cli:main"}


@pytest.fixture
def cluster(installed: Path, project: Path) -> Iterator[dict[str, str]]:
    """An edge of the wheel's, in front of the wheel's origin; started, as all commands are, from the user's project."""
    with subprocess.Popen(
        [installed / "cdnlab", "origin", "--json", "--listen", "127.0.0.1:0", "--ingest", "127.0.0.1:0"],
        cwd=project, stdout=subprocess.PIPE, text=True,
    ) as origin:  # fmt: skip
        try:
            assert origin.stdout is not None
            urls = json.loads(origin.stdout.readline())
            (project / "cdn.toml").write_text(SETTINGS.format(origin=urls["url"]))
            with subprocess.Popen(
                [installed / "cdnlab", "edge", "--json", "--config", "cdn.toml"],
                cwd=project, stdout=subprocess.PIPE, text=True,
            ) as edge:  # fmt: skip
                try:
                    assert edge.stdout is not None
                    yield json.loads(edge.stdout.readline())
                finally:
                    edge.terminate()
        finally:
            origin.terminate()


def test_an_edge_explain_and_a_purge_run_from_such_a_project(
    installed: Path, project: Path, cluster: dict[str, str]
) -> None:
    def cdnlab(*words: str) -> dict[str, object]:
        done = subprocess.run(
            [installed / "cdnlab", *words, "--json"], cwd=project, capture_output=True, text=True, timeout=GUARD_S
        )
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    assert ask(f"{cluster['url']}/a").status == 404  # of the origin, whose empty folder it is
    assert cdnlab("explain", f"{cluster['url']}/a", "--admin", cluster["admin"])
    assert cdnlab("purge", "/a", "--admin", cluster["admin"])


def test_a_user_s_own_process_imports_the_settings_and_none_of_the_programs(installed: Path, project: Path) -> None:
    program = (
        "import sys, cdnlab.settings.document, cdnkit.policy, cdnkit.vendors, cdnkit.replay, cdnkit.settings.edge\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & set(sys.argv[1:])))"
    )
    done = subprocess.run(
        [installed / "python", "-c", program, *THEIRS], cwd=project, capture_output=True, text=True, timeout=GUARD_S
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
