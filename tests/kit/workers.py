"""Nodes of several workers."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.kit.late import GUARD_S
from tests.kit.node import Running

ROOT = Path(__file__).parents[2]


def still_clock() -> float:
    """A clock that workers have, too: they import it, with `workers_find_tests`."""
    return 1_700_000_000.0


def workers_find_tests(monkeypatch: Any) -> None:
    """What a test hands to a worker is found by it."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


async def until(holds: Callable[[], Any]) -> None:
    """Until it holds; it may be a coroutine function."""
    async with asyncio.timeout(GUARD_S):
        while True:
            found = holds()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            await asyncio.sleep(0.01)


def runs(pid: int) -> bool:
    """Whether the process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Connection:
    """A client's connection to a node: all its requests come to the same process."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def get(self, target: str, *fields: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        lines = "".join(f"{field}\r\n" for field in fields)
        self.writer.write(f"{method} {target} HTTP/1.1\r\nHost: a.example\r\n{lines}\r\n".encode())
        async with asyncio.timeout(GUARD_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            found = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            status = int(head[0].split()[1])
            size = 0 if method == "HEAD" or status == 304 else int(found.get("content-length", 0))
            return status, found, await self.reader.readexactly(size)


@asynccontextmanager
async def connection(node: Running) -> AsyncIterator[Connection]:
    address, _, port = node.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(address, int(port))
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()


@asynccontextmanager
async def connections(node: Running, count: int) -> AsyncIterator[list[Connection]]:
    """So many connections, over which the kernel spreads them: with twenty, each of two processes has one but for one
    time in 500,000."""
    opened = [connection(node) for _ in range(count)]
    made = [await one.__aenter__() for one in opened]
    try:
        yield made
    finally:
        for one in opened:
            await one.__aexit__(None, None, None)


async def workers_of(node: Running) -> list[dict[str, Any]]:
    return list((await node.health())["workers"])


async def alive(node: Running) -> list[dict[str, Any]]:
    """The workers, once all have said how they are."""
    found: list[dict[str, Any]] = []

    async def all_said() -> bool:
        found[:] = await workers_of(node)
        return all("hits" in one for one in found)

    await until(all_said)
    return found


def pids_end(pids: list[int]) -> Callable[[], bool]:
    return lambda: not any(map(runs, pids))


def kill(pid: int, number: int) -> None:
    os.kill(pid, number)
