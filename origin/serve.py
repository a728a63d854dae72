"""The origin as a server: two listeners on hypercorn, in one event loop, until it is stopped."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from cdnkit.serving import GRACE_S, Guarded, Listener, PortInUse, bind, guard_of, url_of
from cdnkit.settings.origin import Origin
from cdnkit.units import is_loopback
from origin.app import origin_app
from origin.faults import FaultSwitch, Faulty
from origin.ingest.authentication import Authenticated
from origin.ingest.credentials import encoders_of
from origin.ingest.date_ranges import date_range_routes
from origin.ingest.endpoint import Ingest, ingest_app
from origin.ingest.open_requests import OpenRequests
from origin.ingest.recordings import recording_routes
from origin.ingest.steering import steering_route
from origin.ingest.strangers import name_strangers
from origin.publishing.publisher import Publisher
from origin.publishing.recordings import Recordings
from origin.publishing.retention import Retention
from origin.tls import context_of
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
    `StorageFailed`: the storage folder cannot be used; `BadCredentials`, `BadAuthority`: those of encoders, or the
    certificates of ingest.
    """
    began, wall = time.monotonic(), time.time()

    def clock() -> float:
        return wall + time.monotonic() - began

    encoders = encoders_of(settings.encoders) if settings.encoders else None
    tls = context_of(settings, clock)
    if tls is not None:
        name_strangers(tls, clock)
    if encoders is not None and encoders.challenges and tls is None and not is_loopback(settings.ingest):
        log.warning("origin.ingest: passwords and tokens come over HTTP, for all to read on the way: see ingest_tls")
    publisher = Publisher(settings, clock, lengths)
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
        await publisher.storage.close()
        raise
    retention = Retention(publisher)
    public_app = origin_app(publisher, uploads)
    ingest = Ingest(publisher, retention)
    interfaces = Interfaces(ingest, uploads, public_app)
    addresses: dict[str, object] = {
        "ready": "origin",
        "url": url_of(public),
        "ingest": url_of(private, tls=tls is not None),
    }
    switch = FaultSwitch()
    public_side = Listener(Faulty(public_app, switch), log, limits=settings.limits)
    recordings = Recordings(publisher, retention)
    orders = [*date_range_routes(publisher), *recording_routes(recordings), steering_route(publisher)]
    bounded = OpenRequests(ingest_app(interfaces, switch if faults else None, orders), settings.ingest_limits.requests)
    known = guard_of(settings.ingest, settings.ingest_hosts, "origin.ingest_hosts")
    front = Guarded(Authenticated(bounded, encoders, settings.ingest_streams, clock), known, log)
    private_side = Listener(front, log, per_source=settings.ingest_limits.connections)

    def ended(chore: asyncio.Task[None]) -> None:
        if not chore.cancelled():
            publisher.ended = f"{chore.get_name()} has ended: {chore.exception()!r}"
            log.error("%s", publisher.ended)

    chores = [
        asyncio.create_task(retention.keep_sweeping(), name="retention"),
        asyncio.create_task(uploads.keep_sweeping(), name="uploads"),
        asyncio.create_task(ingest.keep_ticking(), name="ingest"),
    ]
    for chore in chores:
        chore.add_done_callback(ended)
    try:
        await public_side.start(public)
        await private_side.start(private, tls)
        ready(addresses)
        await shutdown.wait()
    finally:
        for chore in chores:
            chore.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                await interfaces.stop()
        publisher.listing.bells.stop()
        await asyncio.gather(public_side.close(), private_side.close())
        uploads.close()
        await publisher.storage.close()
