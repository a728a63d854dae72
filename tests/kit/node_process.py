"""A node in a process of its own, which can be killed."""

import asyncio
import json
import os
import signal
import sys
import textwrap
from dataclasses import dataclass
from typing import Any

from tests.kit.http import Reply, ask
from tests.kit.late import GUARD_S

PROGRAM = textwrap.dedent("""
    import asyncio, json, sys
    from edge.serve import serve
    from cdnkit.settings.edge import Node
    from cdnkit.policy.rules.service import Service

    settings = json.loads(sys.argv[2])
    log = settings.pop("purge_log", None)

    async def main():
        shutdown = asyncio.Event()
        def wait_for_the_end():
            sys.stdin.read()
            loop.call_soon_threadsafe(shutdown.set)
        loop.run_in_executor(None, wait_for_the_end)
        await serve(Node(**settings), Service(), parent=sys.argv[1], records=None, purge_log=log,
                    shutdown=shutdown, ready=lambda told: print(json.dumps(told), flush=True))

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        runner.run(main())
""")


@dataclass
class NodeProcess:
    """A node that serves, by its process."""

    process: asyncio.subprocess.Process
    url: str
    admin: str

    @classmethod
    async def start(cls, parent: str, **settings: Any) -> "NodeProcess":
        """`settings` go to `Node`, but `purge_log`."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, parent, json.dumps({"name": "fra"} | settings),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        told = json.loads(await process.stdout.readline())
        return cls(process, told["url"], told["admin"])

    async def get(self, target: str, **fields: str) -> Reply:
        return await ask(self.url, target, **fields)

    async def purge(self, **order: Any) -> int:
        return (await ask(self.admin, "/purge", method="POST", body=json.dumps(order).encode())).status

    async def health(self) -> dict[str, Any]:
        return json.loads((await ask(self.admin, "/healthz")).body)

    async def kill(self) -> None:
        """kill -9."""
        os.kill(self.process.pid, signal.SIGKILL)
        await self.process.wait()

    async def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        await asyncio.wait_for(self.process.wait(), GUARD_S)
