"""One cache node as a running server: its listener, its admin listener, its records."""

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config

from edge.admin import admin_app
from edge.clock import Clock
from edge.countries import Countries
from edge.driver import Driver
from edge.errors import BadKeyFile, PortInUse
from edge.log import RecordLog
from edge.settings import Node
from edge.upstream import Upstream
from policy.access import ServiceGate
from policy.machine import EdgeMachine
from policy.profile import RFC9111, Profile
from policy.service import Service
from policy.token import FastlyToken
from units import split_address

logger = logging.getLogger("cdnlab.edge")


async def serve(
    node: Node,
    service: Service,
    *,
    parent: str,
    records: Path | None,
    shutdown: asyncio.Event,
    ready: Callable[[dict[str, object]], None],
    countries: Mapping[str, str] | None = None,
    profile: Profile = RFC9111,
) -> None:
    """Run one node until `shutdown`; `ready` hears its URLs once it accepts connections.

    `parent` is the URL of the shield or origin it asks; `countries` maps networks to ISO 3166-1 codes.
    PortInUse and BadKeyFile are raised before anything is served.
    """
    service = service.model_copy(update={"name": node.name, "room": node.memory, "largest": node.largest})
    gate = ServiceGate(service, read_secrets(service))
    viewers = _bind(node.listen, f"node {node.name}: listen")
    try:
        operators = _bind(node.admin, f"node {node.name}: admin")
    except PortInUse:
        viewers.close()
        raise
    urls = {"url": _url(viewers), "admin": _url(operators)}
    log = RecordLog(records)
    who = Countries(countries or {}, node.trusted)
    upstream = Upstream(parent, node.timeouts, node.connections)
    driver = Driver(EdgeMachine(service, profile, gate=gate), upstream, who, log, Clock())
    flusher = asyncio.create_task(log.keep_flushing())
    try:
        async with asyncio.TaskGroup() as servers:
            for app, listener in ((driver, viewers), (admin_app(driver, who), operators)):
                config = _config(listener.detach())  # hypercorn owns, and closes, the descriptor from here on
                servers.create_task(hypercorn_serve(app, config, shutdown_trigger=shutdown.wait, mode="asgi"))  # type: ignore[arg-type]
            ready({"ready": node.name, **urls, "parent": parent})
    finally:
        flusher.cancel()
        await driver.close()


def read_secrets(service: Service) -> dict[str, str]:
    """Base64 keys by token name, from the settings or the files they name; BadKeyFile when one is no key."""
    secrets: dict[str, str] = {}
    for name, token in service.tokens.items():
        where = f"token.{name}"
        try:
            key = token.key if token.key is not None else Path(str(token.key_file)).read_text(encoding="ascii").strip()
            FastlyToken(key)
        except OSError as error:
            raise BadKeyFile(f"{where}.key_file", str(token.key_file), error.strerror or str(error)) from error
        except ValueError as error:
            # Never the value itself: it may be a key with a typing error.
            raise BadKeyFile(where, str(token.key_file or "key"), str(error)) from error
        secrets[name] = key
    return secrets


def _bind(address: str, where: str) -> socket.socket:
    host, port = split_address(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise PortInUse(where, address, error.strerror or str(error)) from error
    listener.setblocking(False)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _config(descriptor: int) -> Config:
    config = Config()
    config.bind = [f"fd://{descriptor}"]
    config.backlog = 1024
    config.keep_alive_timeout = 75.0  # the default of 5 s is below a 6 s playlist poll: every viewer would reconnect
    config.keep_alive_max_requests = 10**9
    config.include_date_header = False  # Date belongs to the stored response
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.graceful_timeout = 0.5
    config.h11_max_incomplete_size = 32 * 1024
    return config
