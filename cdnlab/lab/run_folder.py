"""The folder of one run: everything it left, and how later commands find the cluster that is running.

Laid out as `docs/architecture.md` says.
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
    def new(cls, parent: Path, now: datetime | None = None) -> "RunFolder":
        """A fresh folder below `parent`, named by the time; two started in one second get different names."""
        stem = (now or datetime.now(UTC)).strftime("%Y-%m-%dT%H-%M-%SZ")
        for attempt in range(1000):
            path = parent / (stem if attempt == 0 else f"{stem}-{attempt}")
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                continue
            except OSError as error:
                raise BadUsage(f"{path}: cannot make the run's folder: {error.strerror or error}") from None
            for name in ("logs", "records", "services", "media"):
                (path / name).mkdir()
            return cls(path)
        raise BadUsage(f"{parent}: a thousand runs in one second")

    @property
    def media(self) -> Path:
        return self.path / "media"

    @property
    def purges(self) -> Path:
        """The log of orders to purge, where it is in no other place."""
        return self.path / "purges.sqlite3"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def log(self, process: str) -> Path:
        return self.logs / f"{process}.log"

    def records(self, node: str) -> Path:
        return self.path / "records" / f"{node}.jsonl"

    def write(self, name: str, values: Any) -> None:
        """A JSON file in the folder, whole or not at all."""
        write_whole(self.path / name, json.dumps(values, indent=2) + "\n")

    def cluster(self) -> dict[str, Any]:
        """What `cluster.json` says; `BadUsage` when there is none."""
        try:
            return cast(dict[str, Any], read_json(self.path / "cluster.json"))
        except FileNotFoundError:
            raise BadUsage(f"{self.path}: no cluster.json there, so no run of `cdnlab up`") from None
        except (OSError, ValueError) as error:
            raise BadUsage(f"{self.path / 'cluster.json'}: cannot be read: {error}") from None

    def alive(self) -> bool:
        """Whether its `cdnlab up` still lives."""
        with suppress(BadUsage):
            told = self.cluster()
            return told.get("stopped_at") is None and _lives(told.get("pid"))
        return False


def write_whole(path: Path, text: str) -> None:
    """Puts a file in its place, whole or not at all. An OSError names it: one of a full disk has no name by itself."""
    partial = path.with_suffix(".partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        error.filename = str(path)
        raise


def read_json(path: Path) -> Any:
    """What a JSON file holds. OSError and ValueError say why it cannot be read; a pipe is not waited for."""
    if path.exists() and not path.is_file():
        raise ValueError("it is no file")
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_json)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _no_json(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def running(parent: Path) -> RunFolder | None:
    """The newest run below `parent` whose `cdnlab up` still lives."""
    if not parent.is_dir():
        return None
    for path in sorted((entry for entry in parent.iterdir() if entry.is_dir()), reverse=True):
        folder = RunFolder(path)
        if folder.alive():
            return folder
    return None


def find_running(parent: Path) -> RunFolder:
    """As `running`; `BadUsage` says how to start one."""
    folder = running(parent)
    if folder is None:
        raise BadUsage(f"no cluster is running from {parent.resolve()}", "Start one with `cdnlab up`.")
    return folder


def _lives(pid: object) -> bool:
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
