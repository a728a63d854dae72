"""A server as a child process on one core: started, its CPU time read, stopped by its pid."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

STARTS_WITHIN_S = 30.0
STOPS_WITHIN_S = 5.0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            children.setdefault(int(parent), []).append(int(folder.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time of the processes together."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Child:
    """One started server."""

    def __init__(self, name: str, command: Sequence[str | Path], *, core: int, log: Path, ports: Sequence[int]) -> None:
        """It listens on all of `ports` when this returns; RuntimeError with the end of its log if it does not."""
        self.name = name
        with log.open("wb") as out:
            words = ["taskset", "-c", str(core), *map(str, command)]
            self._process = subprocess.Popen(words, stdout=out, stderr=out, start_new_session=True)
        try:
            for port in ports:
                self._await(port, log)
        except RuntimeError:
            self.stop()
            raise
        self.pids = tree(self._process.pid)

    def _await(self, port: int, log: Path) -> None:
        end = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < end and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 0.5).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"{self.name} does not listen on port {port}: {log.read_text(errors='replace')[-800:]}")

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.pids)

    def stop(self) -> None:
        """End it and its children, by their pids."""
        pids = tree(self._process.pid)
        _signal(pids, signal.SIGTERM)
        try:
            self._process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            _signal(pids, signal.SIGKILL)
            self._process.wait()


def _signal(pids: Sequence[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
