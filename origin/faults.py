"""Misfortune at the press of a switch: an origin that is slow, that fails, that breaks off in mid-body.

`GET /faults` on the ingest listener shows which faults are on, `PUT /faults` with `{"delay": "2s", "error_rate": 0.5,
...}` sets all of them anew, `DELETE /faults` ends them. An origin has this switch under `cdnlab up` and with `cdnlab
origin --faults`. No cache reaches it, and an origin that starts anew has no faults. They hit the public listener, all
but `/healthz`: encoders are never refused.
"""

import asyncio
import json
import logging
import random

from pydantic import Field, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cdnkit.units import Seconds, Settings

log = logging.getLogger("origin")

HEALTH = "/healthz"
LARGEST = 64 * 1024
"""The most bytes in the content of a PUT."""


class Faults(Settings):
    """What is wrong with the origin; by default nothing."""

    delay: Seconds = Field(default=0.0, le=600.0)
    """Seconds before every answer, which is right otherwise."""

    error_rate: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of requests that are answered with an error."""

    status: int = Field(default=503, ge=500, le=599)
    """The status of these errors."""

    break_rate: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of answers whose connection breaks half-way through the body."""


class BrokenOff(Exception):
    """Raised in the middle of a response, so that the server breaks off its connection."""


class FaultSwitch:
    """The faults that are on, and the endpoint that sets them."""

    def __init__(self) -> None:
        self.faults = Faults()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._answer(Request(scope, receive))
        except ClientDisconnect:
            return
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method == "PUT":
            try:
                self.faults = Faults.model_validate(json.loads(await _content(request)))
            except ValidationError as error:
                return _wrong([_sentence(dict(one)) for one in error.errors()])
            except (ValueError, RecursionError) as error:
                return _wrong([f"content: found no JSON ({error}), wanted an object such as {{'delay': '2s'}}"])
            log.warning("faults: %s", self.faults)
        elif request.method == "DELETE":
            self.faults = Faults()
            log.warning("faults: none")
        elif request.method != "GET":
            return _wrong([f"method: found {request.method}, wanted GET, PUT or DELETE"], status=405)
        return JSONResponse(self.faults.model_dump(mode="json"))


async def _content(request: Request) -> bytes:
    """The whole content; ValueError where it is longer than `LARGEST`."""
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > LARGEST:
            raise ValueError(f"more than {LARGEST} bytes")
    return bytes(content)


class Faulty:
    """An application that suffers what the switch says."""

    def __init__(self, app: ASGIApp, switch: FaultSwitch) -> None:
        self._app = app
        self._switch = switch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        faults = self._switch.faults
        if faults == Faults() or scope["type"] != "http" or scope["path"] == HEALTH:
            await self._app(scope, receive, send)
            return
        await asyncio.sleep(faults.delay)
        if random.random() < faults.error_rate:
            await Response("A fault that was asked for.\n", faults.status, media_type="text/plain")(
                scope, receive, send
            )
        elif random.random() < faults.break_rate:
            await self._app(scope, receive, _breaking(send))
        else:
            await self._app(scope, receive, send)


def _breaking(send: Send) -> Send:
    """Sends the head and half of the first piece of the body, and no more."""

    async def cut(message: Message) -> None:
        body = message.get("body", b"")
        if message["type"] != "http.response.body" or not body:
            await send(message)
            return
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        raise BrokenOff("a fault that was asked for")

    return cut


def _sentence(error: dict[str, object]) -> str:
    where = ".".join(map(str, error["loc"])) if isinstance(error["loc"], tuple) else ""
    wanted = str(error["msg"]).removeprefix("Value error, ").replace("Input should be", "wanted")
    if error["type"] == "extra_forbidden":
        wanted = f"wanted one of {', '.join(Faults.model_fields)}"
    return f"{where or 'faults'}: found {error['input']!r}, {wanted}"


def _wrong(why: list[str], status: int = 400) -> Response:
    return JSONResponse({"error": why}, status_code=status)
