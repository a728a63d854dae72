"""The lead's end: it answers what its workers pass on, and tells them aside what they may answer from now on."""

from typing import Any

from cdnkit.policy.machine.short_way import Turned
from cdnkit.policy.store.changes import Changes
from cdnkit.policy.store.entry import Entry
from cdnkit.serving import ASIDE, EMPTY_QUERY, TLS_NAMES, Client, Fields
from edge.at_once import AtOnce
from edge.driver import Driver
from edge.services import Receive, Scope, Send, Services
from edge.stores import Place
from edge.workers.asides import SMALL_BYTES, Used, aside_of


class Lead:
    """The application that the workers' requests are passed on to."""

    def __init__(self, services: Services, at_once: AtOnce, changes: Changes) -> None:
        self._services = services
        self._at_once = at_once
        self._changes = changes
        self._drivers = list(services.drivers.values())
        self._numbers = {driver: number for number, driver in enumerate(self._drivers)}
        for number, driver in enumerate(self._drivers):
            driver.machine.index.observer = changes.of(number)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                aside = self._aside(scope)
                if aside is not None:
                    message = {**message, ASIDE: aside}
            await send(message)

        await self._services(scope, receive, sending if scope["method"] in ("GET", "HEAD") else send)

    def publish(self) -> None:
        """Say how many events are over."""
        for number, driver in enumerate(self._drivers):
            self._changes.publish(number, driver.machine.events)

    def used(self, several: list[Used]) -> None:
        """Count what a worker answered with, if it is still stored."""
        for used in several:
            driver = self._drivers[used.service]
            entry = driver.machine.index.only(used.key)
            if entry is not None and entry.id == used.id:
                entry.hits += used.count
                driver.machine.room.touch(entry)
                driver.bodies.whole(entry)  # a disk's memory keeps what is used, too

    def _aside(self, scope: Scope) -> bytes | None:
        """The stored response with which this request would be answered the short way, now; None: there is none."""
        lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        hosts = [value for name, value in lines if name == "host"]
        target = scope["raw_path"].partition(b"?")[0].decode("latin-1")
        if scope["query_string"] or EMPTY_QUERY in scope["state"]:
            target += "?" + scope["query_string"].decode("latin-1")
        if len(hosts) != 1 or not target.startswith("/") or not (target.isascii() and target.isprintable()):
            return None
        peer, port = scope["client"] or ("", 0)
        client = Client(peer, port, scope["scheme"], scope["extensions"].get(TLS_NAMES))
        client.version = scope["http_version"]
        asker = self._at_once.asker(scope["method"], Fields(lines, hosts[0], closes=False), client)
        if asker.alike is None:
            return None
        driver = asker.driver
        found = driver.machine.short_way.find(asker.alike, target, driver.clock())
        entry = None if found is None or isinstance(found, Turned) else found[1]
        body = None if entry is None else _shareable(driver, entry)
        if entry is None or body is None:
            return None
        return aside_of(driver.machine, self._numbers[driver], entry, body, self._changes)


def _shareable(driver: Driver, entry: Entry) -> bytes | Place | None:
    """The body, or where it is; None: it is not all there, or nowhere that others find it."""
    whole = driver.bodies.whole(entry) if entry.has_body else b""
    if whole is None or not entry.complete:
        return None
    return bytes(whole) if len(whole) <= SMALL_BYTES else driver.store.place(entry)
