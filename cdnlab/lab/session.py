"""Runs a cluster from start to drained, whatever ends it: its work is done, Ctrl-C, SIGTERM, or an error."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

from cdnlab.errors import INTERRUPTED
from cdnlab.lab.cluster import Cluster


async def while_up(cluster: Cluster, body: Callable[[Cluster], Awaitable[int]]) -> int:
    """Starts a cluster, awaits `body`, and drains it. Returns the exit status: the body's, or 128 + the signal.

    A first Ctrl-C drains, a second kills. Errors of start and body are raised once all processes are gone.
    """
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    status = INTERRUPTED

    def on_signal(number: int) -> None:
        nonlocal status
        if end.is_set():
            cluster.kill()
        status = 128 + number
        end.set()

    handled = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in handled:
        loop.add_signal_handler(number, on_signal, number)
    ending = asyncio.create_task(end.wait())
    work = asyncio.create_task(_work(cluster, body))
    try:
        await asyncio.wait({work, ending}, return_when=asyncio.FIRST_COMPLETED)
        if end.is_set() and not work.done():
            work.cancel()
            await asyncio.wait({work})
            return status
        return work.result()
    finally:
        ending.cancel()
        # Until all processes are gone the handlers stay: a second Ctrl-C kills.
        end.set()
        await cluster.stop()
        for number in handled:
            loop.remove_signal_handler(number)


async def _work(cluster: Cluster, body: Callable[[Cluster], Awaitable[int]]) -> int:
    await cluster.start()
    return await body(cluster)
