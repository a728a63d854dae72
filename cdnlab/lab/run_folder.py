"""The folder of one run: its files, and how later commands find the running cluster by it.

`docs/architecture.md` lists the files.
"""

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from cdnlab.errors import BadUsage


@dataclass(frozen=True)
class RunFolder:
    """`runs/<UTC start time>/`."""

    path: Path

    @classmethod
    def new(cls, parent: Path) -> "RunFolder":
        """A new folder below `parent`, named by the time; two runs that start in one second get different names."""
        stem = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
        for attempt in range(1000):
            path = parent / (stem if attempt == 0 else f"{stem}-{attempt}")
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                continue
            except OSError as error:
                raise BadUsage(f"{path}: cannot make the run folder: {error.strerror or error}") from None
            for name in ("logs", "records", "services", "media"):
                (path / name).mkdir()
            return cls(path)
        raise BadUsage(f"{parent}: found a thousand runs that began in this second, wanted fewer")

    @property
    def media(self) -> Path:
        return self.path / "media"

    @property
    def purges(self) -> Path:
        """The purge log, where no setting and no disk store puts it elsewhere."""
        return self.path / "purges.sqlite3"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def log(self, process: str) -> Path:
        return self.logs / f"{process}.log"

    def records(self, node: str) -> Path:
        return self.path / "records" / f"{node}.jsonl"

    def write(self, name: str, values: Any) -> None:
        """Writes a JSON file into the folder, whole or not at all."""
        write_whole(self.path / name, json.dumps(values, indent=2) + "\n")

    def cluster(self) -> dict[str, Any]:
        """The content of `cluster.json`. Raises `BadUsage` when there is none."""
        try:
            return cast(dict[str, Any], read_json(self.path / "cluster.json"))
        except FileNotFoundError:
            raise BadUsage(f"{self.path}: found no cluster.json, wanted the folder of a run of `cdnlab up`") from None
        except (OSError, ValueError) as error:
            raise BadUsage(f"{self.path / 'cluster.json'}: cannot be read: {error}") from None

    def alive(self) -> bool:
        """Whether its `cdnlab up` still runs."""
        with suppress(BadUsage):
            cluster = self.cluster()
            return cluster.get("stopped_at") is None and _runs(cluster.get("pid"))
        return False


def write_whole(path: Path, text: str) -> None:
    """Writes a file, whole or not at all. An OSError names it: the error of a full disk does not by itself."""
    partial = path.with_suffix(".partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        error.filename = str(path)
        raise


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises OSError and ValueError; never waits for a pipe."""
    if path.exists() and not path.is_file():
        raise ValueError("it is not a file")
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def running(parent: Path) -> RunFolder | None:
    """The newest run below `parent` whose `cdnlab up` still runs, or None."""
    if not parent.is_dir():
        return None
    for path in sorted((entry for entry in parent.iterdir() if entry.is_dir()), reverse=True):
        folder = RunFolder(path)
        if folder.alive():
            return folder
    return None


def find_running(parent: Path) -> RunFolder:
    """The same; raises `BadUsage`, which says how to start one."""
    folder = running(parent)
    if folder is None:
        raise BadUsage(f"no cluster is running from {parent.resolve()}", "Start one with `cdnlab up`.")
    return folder


def _runs(pid: object) -> bool:
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
