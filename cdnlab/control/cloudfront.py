"""The CloudFront API as far as a lab has what it speaks of: routes, signatures, XML in and out.

Source: the API model 2020-05-31 in botocore, which is what its clients go by.
"""

import asyncio
import logging
import secrets
import string
from collections.abc import Awaitable, Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from cdnlab.control.fleet import Fleet, Refused
from cdnlab.control.invalidations import COMPLETED, Invalidation, Invalidations, orders_of, page
from cdnlab.control.rest_xml import ApiError, Element, answer, items_of, listed, made, moment, read, refusal, text_of
from cdnlab.control.settings import Control
from cdnlab.control.sigv4 import NotSigned, verify

logger = logging.getLogger("cdnlab.control")

FILE = "ECDNLAB"
"""Id of the distribution that the settings file describes."""

_BASE = "/2020-05-31"
_LETTERS = string.ascii_uppercase + string.digits

Operation = Callable[[Request, bytes], Awaitable[Response]]


def fresh_id(initial: str) -> str:
    """As CloudFront's look: "IDFDVBD632BHDS5"."""
    return initial + "".join(secrets.choice(_LETTERS) for _ in range(13))


class CloudFront:
    """The API over one lab."""

    def __init__(self, settings: Control, fleet: Fleet, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._fleet = fleet
        self._clock = clock
        self._invalidations = Invalidations(partial(fresh_id, "I"))
        self._tasks: set[asyncio.Task[None]] = set()

    def routes(self) -> list[BaseRoute]:
        operations: list[tuple[str, str, Operation]] = [
            ("POST", "/distribution/{distribution}/invalidation", self._create_invalidation),
            ("GET", "/distribution/{distribution}/invalidation", self._list_invalidations),
            ("GET", "/distribution/{distribution}/invalidation/{id}", self._get_invalidation),
        ]
        known = {(method, path): operation for method, path, operation in operations}
        routes: list[BaseRoute] = []
        for path in dict.fromkeys(path for _, path, _ in operations):
            methods = {method: known[method, path] for method, at in known if at == path}
            routes.append(Route(_BASE + path, partial(self._guarded, methods), methods=list(_METHODS)))
        routes.append(Route(_BASE + "/{rest:path}", partial(self._guarded, {}), methods=list(_METHODS)))
        return routes

    async def close(self) -> None:
        """What is in progress stays as it is."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _guarded(self, operations: dict[str, Operation], request: Request) -> Response:
        """Nothing is looked at before the signature."""
        try:
            body = await _content(request)
            self._verify(request, body)
            operation = operations.get(request.method)
            if operation is None:
                raise ApiError("UnsupportedOperation", f"cdnlab has no {request.method} {request.url.path}.")
            return await operation(request, body)
        except NotSigned as error:
            return refusal(ApiError(error.code, error.message, error.status), secrets.token_hex(16))
        except ApiError as error:
            return refusal(error, secrets.token_hex(16))

    def _verify(self, request: Request, body: bytes) -> None:
        raw_path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
        verify(
            request.method,
            raw_path.partition(b"?")[0].decode("latin-1"),
            request.scope["query_string"].decode("latin-1"),
            ((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.scope["headers"]),
            body,
            access_key_id=self._settings.access_key_id,
            secret=self._settings.secret_access_key,
            service="cloudfront",
            now=self._clock(),
        )

    # ---- invalidations -----------------------------------------------------------------------------------------

    async def _create_invalidation(self, request: Request, body: bytes) -> Response:
        distribution = self._distribution(request)
        batch = read(body, "InvalidationBatch")
        # Exactly as typed, spaces at either end too: they are part of a path.
        paths = [item.text or "" for item in items_of(batch.find("Paths"), "Paths")]
        invalidation, new = self._invalidations.create(
            distribution, paths, text_of(batch, "CallerReference"), self._clock()
        )
        if new:
            task = asyncio.create_task(self._carry_out(invalidation))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        location = f"{request.url.replace(query='')}/{invalidation.id}"
        return answer(_invalidation(invalidation), 201, {"Location": location})

    async def _carry_out(self, invalidation: Invalidation) -> None:
        orders = [order for path in invalidation.paths for order in orders_of(path)]
        distinct = {tuple(order.items()): order for order in orders}
        try:
            await self._fleet.purge(list(distinct.values()))
        except Refused as error:
            # The API knows no third state: it stays in progress, as it is.
            logger.error("invalidation %s: %s", invalidation.id, error)
        else:
            invalidation.status = COMPLETED

    async def _get_invalidation(self, request: Request, body: bytes) -> Response:
        found = self._invalidations.get(self._distribution(request), request.path_params["id"])
        return answer(_invalidation(found))

    async def _list_invalidations(self, request: Request, body: bytes) -> Response:
        found = {one.id: one for one in self._invalidations.latest_first(self._distribution(request))}
        some = page(list(found), request.query_params.get("Marker"), request.query_params.get("MaxItems"))
        items = [
            made("InvalidationSummary", ("Id", one.id), ("CreateTime", moment(one.created_at)), ("Status", one.status))
            for one in (found[id] for id in some.ids)
        ]
        more = [("NextMarker", some.next_marker)] if some.next_marker is not None else []
        return answer(
            listed(
                "InvalidationList", items, ("Marker", some.marker), *more,
                ("MaxItems", some.most), ("IsTruncated", some.next_marker is not None),
            )
        )  # fmt: skip

    def _distribution(self, request: Request) -> str:
        id: str = request.path_params["distribution"]
        if id != FILE:
            raise ApiError("NoSuchDistribution", "The specified distribution does not exist.", 404)
        return id


_METHODS = ("GET", "POST", "PUT", "DELETE")

LARGEST_BODY = 16 * 2**20
"""3,000 paths of 4,000 characters, and their tags."""


async def _content(request: Request) -> bytes:
    """The body, which is read before anybody is known to have signed it: so much of it, and no more."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > LARGEST_BODY:
            raise ApiError("BatchTooLarge", f"wanted a body of {LARGEST_BODY} bytes at most.", 413)
    return bytes(content)


def _invalidation(one: Invalidation) -> Element:
    paths = listed("Paths", [_text("Path", path) for path in one.paths])
    return made(
        "Invalidation",
        ("Id", one.id),
        ("Status", one.status),
        ("CreateTime", moment(one.created_at)),
        made("InvalidationBatch", paths, ("CallerReference", one.caller_reference)),
    )


def _text(name: str, text: str) -> Element:
    element = made(name)
    element.text = text
    return element
