"""Fastly's purge API: by URL, by surrogate key, by many keys, of everything; hard or soft.

Source: "Purging" in Fastly's API reference, and what its CLI and its Python package send. The response comes when every
node has obeyed, or after two seconds: nodes that are away then carry the order out before they serve again.
"""

import asyncio
import hmac
import itertools
import json
import logging
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from cdnkit.policy.machine.purge_log import PATIENCE_S, Order
from cdnkit.policy.store.index import is_surrogate_key
from cdnlab.control.fleet import Fleet
from cdnlab.control.settings import Control
from edge.background import Background
from edge.purges.order import BadOrder, purge_order

logger = logging.getLogger("cdnlab.control")

MOST_KEYS = 256
"""At most this many keys in one batch."""
LONGEST_KEY = 1024
"""Bytes of a key. Source: "Fastly VCL constraints and limitations": "requests that cite longer keys will fail"."""
LARGEST_BODY = 2**20

Operation = Callable[[Request], Awaitable[Response]]


class Fastly:
    """The API over one lab."""

    def __init__(self, settings: Control, fleet: Fleet, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._fleet = fleet
        self._clock = clock
        self._serial = itertools.count(1)
        self._background = Background(logger, "control")

    def routes(self) -> list[BaseRoute]:
        service = "/service/{service}"
        return [
            Route("/purge/{url:path}", self._guarded(self._purge_url), methods=["POST"]),
            Route(f"{service}/purge", self._guarded(self._purge_keys), methods=["POST"]),
            Route(f"{service}/purge/{{key:path}}", self._guarded(self._purge_key), methods=["POST"]),
            Route(f"{service}/purge_all", self._guarded(self._purge_all), methods=["POST"]),
            # The CLI requests this before every command, at FASTLY_ACCOUNT_ENDPOINT.
            Route("/realms/fastly/.well-known/openid-configuration", _openid),
            Route("/{rest:path}", self._guarded(_unknown), methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        ]

    async def close(self) -> None:
        """No longer waits for orders under way."""
        await self._background.close()

    def _guarded(self, operation: Operation) -> Operation:
        async def guarded(request: Request) -> Response:
            token = request.headers.get("fastly-key", "")
            if not hmac.compare_digest(token.encode(), self._settings.fastly_token.encode()):
                return _error(401, "Provided credentials are missing or invalid")
            service = request.path_params.get("service", self._settings.fastly_service)
            if service != self._settings.fastly_service:
                return _error(404, "Record not found", f"Couldn't find Service '{service}'")
            return await operation(request)

        return guarded

    async def _purge_url(self, request: Request) -> Response:
        """The request's path holds the URL, with or without its scheme; the URL's query is the query of the request."""
        raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
        url = raw.partition(b"?")[0].decode("latin-1").removeprefix("/purge/")
        scheme, colon, rest = url.partition(":/")
        if not colon and url.lower().startswith(("http%3a", "https%3a")):
            scheme, colon, rest = unquote(url).partition(":/")
        url = rest.lstrip("/") if colon and scheme in ("http", "https") else url
        host, _, path = url.partition("/")
        if not host:
            return _error(400, "Bad request", "wanted /purge/ and a URL, such as /purge/www.example.com/live/a.m3u8")
        query = request.scope["query_string"].decode("latin-1")
        target = f"/{path}?{query}" if query else f"/{path}"
        # Where there are several services, the host decides which is meant.
        order: Order = {"url": f"http://{host}{target}", "soft": _soft(request)}
        try:
            purge_order(order)
        except BadOrder as error:
            return _error(400, "Bad request", str(error))
        await self._purge([order])
        return JSONResponse({"status": "ok", "id": self._fresh_id()})

    async def _purge_key(self, request: Request) -> Response:
        key: str = request.path_params["key"]
        if not is_surrogate_key(key):
            return _error(400, "Bad request", f"found {key!r}, wanted a surrogate key: visible ASCII characters")
        if len(key) > LONGEST_KEY:
            return _error(400, "Bad request", f"found a key of {len(key)} bytes, wanted {LONGEST_KEY} at most")
        await self._purge([{"surrogate_key": key, "soft": _soft(request)}])
        return JSONResponse({"status": "ok", "id": self._fresh_id()})

    async def _purge_keys(self, request: Request) -> Response:
        """Keys in the Surrogate-Key field, separated by spaces, or as `{"surrogate_keys": [...]}`."""
        given: object = request.headers.get("surrogate-key", "").split()
        if not given:
            body = bytearray()
            async for chunk in request.stream():
                body += chunk
                if len(body) > LARGEST_BODY:
                    return _error(413, "Request entity too large")
            try:
                given = json.loads(body)["surrogate_keys"]
            except (ValueError, KeyError, TypeError, RecursionError):
                given = None
        if not isinstance(given, list) or not given or not all(isinstance(key, str) for key in given):
            return _error(400, "Bad request", 'wanted a Surrogate-Key field, or {"surrogate_keys": ["a", "b"]}')
        if len(given) > MOST_KEYS:
            return _error(400, "Bad request", f"found {len(given)} keys, wanted {MOST_KEYS} at most")
        longest = max(map(len, given))
        if longest > LONGEST_KEY:
            return _error(400, "Bad request", f"found a key of {longest} bytes, wanted {LONGEST_KEY} at most")
        # Keys with characters that no surrogate key can have are ignored.
        keys = [key for key in dict.fromkeys(given) if is_surrogate_key(key)]
        if keys:
            await self._purge([{"surrogate_keys": keys, "soft": _soft(request)}])
        return JSONResponse({key: self._fresh_id() for key in keys})

    async def _purge_all(self, request: Request) -> Response:
        """Never soft."""
        await self._purge([{"everything": True}])
        return JSONResponse({"status": "ok"})

    async def _purge(self, orders: list[Order]) -> None:
        task = self._background.start("purge", self._carry_out(orders))
        await asyncio.wait({task}, timeout=PATIENCE_S)

    async def _carry_out(self, orders: list[Order]) -> None:
        await self._fleet.purge(orders)

    def _fresh_id(self) -> str:
        """An id that looks like Fastly's: a place, a second, a number."""
        return f"0-{int(self._clock())}-{next(self._serial)}"


def _soft(request: Request) -> bool:
    """Whether the field is there, whatever its value."""
    return "fastly-soft-purge" in request.headers


async def _openid(request: Request) -> Response:
    base = str(request.base_url).rstrip("/") + "/realms/fastly"
    return JSONResponse(
        {
            "issuer": base,
            "authorization_endpoint": f"{base}/protocol/openid-connect/auth",
            "token_endpoint": f"{base}/protocol/openid-connect/token",
        }
    )


async def _unknown(request: Request) -> Response:
    return _error(404, "Not found", f"cdnlab has no {request.method} {request.scope['path']}")


def _error(status: int, message: str, detail: str = "") -> Response:
    return JSONResponse({"msg": message} | ({"detail": detail} if detail else {}), status_code=status)
