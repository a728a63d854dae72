"""Memory of an edge under load stays within its room and a fixed overhead: measured on a process of its own."""

import asyncio

import psutil
import pytest

from tests.kit.loops import uvloop_alone  # noqa: F401
from tests.kit.node_process import NodeProcess
from tests.kit.origin import running_origin

pytestmark = pytest.mark.long

ROOM_MIB = 32
OVERHEAD_MIB = 48
"""What the fills in flight, the server's buffers and the allocator's slack may take beside the room."""


def test_memory_stays_within_the_room_and_a_fixed_overhead() -> None:
    async def run() -> None:
        async with running_origin() as origin:
            node = await NodeProcess.start(origin.url, memory=f"{ROOM_MIB}MiB", largest="8MiB")
            try:
                process = psutil.Process(node.process.pid)
                for i in range(300):
                    origin.says(f"/{i}", bytes(1_000_000), cache_control="max-age=600")
                before = process.memory_info().rss
                peak = before

                async def viewer(offset: int) -> None:
                    nonlocal peak
                    for i in range(100):
                        reply = await node.get(f"/{(offset * 37 + i) % 300}")
                        assert len(reply.body) == 1_000_000
                        peak = max(peak, process.memory_info().rss)

                await asyncio.gather(*(viewer(offset) for offset in range(8)))
                health = await node.health()
                assert health["stored_bytes"] <= ROOM_MIB * 2**20
                assert (peak - before) / 2**20 <= ROOM_MIB + OVERHEAD_MIB
            finally:
                await node.stop()

    asyncio.run(run())
