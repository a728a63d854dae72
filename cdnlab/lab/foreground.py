"""One server in the foreground: `cdnlab edge`, `cdnlab origin`. Ctrl-C drains it; a second Ctrl-C ends it at once."""

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable

from cdnlab.errors import INTERRUPTED
from cdnlab.lab import event_loop

Ready = Callable[[dict[str, object]], None]


def serve_here(server: Callable[[asyncio.Event, Ready], Awaitable[None]], *, as_json: bool) -> int:
    """Runs `server(shutdown, ready)` until a signal. Returns the exit status: 0 after SIGTERM, the operators' way."""
    status = 0

    def ready(fields: dict[str, object]) -> None:
        if as_json:
            print(json.dumps(fields), flush=True)
            return
        name = fields.get("ready")
        for key, value in fields.items():
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

    event_loop.run(live())
    return status
