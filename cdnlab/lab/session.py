"""A cluster from start to drained, whatever ends it: its work, Ctrl-C, SIGTERM, or an error."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

from cdnlab.errors import INTERRUPTED
from cdnlab.lab.cluster import Cluster


async def while_up(cluster: Cluster, body: Callable[[Cluster], Awaitable[int]]) -> int:
    """Starts a cluster, does `body`, and drains it; the exit status is the body's, or 128 + the signal that ended it.

    A first Ctrl-C drains, a second one kills. Errors of start and body come out after everything is gone.
    """
    loop = asyncio.get_running_loop()
    told_to_end = asyncio.Event()
    status = INTERRUPTED

    def on_signal(number: int) -> None:
        nonlocal status
        if told_to_end.is_set():
            cluster.kill()
        status = 128 + number
        told_to_end.set()

    handled = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in handled:
        loop.add_signal_handler(number, on_signal, number)
    ending = asyncio.create_task(told_to_end.wait())
    work = asyncio.create_task(_work(cluster, body))
    try:
        await asyncio.wait({work, ending}, return_when=asyncio.FIRST_COMPLETED)
        if told_to_end.is_set() and not work.done():
            work.cancel()
            await asyncio.wait({work})
            return status
        return work.result()
    finally:
        ending.cancel()
        # Until all is gone a second Ctrl-C must still be ours: it kills.
        told_to_end.set()
        await cluster.stop()
        for number in handled:
            loop.remove_signal_handler(number)


async def _work(cluster: Cluster, body: Callable[[Cluster], Awaitable[int]]) -> int:
    await cluster.start()
    return await body(cluster)
