"""What is written into a run's folder: whole, or not at all and by its name."""

import errno
from pathlib import Path

import pytest

from cdnlab.cli import main
from cdnlab.lab.run_folder import RunFolder


def _full(path: Path) -> Path:
    """From now on what is written beside this file, to be put in its place, meets a full disk."""
    path.with_suffix(".partial").symlink_to("/dev/full")
    return path


def test_a_file_that_a_full_disk_does_not_take_is_named_and_what_stood_there_stays(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write("cdn.json", {"profile": "fastly"})
    target = _full(tmp_path / "cdn.json")
    with pytest.raises(OSError) as caught:
        folder.write("cdn.json", {"profile": "rfc9111"})
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(target))
    assert "fastly" in target.read_text()


def test_a_report_that_a_full_disk_does_not_take_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "fra.jsonl").write_text("")
    target = _full(tmp_path / "report.json")
    with pytest.raises(SystemExit) as ended:
        main(["report", str(tmp_path)])
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"error: {target}: No space left on device\n"
