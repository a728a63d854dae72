"""One server in the foreground: `cdnlab edge`, `cdnlab origin`. Ctrl-C drains it, a second one ends it at once."""

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable

from cdnlab.errors import INTERRUPTED

Ready = Callable[[dict[str, object]], None]


def serve_here(server: Callable[[asyncio.Event, Ready], Awaitable[None]], *, as_json: bool) -> int:
    """Runs `server(shutdown, ready)` until a signal; the exit status. SIGTERM is how an operator stops it: status 0."""
    status = 0

    def ready(said: dict[str, object]) -> None:
        if as_json:
            print(json.dumps(said), flush=True)
            return
        name = said.get("ready")
        for key, value in said.items():
            if key != "ready":
                print(f"{name}: {key} {value}", flush=True)

    async def live() -> None:
        nonlocal status
        loop = asyncio.get_running_loop()
        shutdown = asyncio.Event()

        def on_signal(number: int) -> None:
            nonlocal status
            if shutdown.is_set():
                os._exit(128 + number)
            status = INTERRUPTED if number == signal.SIGINT else 0
            shutdown.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, on_signal, number)
        await server(shutdown, ready)

    try:
        import uvloop
    except ModuleNotFoundError:  # not made for Windows
        asyncio.run(live())
    else:
        uvloop.run(live())
    return status
