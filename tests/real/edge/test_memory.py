"""Memory of an edge under load stays within its room and a fixed overhead: measured on a process of its own."""

import asyncio
import json
import sys
import textwrap

import psutil

from tests.kit.http import ask
from tests.kit.late import GUARD_S
from tests.kit.origin import running_origin

ROOM_MIB = 32
OVERHEAD_MIB = 48
"""What the fills in flight, the server's buffers and the allocator's slack may take beside the room."""

NODE = textwrap.dedent("""
    import asyncio, json, sys
    from edge.serve import serve
    from cdnkit.settings.edge import Node
    from cdnkit.policy.rules.service import Service

    async def main():
        shutdown = asyncio.Event()
        def wait_for_the_end():
            sys.stdin.read()
            loop.call_soon_threadsafe(shutdown.set)
        loop.run_in_executor(None, wait_for_the_end)
        await serve(Node(name="fra", memory=sys.argv[2], largest="8MiB"), Service(), parent=sys.argv[1], records=None,
                    shutdown=shutdown, ready=lambda told: print(json.dumps(told), flush=True))

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        runner.run(main())
""")


def test_memory_stays_within_the_room_and_a_fixed_overhead() -> None:
    async def run() -> None:
        async with running_origin() as origin:
            node = await asyncio.create_subprocess_exec(
                sys.executable, "-c", NODE, origin.url, f"{ROOM_MIB}MiB",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            assert node.stdout is not None and node.stdin is not None
            try:
                told = json.loads(await node.stdout.readline())
                process = psutil.Process(node.pid)
                for i in range(300):
                    origin.says(f"/{i}", bytes(1_000_000), cache_control="max-age=600")
                before = process.memory_info().rss
                peak = before

                async def viewer(offset: int) -> None:
                    nonlocal peak
                    for i in range(100):
                        reply = await ask(told["url"], f"/{(offset * 37 + i) % 300}")
                        assert len(reply.body) == 1_000_000
                        peak = max(peak, process.memory_info().rss)

                await asyncio.gather(*(viewer(offset) for offset in range(8)))
                health = json.loads((await ask(told["admin"], "/healthz")).body)
                assert health["stored_bytes"] <= ROOM_MIB * 2**20
                assert (peak - before) / 2**20 <= ROOM_MIB + OVERHEAD_MIB
            finally:
                node.stdin.close()
                await asyncio.wait_for(node.wait(), GUARD_S)

    asyncio.run(run())
