"""What caches and players reach: playlists, init sections and segments of live streams, and the VOD folder.

    /{stream}/multivariant.m3u8    /{stream}/{track}/media.m3u8    /{stream}/{track}/init-{id}.mp4
    /{stream}/{track}/seg-{generation}-{number}.m4s    /{stream}/{track}/part-{generation}-{number}-{index}.m4s
    /{stream}/manifest.mpd    /{stream}/manifest-number.mpd    /{stream}/manifest-low-latency.mpd    /{stream}/time
    /{stream}/multivariant-ts.m3u8    /{stream}/{track}/ts.m3u8    /{stream}/{track}/seg-{generation}-{number}.ts
    /{stream}/{track}/vtt.m3u8    /{stream}/{track}/seg-{generation}-{number}.vtt
    /{stream}/key-{id}.key    /{stream}/license.key
    /vod/...    /  (the streams)    /healthz

Live resources are looked up by their whole path in one table; a request's path never becomes a file's.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from origin.dash.mpd import LICENSE, MANIFEST, NUMBER_MANIFEST, TIME
from origin.errors import printable
from origin.hls.playlist import date_time
from origin.live.account import Account
from origin.mpegts.alternative import Alternative
from origin.publishing import documents
from origin.publishing.bodies import read_pieces
from origin.publishing.codings import Gzipped
from origin.publishing.growing import Growing, GrowingResponse, find_growing
from origin.publishing.held import Found, Held, Unmet
from origin.publishing.protection import read_license_request
from origin.publishing.publisher import Publisher
from origin.publishing.responses import Resource, cache_control, cross_origin, respond
from origin.uploads.objects import ObjectStream
from origin.uploads.uploads import Uploads
from origin.vod import find
from origin.webvtt.subtitles import Subtitles

log = logging.getLogger("origin")

LARGEST_REQUEST = 16 * 1024
"""Of a license: 64 ids of keys in JSON have 2 KiB."""
_METHODS = ["GET", "HEAD", "OPTIONS"]
_REQUEST_FIELDS = (
    "*, "  # players add fields such as Cache-Control; nothing here depends on who asks
    "CMCD-Object, CMCD-Request, CMCD-Session, CMCD-Status, "  # CTA-5004; for browsers that do not know `*`
    "If-Match, If-Modified-Since, If-None-Match, If-Range, Range"
)


def origin_app(publisher: Publisher, uploads: Uploads) -> Starlette:
    """The application of the public listener."""
    allowed = publisher.settings.cors
    held = Held(publisher)
    mpegts = Alternative(publisher)
    subtitles = Subtitles(publisher, held)
    gzipped = Gzipped()

    async def live(request: Request) -> Response:
        if request.method == "OPTIONS":
            return _preflight(allowed)
        name = request.path_params["name"]
        query = request.scope["query_string"].decode("latin-1")
        resource: Growing | Found
        resource = await held.find(name, query, request.receive)
        if resource is None:
            resource = await find_growing(publisher, name, request.receive)
        if isinstance(resource, Growing):
            return GrowingResponse(resource, request.method)
        resource = resource or await mpegts.find(name) or await subtitles.find(name, query, request.receive)
        resource = resource or documents.find(publisher, name)
        if isinstance(resource, Unmet):
            return _unmet(publisher, uploads, name, resource)
        if resource is None:
            return _not_found(publisher, uploads, name, _why_not(publisher, name))
        return await _send(request, resource, publisher.catalog.body(name, resource), allowed, gzipped)

    async def time(request: Request) -> Response:
        if request.method == "OPTIONS":
            return _preflight(allowed)
        if (name := request.path_params["stream"]) not in publisher.streams:
            return _not_found(publisher, uploads, f"{name}/{TIME}")
        # A stored answer is a wrong clock.
        headers = {**dict(cross_origin(allowed)), "Cache-Control": "no-store"}
        return Response(date_time(publisher.clock()), 200, headers, "text/plain")

    async def license(request: Request) -> Response:
        if request.method == "OPTIONS":
            return _preflight(allowed, "GET, HEAD, POST, OPTIONS", f"Content-Type, {_REQUEST_FIELDS}")
        stream, wanted = request.path_params["stream"], None
        if (uploaded := publisher.catalog.get(f"{stream}/{LICENSE}")) is not None and request.method != "POST":
            return await _send(request, uploaded, uploaded.body, allowed, gzipped)
        headers = {**dict(cross_origin(allowed)), "Cache-Control": "private, no-store"}
        if request.method == "POST":
            asked = read_license_request(await _body(request))
            if isinstance(asked, str):
                return Response(f"/{printable(stream)}/{LICENSE}: {asked}.\n", 400, headers, "text/plain")
            wanted = asked
        if (found := publisher.protection.license(stream, wanted)) is None:
            return Response(f"/{printable(stream)}/{LICENSE}: no such key.\n", 404, headers, "text/plain")
        return Response(json.dumps(found), 200, {**headers, "Surrogate-Key": f"{stream} key"}, "application/json")

    async def vod(request: Request) -> Response:
        if request.method == "OPTIONS":
            return _preflight(allowed)
        name = request.path_params["name"]
        folder = publisher.settings.vod
        resource = await asyncio.to_thread(find, folder, name, publisher.settings.lifetimes.vod) if folder else None
        if resource is None:
            return _not_found(publisher, uploads, f"vod/{name}")
        return await _send(request, resource, None, allowed, gzipped)

    async def streams(request: Request) -> Response:
        if request.method == "OPTIONS":
            return _preflight(allowed)
        return _json(_list(publisher, uploads), allowed)

    async def health(request: Request) -> Response:
        if request.method == "OPTIONS":
            return _preflight(allowed)
        trouble = publisher.trouble or publisher.storage.trouble or uploads.trouble
        well = not (trouble or publisher.ended)
        answer = {"ok": well, "storage": trouble or "ok", "background": publisher.ended or "ok"}
        return _json(answer, allowed, 200 if well else 503)

    async def http_error(request: Request, error: Exception) -> Response:
        """404, 405 and the router's other refusals, in our words and with our fields."""
        assert isinstance(error, HTTPException)
        headers = {**(error.headers or {}), **dict(cross_origin(allowed)), "Cache-Control": cache_control(1)}
        return Response(f"{error.detail}\n", error.status_code, headers, "text/plain")

    return Starlette(
        routes=[
            Route("/", streams, methods=_METHODS),
            Route("/healthz", health, methods=_METHODS),
            Route("/vod/{name:path}", vod, methods=_METHODS),
            Route(f"/{{stream}}/{TIME}", time, methods=_METHODS),
            Route(f"/{{stream}}/{LICENSE}", license, methods=[*_METHODS, "POST"]),
            Route("/{name:path}", live, methods=_METHODS),
        ],
        exception_handlers={HTTPException: http_error},
    )


def _preflight(allowed: str, methods: str = "GET, HEAD, OPTIONS", fields: str = _REQUEST_FIELDS) -> Response:
    headers = {
        **dict(cross_origin(allowed)),
        "Access-Control-Allow-Methods": methods,
        "Access-Control-Allow-Headers": fields,
        "Access-Control-Max-Age": "86400",
        "Allow": methods,
    }
    return Response(status_code=204, headers=headers)


async def _body(request: Request) -> bytes:
    """What a license request has, up to a byte more than one may have."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_REQUEST:
            return b""
    return body


def _why_not(publisher: Publisher, name: str) -> str:
    """Of a path that nothing is at."""
    stream, _, file = name.partition("/")
    if file in (MANIFEST, NUMBER_MANIFEST) and publisher.protection.is_whole(stream):
        return "the stream is encrypted with AES-128, which DASH has not; wanted SAMPLE-AES."
    return "not here."


def _not_found(publisher: Publisher, uploads: Uploads, name: str, why: str = "not here.") -> Response:
    return _unmet(publisher, uploads, name, Unmet(404, why, publisher.settings.lifetimes.not_found))


def _unmet(publisher: Publisher, uploads: Uploads, name: str, unmet: Unmet) -> Response:
    headers = {**dict(cross_origin(publisher.settings.cors)), "Cache-Control": cache_control(unmet.lifetime)}
    stream = name.partition("/")[0]
    if stream in publisher.streams or stream in uploads.streams:
        headers["Surrogate-Key"] = stream  # purging the stream makes caches forget what was not there, too
    return Response(f"/{printable(name)}: {unmet.text}\n", unmet.status, headers, "text/plain")


def _unreadable(request: Request, error: OSError, allowed: str) -> Response:
    log.error("%s: %s", printable(request.scope["path"]), error)
    headers = {**dict(cross_origin(allowed)), "Cache-Control": "no-store"}
    return Response("The origin cannot read this file.\n", 500, headers, "text/plain")


async def _send(request: Request, resource: Resource, body: bytes | None, allowed: str, gzipped: Gzipped) -> Response:
    try:
        resource, body = await gzipped.chosen(request.scope["path"], resource, body, request.headers)
    except OSError as error:
        return _unreadable(request, error, allowed)
    reply = respond(resource, request.method, request.headers, allowed)
    response: Response
    if reply.first == reply.end:
        response = Response(status_code=reply.status)
    elif body is not None:
        # One message of bytes: the server copies anything else, and sends several in several writes.
        whole = reply.end - reply.first == len(body)
        response = Response(body if whole else body[reply.first : reply.end], reply.status)
    else:
        chunks = read_pieces(resource, reply.first, reply.end)
        # The first chunk is read before the head is sent: a file that cannot be read is a 500, not a broken 200. A
        # handler for every OSError would be wrong: sending to a viewer that has left raises one, too.
        try:
            first = await anext(chunks)
        except OSError as error:
            return _unreadable(request, error, allowed)
        response = _FileResponse(first, chunks, reply.status)
    response.raw_headers = [
        (field.lower().encode("latin-1"), value.encode("latin-1")) for field, value in reply.headers
    ]
    return response


class _FileResponse(StreamingResponse):
    """A file's chunks. The file is closed with the response, however that ends, and not by the garbage collector."""

    def __init__(self, first: bytes, rest: AsyncGenerator[bytes, None], status: int) -> None:
        super().__init__(_continued(first, rest), status)
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._rest):
            await super().__call__(scope, receive, send)


async def _continued(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


def _json(value: object, allowed: str, status: int = 200) -> Response:
    headers = {**dict(cross_origin(allowed)), "Cache-Control": "no-store"}
    return Response(json.dumps(value, indent=2) + "\n", status, headers, "application/json")


def _list(publisher: Publisher, uploads: Uploads) -> dict[str, object]:
    return {
        "streams": [
            {
                "name": stream.name,
                "url": f"{stream.name}/multivariant.m3u8",
                "ended": stream.ended,
                "tracks": [
                    {
                        "name": window.name,
                        "codec": window.track.codec,
                        "segments": len(window.listed),
                        "last": window.next_number - 1,
                        "bandwidth_bps": round(window.average_bps),
                        "samples": _samples(stream.accounts.get(window.name)),
                    }
                    for window in stream.windows.values()
                ],
            }
            for stream in publisher.streams.values()
        ]
        + [_uploaded(stream) for stream in uploads.streams.values()],
        "vod": publisher.settings.vod is not None,
        **({"waiting": publisher.listing.bells.count} if publisher.settings.part is not None else {}),
    }


def _uploaded(stream: ObjectStream) -> dict[str, object]:
    playlists = [f"{stream.name}/{one.path}" for one in stream.outermost()]
    return {
        "name": stream.name,
        "url": playlists[0] if playlists else None,
        "playlists": playlists,
        "ended": stream.ended,
        "objects": len(stream.objects),
        "bytes": stream.size,
    }


def _samples(account: Account | None) -> dict[str, int] | None:
    """Frames of picture or of sound since the origin started; None: nothing of the track was posted since then."""
    if account is None:
        return None
    return {
        "received": account.received,
        "published": account.published,
        "refused": account.refused,
        "repeated": account.repeated,
    }
