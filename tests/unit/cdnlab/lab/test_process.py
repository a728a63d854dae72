"""A child's keeper: it reads whatever the child says, and its own end is told."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

import pytest

from cdnlab.lab.process import Child, ChildFailed, State

TALKER = """
import sys
sys.stdin.readline()
print("x" * (3 << 20), flush=True)
print('{"ready": "fra", "url": "http://127.0.0.1:1"}', flush=True)
sys.stdin.read()
"""


def child_of(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tell: Any) -> Child:
    real = asyncio.create_subprocess_exec

    async def spawned(*_: Any, **kwargs: Any) -> Process:
        return await real(
            sys.executable, "-c", program, stdin=PIPE, stdout=PIPE, start_new_session=True, limit=kwargs["limit"]
        )

    monkeypatch.setattr("cdnlab.lab.process.asyncio.create_subprocess_exec", spawned)
    return Child("fra", "node", tmp_path / "fra.log", tell)


def test_a_line_beyond_all_bounds_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = child_of(TALKER, tmp_path, monkeypatch, lambda child, said: None)

    async def run() -> None:
        await child.spawn()
        async with asyncio.timeout(30):
            await child.begin({}, lambda settings, ready: None)
        assert child.state is State.READY
        child.drain()
        assert await child.gone(20)

    asyncio.run(run())


def test_a_fault_that_ends_the_keeper_is_told_and_nobody_waits_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []

    def tell(child: Child, said: dict[str, Any]) -> None:
        if "state" in said:
            raise RuntimeError("a bug")
        told.append(said)

    child = child_of(TALKER, tmp_path, monkeypatch, tell)

    async def run() -> None:
        await child.spawn()
        async with asyncio.timeout(30):
            with pytest.raises(ChildFailed, match="RuntimeError: a bug"):
                await child.begin({}, lambda settings, ready: None)
        child.kill()
        assert child._process is not None
        await child._process.wait()

    asyncio.run(run())
    assert [said["text"] for said in told] == [
        "a fault in cdnlab itself: it is no longer kept alive: RuntimeError: a bug"
    ]
