"""What an encoder may do with an object: `PUT|POST|DELETE /ingest/{stream}/{path}` (DASH-IF live media ingest 1.2,
interface 2).

| status   | when                                                                                                   |
|----------|--------------------------------------------------------------------------------------------------------|
| 201, 204 | the object is served from now on; 204: in place of another one                                         |
| 200      | an empty body, which is a question whether this would work; a DELETE                                   |
| 400      | a playlist that is none; a part of an object (Content-Range)                                           |
| 403      | a path that leads out of the stream; a name that cannot be used                                        |
| 404      | DELETE of what is not there                                                                            |
| 405      | another method                                                                                         |
| 408      | no byte for `ingest_stalled`                                                                           |
| 409      | the stream is fed by tracks (interface 1)                                                              |
| 411      | neither Content-Length nor chunked content                                                             |
| 412      | `If-None-Match` or `If-Match`, and they do not hold                                                    |
| 413, 507 | a bound is met: of an object; of a stream, or of all                                                   |
| 415      | an extension that no media has; a content coding                                                       |
| 429      | one open request too many, or it holds most of a full memory                                           |
| 503      | storage failed, or the origin shuts down: the same request may succeed later (Retry-After)             |
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

from starlette.requests import Request
from starlette.types import Message, Receive

from origin.errors import BadMedia, Refused, printable
from origin.ingest.content import is_empty
from origin.ingest.memory import Memory, Share
from origin.publishing.responses import matches
from origin.uploads.body import messages
from origin.uploads.objects import StoredObject
from origin.uploads.uploads import Uploads


class ObjectEndpoint:
    """Answers the requests about objects."""

    def __init__(self, uploads: Uploads, memory: Memory, stopping: asyncio.Event) -> None:
        """`memory`: that of all open requests; `stopping`: set at shutdown."""
        self.uploads = uploads
        self.memory = memory
        self.stopping = stopping

    async def answer(self, request: Request, receive: Receive) -> int:
        """The status of a success. `Refused`, `StorageFailed`, `Gone`: there is none."""
        name, path = request.path_params["stream"], request.path_params["path"]
        if request.method not in ("PUT", "POST", "DELETE"):
            known = "GET, HEAD, PUT, POST, DELETE"
            raise Refused(405, f"Found {request.method}, wanted one of {known}.", allow=known)
        if request.method == "DELETE":
            return await self._delete(name, path, receive)
        _check_fields(request)
        return await self._put(request, name, path, receive)

    async def _put(self, request: Request, name: str, path: str, receive: Receive) -> int:
        uploads = self.uploads
        if is_empty(request):
            there = uploads.streams.get(name)
            _check_conditions(request, there.objects.get(path) if there else None)
            return 200
        stream = await uploads.stream(name)
        upload, spool = uploads.begin(stream, path)
        share = Share(self.memory, f"{name}/{path}")
        stored = False
        try:
            _check_conditions(request, stream.objects.get(path))
            if (length := request.headers.get("content-length", "")).isdecimal():
                stream.check_size(path, int(length), uploads.largest(path))
            async with aclosing(self._messages(receive, share)) as body:
                async for message in body:
                    if data := message.get("body", b""):
                        await uploads.take(stream, upload, spool, data)
                        share.hold(spool.held)
            if not spool.size:
                return 200
            try:
                created = await uploads.store(stream, upload, spool, partial(_check_conditions, request))
            except BadMedia as error:
                raise Refused(error.status, f"{_name(request)}: {error}") from None
            stored = True
            return 201 if created else 204
        finally:
            share.release()
            if not stored:
                spool.discard()
            uploads.over(stream, upload)

    def _messages(self, receive: Receive, share: Share) -> AsyncGenerator[Message, None]:
        return messages(receive, self.stopping, self.uploads.settings.ingest_stalled, share)

    async def _delete(self, name: str, path: str, receive: Receive) -> int:
        # ffmpeg ends its DELETE as it ends a PUT, with a last chunk: it is read, so that the connection lives on.
        async with aclosing(self._messages(receive, Share(self.memory, f"{name}/{path}"))) as body:
            async for message in body:
                if message.get("body", b""):
                    raise Refused(400, f"{name}/{path}: found a DELETE with content, wanted none.")
        stream = self.uploads.streams.get(name)
        return 200 if stream is not None and await self.uploads.delete(stream, path) else 404


def _check_fields(request: Request) -> None:
    fields = request.headers
    if (coding := fields.get("content-encoding", "identity").lower()) != "identity":
        found = f"found Content-Encoding: {printable(coding, 30)}"
        raise Refused(415, f"{_name(request)}: {found}, wanted none: caches compress.", accept_encoding="identity")
    if "content-range" in fields:
        raise Refused(400, f"{_name(request)}: found Content-Range, wanted the whole object (RFC 9110 §14.5).")


def _check_conditions(request: Request, there: StoredObject | None) -> None:
    """`there`: the object that would be replaced."""
    if not matches(request.headers, there.etag if there else None):
        found = f"an object {there.etag}" if there else "no object"
        raise Refused(412, f"{_name(request)}: found {found}, wanted what If-Match or If-None-Match says.")


def _name(request: Request) -> str:
    return printable(f"{request.path_params['stream']}/{request.path_params['path']}")
