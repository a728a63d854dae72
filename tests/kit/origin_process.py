"""An origin in a process of its own, which can be killed and started again on the same addresses and storage."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.kit.ports import free_port

_READY_S = 60.0


@dataclass
class OriginProcess:
    """`settings` are lines of `[origin]`; its log is `folder/origin.log`."""

    folder: Path
    settings: list[str]
    profile: Path | None = None
    """Where cProfile writes what it found, once the process has ended properly."""
    url: str = ""
    ingest: str = ""
    process: Process | None = None
    lives: int = 0
    _addresses: list[str] = field(default_factory=list)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    async def start(self) -> "OriginProcess":
        """Returns when both listeners accept."""
        if not self._addresses:
            self._addresses = [f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"]
        file = self.folder / "cdn.toml"
        own = any(line.startswith("storage ") for line in self.settings)
        lines = ["[origin]", *([] if own else [f'storage = "{self.folder / "media"}"']), *self.settings]
        file.write_text("\n".join(lines) + "\n")
        watched = ["-m", "cProfile", "-o", str(self.profile)] if self.profile else []
        listen, ingest = self._addresses
        command = [sys.executable, *watched, "-m", "cdnlab", "origin", "--json", "--config", str(file)]
        with (self.folder / "origin.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *command, "--listen", listen, "--ingest", ingest, stdout=PIPE, stderr=log
            )
        assert self.process.stdout is not None
        async with asyncio.timeout(_READY_S):
            while line := await self.process.stdout.readline():
                with suppress(ValueError):
                    told = json.loads(line)
                    if told.get("ready") == "origin":
                        self.url, self.ingest, self.lives = told["url"], told["ingest"], self.lives + 1
                        return self
        raise RuntimeError(f"the origin did not start: {(self.folder / 'origin.log').read_text()[-2000:]}")

    async def kill(self) -> None:
        """SIGKILL: it has no time to store anything."""
        assert self.process is not None
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> None:
        """SIGTERM: it ends as it should."""
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()

    def cpu_s(self) -> float:
        """CPU time of its process so far, seconds."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)

    def rss_mib(self) -> float:
        return float(psutil.Process(self.pid).memory_info().rss / 2**20)
