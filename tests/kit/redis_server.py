"""A real redis-server, on a port of its own, that a test may kill."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.kit.late import GUARD_S
from tests.kit.ports import free_port

needs_redis = pytest.mark.skipif(
    shutil.which("redis-server") is None and shutil.which("valkey-server") is None,
    reason="there is no redis-server or valkey-server here (Debian: apt install redis-server)",
)


@dataclass
class RedisServer:
    """A server that keeps nothing on disk."""

    folder: Path
    port: int = 0
    process: asyncio.subprocess.Process | None = None
    url: str = field(init=False, default="")

    async def start(self) -> None:
        """Also again, on the same port and empty."""
        if not self.port:
            self.port = free_port()
            self.url = f"redis://127.0.0.1:{self.port}/0"
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        assert program is not None
        self.process = await asyncio.create_subprocess_exec(
            program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
            "--dir", str(self.folder), stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        async with asyncio.timeout(GUARD_S):
            while await self.says("PING") != "+PONG":  # noqa: ASYNC110  # another process
                await asyncio.sleep(0.02)

    async def says(self, *words: str) -> str:
        """Its answer's first line; "" when there is nobody."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return ""
        try:
            writer.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w.encode()) for w in words))
            return (await reader.readline()).decode().strip()
        finally:
            writer.close()

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


@asynccontextmanager
async def running_redis(folder: Path) -> AsyncIterator[RedisServer]:
    server = RedisServer(folder)
    try:
        await server.start()
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            await server.kill()
