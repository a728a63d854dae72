"""Which of the two interfaces an ingest request belongs to: tracks (interface 1) or objects (interface 2).

| the path in its stream                    | belongs to                                                               |
|-------------------------------------------|--------------------------------------------------------------------------|
| `{track}.cmfv`, `.cmfa`, `.cmft`; in a    | tracks                                                                   |
|   folder, too; `Streams({track}.cmfv)`    |                                                                          |
| `{track}/{name}.m4s`, `.mp4`, `.init`,    | tracks, if the stream is fed by tracks; else objects                     |
|   `.header`                               |                                                                          |
| a name that an MPD of interface 1 gives   | tracks                                                                   |
| `{name}.mpd`                              | what it says: names of tracks, or a presentation, which is an object     |
| `{name}.mp4`, the stream is fed by tracks | tracks                                                                   |
| `{name}.mp4`, the stream has objects      | objects                                                                  |
| `{name}.mp4`, neither                     | what its body says: a CMAF header and media is a track; a header alone   |
|                                           | is an object (`init.mp4` of `ffmpeg -f hls`), and so is what follows it  |
| any other, in folders too                 | objects                                                                  |

A stream is fed by tracks or by objects. Its name is free for the other when nobody has fed it for `ingest_stalled`;
until then, the other gets 409. While a stream has only headers named `*.mp4`, nothing is decided yet: a track may still
begin, and the header of its name is taken to be the track's.
"""

import asyncio
import logging
from collections import Counter
from contextlib import aclosing, suppress

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cdnkit.serving import Left
from origin.errors import BadMedia, NoRoom, Refused, StorageFailed, printable
from origin.ingest.content import is_empty
from origin.ingest.endpoint import Ingest, check_names
from origin.ingest.memory import Share
from origin.ingest.refusing import head, refuse
from origin.live.ingest_paths import LARGEST_MPD, read_names
from origin.uploads.body import Gone, messages, replay
from origin.uploads.endpoint import ObjectEndpoint
from origin.uploads.names import Class, check_path
from origin.uploads.objects import ObjectStream
from origin.uploads.opening import Opening, opening
from origin.uploads.uploads import WAIT_S, Uploads

log = logging.getLogger("origin")


class Interfaces:
    """ASGI endpoint of `/ingest/{stream}/{path}`."""

    def __init__(self, ingest: Ingest, uploads: Uploads, public: ASGIApp) -> None:
        """`public`: what viewers reach, by which an encoder reads back its own objects."""
        self._ingest = ingest
        self._uploads = uploads
        self._public = public
        self._objects = ObjectEndpoint(uploads, ingest.memory, ingest.stopping)
        self._undecided: Counter[str] = Counter()
        """Requests by stream that may yet turn out to be objects, while they are among its open POSTs."""
        self._deciding: dict[str, dict[asyncio.Event, None]] = {}
        """The same requests in the order in which they came; each is set when it is a track, or its object is there.
        Media without a header waits for those before it, which may bring the header on another connection."""
        self._open = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def stop(self) -> None:
        """Ends all open requests; what tracks have sent is stored, and no object is half."""
        await self._ingest.stop()
        await self._idle.wait()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        what = f"{request.method} {printable(scope['path'])}"
        self._open += 1
        self._idle.clear()
        try:
            status = await self._answer(request, receive, send)
            if status is not None:
                text = b"Not here.\n" if status == 404 else b""
                for part in (head(status, text), {"type": "http.response.body", "body": text}):
                    # ffmpeg sends its last requests in one go and hangs up: the connection goes on to the next of them
                    # only when this response is complete, also where nobody reads it.
                    with suppress(Left):
                        await send(part)
        except Refused as refused:
            log.warning("%s: %s", what, refused)
            await refuse(receive, send, refused)
        except StorageFailed as error:
            log.error("%s: %s", what, error)
            await self._uploads.failed(error)
            await refuse(receive, send, Refused(503, str(error), retry_after="1"))
        except Gone:
            log.warning("%s: broken off, and not stored", what)
        except Left:
            pass  # ffmpeg hangs up as soon as its body has ended
        except Exception as error:
            # A defect of ours: one line for the log, one response, and the other uploads go on.
            log.error("%s: %s: %s", what, type(error).__name__, error, exc_info=log.isEnabledFor(logging.DEBUG))
            await refuse(receive, send, Refused(500, "The origin failed; its log says why."))
        finally:
            self._open -= 1
            if not self._open:
                self._idle.set()

    async def _answer(self, request: Request, receive: Receive, send: Send) -> int | None:
        """The status to answer with; None: it has been answered."""
        name, path = request.path_params["stream"], request.path_params["path"]
        puts = request.method in ("PUT", "POST")
        if self._is_of_tracks(name, path):
            await self._to_tracks(request, receive, send)
            return None
        if puts and path.endswith(".mpd") and name not in self._uploads.streams:
            return await self._name_tracks(request, receive, send)
        if not puts or "/" in path or not path.endswith(".mp4"):
            return await self._to_objects(request, receive, send)
        stream = self._uploads.streams.get(name)
        if self._has_tracks(name) and not self._ingest.retention.is_idle(name):
            await self._to_tracks(request, receive, send)
            return None
        if stream is not None and not stream.undecided and not self._uploads.is_idle(stream):
            return await self._to_objects(request, receive, send)
        if is_empty(request):
            await self._to_tracks(request, receive, send)
            return None
        return await self._decide(request, receive, send)

    def _is_of_tracks(self, name: str, path: str) -> bool:
        """Whether a path belongs to interface 1, whatever its body is."""
        extension = path.rpartition(".")[2]
        if path.count("/") <= 1 and extension.rstrip(")") in ("cmfv", "cmfa", "cmft"):
            return True
        names = self._ingest.names_of(name)
        if names is not None and names.track_of(path) is not None:
            return True
        in_folder = path.count("/") == 1 and extension in ("m4s", "mp4", "init", "header")
        return in_folder and self._has_tracks(name) and not self._ingest.retention.is_idle(name)

    async def _name_tracks(self, request: Request, receive: Receive, send: Send) -> int | None:
        """An MPD of interface 1 names the tracks' requests; any other is an object."""
        already: list[Message] = []
        data = b""
        patience = self._uploads.settings.ingest_stalled
        share = Share(self._ingest.memory, printable(request.scope["path"]))
        try:
            async with aclosing(messages(receive, self._ingest.stopping, patience, share)) as body:
                async for message in body:
                    already.append(message)
                    data += message.get("body", b"")
                    share.hold(2 * len(data))
                    if len(data) > LARGEST_MPD:
                        break
        finally:
            share.release()
        names = None
        if len(data) <= LARGEST_MPD:
            with suppress(BadMedia):
                names = read_names(data)
        if names is None:
            return await self._to_objects(request, replay(already, receive), send)
        await self._to_tracks(request, replay(already, receive), send)
        return None

    async def _decide(self, request: Request, receive: Receive, send: Send) -> int | None:
        name, path = request.path_params["stream"], request.path_params["path"]
        track = check_names(name, path).track
        try:
            await self._ingest.retention.make_room(name, track)
        except NoRoom as error:
            raise Refused(error.status, str(error)) from None
        already: list[Message] = []
        share = Share(self._ingest.memory, f"{name}/{track}")
        deciding = self._deciding.setdefault(name, {})
        before, decided = list(deciding), asyncio.Event()
        deciding[decided] = None
        try:
            with self._ingest.publisher.posting(name, track):
                self._undecided[name] += 1
                try:
                    found = await self._opening(receive, already, share)
                finally:
                    share.release()
                    self._undecided -= Counter((name,))
            if found is Opening.HEADER:
                return await self._to_objects(request, replay(already, receive), send)
        finally:
            decided.set()
            del deciding[decided]
            if not deciding and self._deciding.get(name) is deciding:
                del self._deciding[name]
        if found is Opening.MEDIA:
            with suppress(TimeoutError):
                async with asyncio.timeout(WAIT_S):
                    for earlier in before:
                        await earlier.wait()
            if (stream := self._uploads.streams.get(name)) is not None:
                header = stream.objects.get(path)
                if header is None or header.kind is not Class.INIT:
                    return await self._to_objects(request, replay(already, receive), send)
                data = await self._uploads.read(stream, header)
                already.insert(0, {"type": "http.request", "body": data, "more_body": True})
        await self._to_tracks(request, replay(already, receive), send)
        return None

    async def _opening(self, receive: Receive, already: list[Message], share: Share) -> Opening:
        data = bytearray()
        patience = self._uploads.settings.ingest_stalled
        async with aclosing(messages(receive, self._ingest.stopping, patience, share)) as body:
            async for message in body:
                already.append(message)
                data += message.get("body", b"")
                share.hold(2 * len(data))
                if found := opening(data, ended=not message.get("more_body", False)):
                    return found
        raise AssertionError("a body that has ended is something")

    async def _to_tracks(self, request: Request, receive: Receive, send: Send) -> None:
        name, path = request.path_params["stream"], request.path_params["path"]
        stream = self._uploads.streams.get(name)
        if stream is not None and request.method in ("PUT", "POST"):
            if not path.endswith(".mpd"):
                check_names(name, path, self._ingest.names_of(name))
            asks = False
            if self._may_go(stream):
                receive, asks = await self._asks(request, receive)
                stream = self._uploads.streams.get(name)
                if not asks and stream is not None and self._may_go(stream):
                    await self._uploads.forget(name)
                    stream = self._uploads.streams.get(name)
            if stream is not None and not asks:
                raise Refused(409, f"{name}: found objects that an encoder uploads (interface 2), {_WANTED}.")
        await self._ingest(request.scope, receive, send)

    async def _to_objects(self, request: Request, receive: Receive, send: Send) -> int | None:
        name, path = request.path_params["stream"], request.path_params["path"]
        check_path(name, path, request.scope["raw_path"].decode("latin-1"))
        if request.method in ("GET", "HEAD"):
            if name not in self._uploads.streams:
                return 404
            await self._public({**request.scope, "path": f"/{name}/{path}"}, receive, send)
            return None
        puts = request.method in ("PUT", "POST")
        if puts and self._has_tracks(name):
            free = False
            if self._ingest.retention.is_idle(name):
                receive, asks = await self._asks(request, receive)
                free = asks or not self._has_tracks(name) or await self._ingest.retention.give_up(name)
            if not free:
                raise Refused(409, f"{name}: found tracks that an encoder posts (interface 1), {_WANTED}.")
        return await self._objects.answer(request, receive)

    def _may_go(self, stream: ObjectStream) -> bool:
        """Whether a track may take an uploaded stream's name."""
        return stream.undecided or self._uploads.is_idle(stream)

    async def _asks(self, request: Request, receive: Receive) -> tuple[Receive, bool]:
        """(the whole body, whether it has no byte: then the request is a question, for which no stream goes)."""
        path, patience = printable(request.scope["path"]), self._uploads.settings.ingest_stalled
        share = Share(self._ingest.memory, path)
        async with aclosing(messages(receive, self._ingest.stopping, patience, share)) as body:
            async for message in body:
                if message.get("body", b""):
                    return replay([message], receive), False
        return replay([{"type": "http.request", "body": b"", "more_body": False}], receive), True

    def _has_tracks(self, name: str) -> bool:
        stream = self._ingest.publisher.streams.get(name)
        if stream is None:
            return False
        posted = stream.posts.total() > self._undecided[name]
        return posted or stream.generation is not None or bool(stream.windows) or not stream.feeds.is_idle


_WANTED = "wanted one of both in a stream: another stream name, or this one when nobody has fed it for ingest_stalled"
