"""Orders to the origin beside media, on the ingest listener: JSON in, JSON out."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from origin.errors import Refused, StorageFailed
from origin.ingest.refusing import refuse

LARGEST_ORDER = 65_536
"""Bytes of a request's content."""


class Orders:
    """ASGI endpoint of one kind of orders."""

    def __init__(self, answer: Callable[[Request], Awaitable[Response]]) -> None:
        """`answer` may raise `Refused` and `StorageFailed`."""
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._answer(Request(scope, receive))
        except ClientDisconnect:
            return
        except Refused as error:
            if error.status == 413:
                await refuse(receive, send, error)
                return
            response = PlainTextResponse(f"{error}\n", error.status, dict(error.fields))
        except StorageFailed as error:
            response = PlainTextResponse(f"{error}\n", 503, {"Retry-After": "1"})
        await response(scope, receive, send)


def shown(value: object, status: int = 200) -> Response:
    """A response of JSON that a person can read."""
    response = JSONResponse(None, status, {"Cache-Control": "no-store"})
    response.body = (json.dumps(value, indent=2) + "\n").encode()
    response.headers["Content-Length"] = str(len(response.body))
    return response


async def content_of(request: Request) -> dict[str, Any]:
    """The object that a request has as its content. `Refused`: it has none."""
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > LARGEST_ORDER:
            raise Refused(413, f"content: found more than {LARGEST_ORDER} bytes, wanted at most that many.")
    try:
        value = json.loads(content, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"content: found no JSON ({error}), wanted an object such as {{}}.") from None
    if not isinstance(value, dict):
        raise Refused(400, f"content: found {type(value).__name__}, wanted an object in JSON.")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a name that comes twice")
    return values


def wrong_method(request: Request, known: str) -> Refused:
    """The refusal of a method that is not `known`."""
    return Refused(405, f"method: found {request.method}, wanted {known}.", allow=known)
