"""The operator's side of a node, on a listener of its own: health, explain, purge."""

import asyncio
import hmac
import json
from collections.abc import Callable
from dataclasses import asdict
from itertools import chain, islice
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cdnkit.policy.gate.hosts import DEFAULT
from cdnkit.policy.gate.limits import measured
from cdnkit.policy.http.messages import Headers, get_for_url
from cdnkit.policy.http.place import address_of
from cdnkit.policy.machine.explain import explain
from cdnkit.policy.plan import PurgeOrder
from edge.background import Background
from edge.driver import Driver
from edge.purges.follower import LogFollower
from edge.purges.order import BadOrder, names_target, purge_order
from edge.services import Services
from edge.viewers import Viewers

MOST_KEYS = 1000
"""Surrogate keys in one response."""

LARGEST_ORDER = 2**20
"""Bytes of the body of a `POST /purge`: as many keys as Fastly takes at one time, at their longest, and more."""


def admin_app(
    services: Services,
    viewers: Viewers,
    background: Background,
    follower: LogFollower | None,
    *,
    url: str,
    token: str | None = None,
    purge_delay: float = 0.0,
    workers: Callable[[], list[dict[str, Any]]] | None = None,
) -> Starlette:
    """GET /healthz, GET /explain?url=URL&method=GET&client_ip=IP&header=NAME:VALUE&reveal=1, GET /surrogate-keys,
    POST /purge.

    `background`: healthz shows its troubles. `follower`: None for a node that takes purge orders here alone. `url`:
    where viewers come. `token`: the bearer token (RFC 6750) that all but healthz ask for. A purge is carried out, and
    the response sent, `purge_delay` seconds after it came. `workers`: how the further workers are; None: there are
    none.
    """
    own = url.partition("://")[2]
    driver = services.default
    name = driver.machine.service.name
    several = len(services.drivers) > 1

    async def healthz(_: Request) -> Response:
        return JSONResponse(
            {
                "node": name,
                **_health(driver),
                "purges": None if follower is None else follower.health(),
                "troubles": background.troubles,
                **({} if workers is None else {"workers": workers()}),
                **(
                    {"services": {name: _health(one) for name, one in services.drivers.items() if one is not driver}}
                    if several
                    else {}
                ),
            }
        )

    def is_stranger(request: Request) -> bool:
        given = request.headers.get("authorization", "")
        return token is not None and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode())

    def is_local(request: Request) -> bool:
        peer = address_of(request.client.host) if request.client else None
        return peer is not None and peer.is_loopback

    async def explain_url(request: Request) -> Response:
        if is_stranger(request):
            return _unknown()
        url = request.query_params.get("url", "")
        if not names_target(url):
            return _error(f'url: found {url!r}, wanted a URL or a path such as "/live/multivariant.m3u8"')
        subject = get_for_url(url)
        subject.method = request.query_params.get("method", "GET")
        wanted = request.query_params.getlist("header")
        subject.headers = Headers(
            # As a wire would bring it: characters of a field are its octets.
            (name.strip(), value.strip().encode().decode("latin-1"))
            for name, _, value in (h.partition(":") for h in wanted)
        )
        subject.host = subject.headers.first("host") or subject.host
        # A path alone is asked of the first service.
        service, chosen = services.of(subject) if subject.host else (DEFAULT, driver)
        subject.host = subject.host or own
        measured(subject)
        client_ip = request.query_params.get("client_ip")
        if client_ip is None:
            client_ip = viewers.address(request.client.host if request.client else "", subject.headers)
        elif address_of(client_ip) is None:
            return _error(f"client_ip: found {client_ip!r}, wanted an address such as 203.0.113.9")
        subject.client_ip, subject.place = client_ip, viewers.place_of(client_ip)
        reveal = request.query_params.get("reveal") == "1"
        if reveal and (token is None or not is_local(request)):
            return _error("reveal: wanted a node with an admin_token, asked from its own machine", 403)
        explained = explain(chosen.machine, subject, chosen.clock(), reveal=reveal)
        return JSONResponse(explained | {"service": service} if several else explained)

    async def surrogate_keys(request: Request) -> Response:
        """Some of the keys that stored responses have, for an operator whose purge found none."""
        if is_stranger(request):
            return _unknown()
        known = chain.from_iterable(one.machine.index.surrogate_keys() for one in services.drivers.values())
        return JSONResponse({"node": name, "surrogate_keys": list(dict.fromkeys(islice(known, MOST_KEYS)))})

    async def purge(request: Request) -> Response:
        if is_stranger(request):
            return _unknown()
        body = bytearray()
        async for some in request.stream():
            body += some
            if len(body) > LARGEST_ORDER:
                return _error(f"purge: wanted a body of at most {LARGEST_ORDER} bytes", 413)
        try:
            order = purge_order(json.loads(body))
        except RecursionError:
            return _error("purge: found JSON nested too deep, wanted an order")
        except (ValueError, BadOrder) as error:
            return _error(f"purge: {error}")
        if not services.concerned(order):
            if order.service:
                return _error(f"purge: service: found {order.service!r}, wanted one of {', '.join(services.drivers)}")
            return _error(f"purge: {order.kind.value}: found {order.value!r}, and no service here has that host")
        await asyncio.sleep(purge_delay)
        (purged,) = await services.purge_all([order])
        if not purged.lasting:
            return _error("purge: done, but not written to the node's disk: it may come back after a restart", 500)
        return JSONResponse({"node": name, "purged": purged.count, **_order(order)})

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/explain", explain_url),
            Route("/surrogate-keys", surrogate_keys),
            Route("/purge", purge, methods=["POST"]),
        ],
    )


def _health(driver: Driver) -> dict[str, Any]:
    machine = driver.machine
    return {
        "profile": machine.profile.name,
        "parent": driver.parents.url,
        "sick_parents": driver.parents.sick(),
        "stored_responses": len(machine.index),
        "stored_bytes": machine.room.currsize,
        "memory_bytes": driver.store.memory_bytes,
        "room_bytes": machine.service.room,
        "fills_in_flight": len(machine.flights),
        "lost_records": driver.log.lost,
        "records_failing": driver.log.failing,
    }


def _order(order: PurgeOrder) -> dict[str, Any]:
    return asdict(order) | {"kind": order.kind.value}


def _unknown() -> Response:
    message = "wanted the node's admin_token, as Authorization: Bearer TOKEN"
    return JSONResponse({"error": message}, 401, {"WWW-Authenticate": "Bearer"})


def _error(message: str, status: int = 400) -> Response:
    # A lone surrogate, which JSON can bring and UTF-8 cannot carry, is shown as JSON would write it.
    return JSONResponse({"error": message.encode(errors="backslashreplace").decode()}, status_code=status)
