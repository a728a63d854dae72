"""The origin as a server: two listeners on hypercorn, in one event loop, until it is stopped."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from cdnkit.serving import GRACE_S, Guarded, Listener, PortInUse, bind, guard_of, url_of
from cdnkit.settings.origin import Origin
from origin.app import origin_app
from origin.faults import FaultSwitch, Faulty
from origin.ingest import Ingest, ingest_app
from origin.publisher import Publisher
from origin.retention import Retention
from origin.uploads.interfaces import Interfaces
from origin.uploads.uploads import Uploads

log = logging.getLogger("origin")


async def serve(
    settings: Origin,
    *,
    lengths: Mapping[str, float] | None = None,
    shutdown: asyncio.Event,
    ready: Callable[[dict[str, object]], None],
    faults: bool = False,
) -> None:
    """Serves until `shutdown` is set, then ends open ingests, stores what they sent and returns within a second.

    `lengths`: segment lengths in seconds, by name, of streams that have one of their own. `faults`: whether the ingest
    listener has the switch for them. `ready` is called once both listeners accept, with
    `{"ready": "origin", "url": ..., "ingest": ...}`. `PortInUse`: an address is taken, or is not this machine's;
    `StorageFailed`: the storage folder cannot be used.
    """
    began, wall = time.monotonic(), time.time()
    publisher = Publisher(settings, lambda: wall + time.monotonic() - began, lengths)
    public = bind(settings.listen, "origin.listen")
    try:
        private = bind(settings.ingest, "origin.ingest")
    except PortInUse:
        public.close()
        raise
    uploads = Uploads(settings, publisher.catalog, publisher.clock)
    try:
        await publisher.resume()
        await uploads.resume()
    except BaseException:
        public.close()
        private.close()
        publisher.storage.release()
        raise
    retention = Retention(publisher)
    public_app = origin_app(publisher, uploads)
    interfaces = Interfaces(Ingest(publisher, retention), uploads, public_app)
    addresses: dict[str, object] = {"ready": "origin", "url": url_of(public), "ingest": url_of(private)}
    switch = FaultSwitch()
    public_side = Listener(Faulty(public_app, switch), log, limits=settings.limits)
    known = guard_of(settings.ingest, settings.ingest_hosts, "origin.ingest_hosts")
    listeners = [public_side, Listener(Guarded(ingest_app(interfaces, switch if faults else None), known, log), log)]
    sweeping = [asyncio.create_task(one.keep_sweeping()) for one in (retention, uploads)]
    try:
        for listener, on in zip(listeners, (public, private), strict=True):
            await listener.start(on)
        ready(addresses)
        await shutdown.wait()
    finally:
        for task in sweeping:
            task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                await interfaces.stop()
        publisher.bells.stop()
        await asyncio.gather(*(listener.close() for listener in listeners))
        uploads.close()
        publisher.storage.release()
