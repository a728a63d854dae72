"""The part of the CloudFront API that a lab has a use for: routes, signatures, XML in and out.

Source: the API model 2020-05-31 in botocore, which its clients follow.
"""

import asyncio
import logging
import secrets
import string
from collections.abc import Awaitable, Callable
from copy import deepcopy
from functools import partial
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from cdnkit.vendors.cloudfront.distribution import Translated
from cdnlab.control.distributions import (
    DEPLOYED,
    Distribution,
    Distributions,
    described,
    is_enabled,
    summary,
    translated_from,
)
from cdnlab.control.fleet import Fleet
from cdnlab.control.invalidations import COMPLETED, Invalidation, Invalidations, orders_of, page
from cdnlab.control.rest_xml import ApiError, Element, items_of, listed, made, moment, read, refusal, response, text_of
from cdnlab.control.settings import Control
from cdnlab.control.sigv4 import NotSigned, verify
from cdnlab.control.takeover import Unworkable
from edge.background import Background

logger = logging.getLogger("cdnlab.control")

GATES_OPEN = "no longer checked, although the settings file wants it"

FILE = "ECDNLAB"
"""Id of the distribution that stands for the settings file."""

_BASE = "/2020-05-31"
_LETTERS = string.ascii_uppercase + string.digits


class Lab(Protocol):
    """What the API needs of a cluster to put a distribution in force."""

    def domain(self) -> str:
        """Host and port that viewers use."""

    def https(self) -> bool:
        """Whether viewers can use HTTPS at every edge."""

    async def check(self, distribution: Translated) -> None:
        """Raises `Unworkable` for a distribution that no node could serve."""

    def gates_lost(self, distribution: Translated) -> list[str]:
        """The checks of viewers that the settings file makes and the distribution does not, in words."""

    async def deploy(self, distribution: Translated | None) -> None:
        """Puts a distribution in force; None: the settings file. Every node serves by its rules when this returns."""


Operation = Callable[[Request, bytes], Awaitable[Response]]


def fresh_id(initial: str) -> str:
    """An id that looks like CloudFront's: "IDFDVBD632BHDS5"."""
    return initial + "".join(secrets.choice(_LETTERS) for _ in range(13))


class CloudFront:
    """The API over one lab."""

    def __init__(self, settings: Control, fleet: Fleet, clock: Callable[[], float], lab: Lab) -> None:
        self._lab = lab
        self._distributions = Distributions(fresh_id, https=lab.https())
        self._deploying = asyncio.Lock()
        self._settings = settings
        self._fleet = fleet
        self._clock = clock
        self._invalidations = Invalidations(partial(fresh_id, "I"))
        self._background = Background(logger, "control")

    def routes(self) -> list[BaseRoute]:
        operations: list[tuple[str, str, Operation]] = [
            ("POST", "/distribution", self._create_distribution),
            ("GET", "/distribution", self._list_distributions),
            ("GET", "/distribution/{distribution}", self._get_distribution),
            ("DELETE", "/distribution/{distribution}", self._delete_distribution),
            ("GET", "/distribution/{distribution}/config", self._get_distribution_config),
            ("PUT", "/distribution/{distribution}/config", self._update_distribution),
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
        """Gives up the work in progress, whose status stays InProgress."""
        await self._background.close()

    async def _guarded(self, operations: dict[str, Operation], request: Request) -> Response:
        """Verifies the signature before anything else, then runs the operation."""
        try:
            body = await _content(request)
            self._verify(request, body)
            operation = operations.get(request.method)
            if operation is None:
                raise ApiError("UnsupportedOperation", f"cdnlab has no {request.method} {request.scope['path']}.")
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
        # Exactly as sent: spaces at either end are part of a path.
        paths = [item.text or "" for item in items_of(batch.find("Paths"), "Paths")]
        invalidation, new = self._invalidations.create(
            distribution, paths, text_of(batch, "CallerReference"), self._clock()
        )
        if new:
            self._background.start(f"invalidation {invalidation.id}", self._carry_out(invalidation))
        location = f"{request.url.replace(query='')}/{invalidation.id}"
        return response(_invalidation(invalidation), 201, {"Location": location})

    async def _carry_out(self, invalidation: Invalidation) -> None:
        if await self._fleet.purge(orders_of(*invalidation.paths)):
            invalidation.status = COMPLETED

    async def _get_invalidation(self, request: Request, body: bytes) -> Response:
        found = self._invalidations.get(self._distribution(request), request.path_params["id"])
        return response(_invalidation(found))

    async def _list_invalidations(self, request: Request, body: bytes) -> Response:
        found = {one.id: one for one in self._invalidations.latest_first(self._distribution(request))}
        some = page(list(found), request.query_params.get("Marker"), request.query_params.get("MaxItems"))
        items = [
            made("InvalidationSummary", ("Id", one.id), ("CreateTime", moment(one.created_at)), ("Status", one.status))
            for one in (found[id] for id in some.ids)
        ]
        more = [("NextMarker", some.next_marker)] if some.next_marker is not None else []
        return response(
            listed(
                "InvalidationList", items, ("Marker", some.marker), *more,
                ("MaxItems", some.most), ("IsTruncated", some.next_marker is not None),
            )
        )  # fmt: skip

    def _distribution(self, request: Request) -> str:
        id: str = request.path_params["distribution"]
        return id if id == FILE else self._distributions.get(id).id

    # ---- distributions -----------------------------------------------------------------------------------------

    async def _create_distribution(self, request: Request, body: bytes) -> Response:
        if "WithTags" in request.query_params:
            raise ApiError("UnsupportedOperation", "cdnlab has no tags.")
        config = read(body, "DistributionConfig")
        await self._checked(config)
        one, new = self._distributions.create(config, self._clock())
        if new:
            self._background.start(f"distribution {one.id}", self._deploy(one))
        location = f"{request.url.replace(query='')}/{one.id}"
        return response(self._described(one), 201, {"Location": location, "ETag": one.etag, **self._warning(one)})

    async def _checked(self, config: Element) -> None:
        """Raises `ApiError` for a config that cannot work, before anything changes: it would empty every node."""
        translated = translated_from(config, https=self._lab.https())
        if is_enabled(config):
            try:
                await self._lab.check(translated)
            except Unworkable as error:
                raise ApiError("InvalidOrigin", str(error)) from None

    def _warning(self, one: Distribution) -> dict[str, str]:
        lost = self._lab.gates_lost(one.translated) if one.enabled else []
        return {"CDNLab-Warning": f"{GATES_OPEN}: {'; '.join(lost)}"} if lost else {}

    async def _deploy(self, one: Distribution) -> None:
        """Puts it in force, one deployment after another, so that the latest version comes last."""
        version = one.versions
        async with self._deploying:
            await self._lab.deploy(one.translated if one.enabled else None)
        if one.versions == version:
            one.status = DEPLOYED

    async def _list_distributions(self, request: Request, body: bytes) -> Response:
        known = [self._distributions.created] if self._distributions.created is not None else []
        some = page([one.id for one in known], request.query_params.get("Marker"), request.query_params.get("MaxItems"))
        items = [summary(one, self._lab.domain()) for one in known if one.id in some.ids]
        return response(
            listed("DistributionList", items, ("Marker", some.marker), ("MaxItems", some.most), ("IsTruncated", False))
        )

    async def _get_distribution(self, request: Request, body: bytes) -> Response:
        one = self._created(request)
        return response(self._described(one), 200, {"ETag": one.etag})

    async def _get_distribution_config(self, request: Request, body: bytes) -> Response:
        one = self._created(request)
        return response(deepcopy(one.config), 200, {"ETag": one.etag})

    async def _update_distribution(self, request: Request, body: bytes) -> Response:
        id = self._created(request).id
        config = read(body, "DistributionConfig")
        self._distributions.matched(id, request.headers.get("if-match"))
        await self._checked(config)
        one = self._distributions.update(id, config, request.headers.get("if-match"), self._clock())
        self._background.start(f"distribution {one.id}", self._deploy(one))
        return response(self._described(one), 200, {"ETag": one.etag, **self._warning(one)})

    async def _delete_distribution(self, request: Request, body: bytes) -> Response:
        self._distributions.delete(self._created(request).id, request.headers.get("if-match"))
        return Response(status_code=204)

    def _created(self, request: Request) -> Distribution:
        id: str = request.path_params["distribution"]
        if id == FILE:
            raise ApiError("AccessDenied", f"{FILE} stands for the settings file: change it there.", 403)
        return self._distributions.get(id)

    def _described(self, one: Distribution) -> Element:
        return described(one, self._lab.domain(), self._invalidations.in_progress(one.id))


_METHODS = ("GET", "POST", "PUT", "DELETE")

LARGEST_BODY = 16 * 2**20
"""Bytes: 3,000 paths of 4,000 characters, and their tags."""


async def _content(request: Request) -> bytes:
    """The body, at most LARGEST_BODY bytes: it is read before its signature is known to be good."""
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
