"""Where encoders post: `POST|PUT /ingest/{stream}/{track}.cmfv|.cmfa|.cmft|.mp4`, one long request a track.

The body is the DASH-IF live media ingest protocol's CMAF: `ftyp moov (moof mdat)*`, in one request for as long as the
encoder runs. How the request ends says what happened: properly, the track has ended; broken off, it was interrupted.
"""

import asyncio
import logging
import re

from starlette.applications import Starlette
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cdnkit.serving import Left
from origin.content import is_empty
from origin.errors import BadMedia, NoRoom, Refused, printable
from origin.faults import FaultSwitch
from origin.fragments import FragmentReader
from origin.memory import Memory, Share
from origin.publisher import Publisher
from origin.refusing import head, refuse
from origin.retention import Retention
from origin.stream import Session, State, Stream
from origin.tracks import InitSection, Kind

log = logging.getLogger("origin")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_KINDS = {"cmfv": Kind.VIDEO, "cmfa": Kind.AUDIO, "cmft": Kind.TEXT, "mp4": None}
_ANY = ["GET", "PUT", "DELETE"]
WHERE = "/ingest/STREAM/TRACK.cmfv (video), .cmfa (audio), .cmft (text) or .mp4, or /ingest/STREAM/PATH of an object"
_WRONG_METHOD = b"Wanted POST or PUT.\n"


def check_names(stream: str, file: str) -> tuple[str, Kind | None]:
    """(track, the kind its extension promises). `Refused`: a name that could not stand in a path, or is reserved."""
    track, _, extension = file.rpartition(".")
    if not _NAME.fullmatch(stream) or stream == "vod" or not _NAME.fullmatch(track):
        raise Refused(
            403,
            f"/ingest/{printable(stream)}/{printable(file)}: found a name that cannot be used, wanted letters, digits, "
            '- and _ (64 at most, a letter or digit first; "vod" is taken).',
        )
    if extension not in _KINDS:
        raise Refused(
            415,
            f"{track}: found .{printable(extension, 30)}, wanted .cmfv (video), .cmfa (audio), .cmft (text) or .mp4.",
        )
    return track, _KINDS[extension]


class Ingest:
    """ASGI endpoint of all ingest requests."""

    def __init__(self, publisher: Publisher, retention: Retention) -> None:
        self.publisher = publisher
        self.retention = retention
        self.memory = Memory(publisher.settings.ingest_limits.memory)
        self.stopping = asyncio.Event()
        """Set at shutdown: open requests are ended, what they sent is published."""
        self.open = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def stop(self) -> None:
        """Ends all open requests and waits until what they sent is stored."""
        self.stopping.set()
        await self._idle.wait()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.open += 1
        self._idle.clear()
        try:
            stream, file = request.path_params["stream"], request.path_params["file"]
            if request.method not in ("POST", "PUT"):
                await send(head(405, _WRONG_METHOD, [("allow", "POST, PUT"), ("connection", "close")]))
                await send({"type": "http.response.body", "body": _WRONG_METHOD})
                return
            await self._ingest(stream, file, request)
            await send(head(200, b""))
            await send({"type": "http.response.body", "body": b""})
        except Refused as refused:
            log.warning("%s: %s", printable(scope["path"]), refused)
            await refuse(receive, send, refused)
        except (_Gone, Left):
            pass
        except Exception as error:
            # A defect of ours: one line for the log, one response, and the other tracks go on.
            log.error(
                "%s: %s: %s", printable(scope["path"]), type(error).__name__, error, exc_info=log.isEnabledFor(10)
            )
            await refuse(receive, send, Refused(500, "The origin failed; its log says why."))
        finally:
            self.open -= 1
            if not self.open:
                self._idle.set()

    async def _ingest(self, stream_name: str, file: str, request: Request) -> None:
        track, promised = check_names(stream_name, file)
        if is_empty(request):
            return
        try:
            await self.retention.make_room(stream_name, track)
        except NoRoom as error:
            raise Refused(error.status, str(error)) from None
        with self.publisher.posting(stream_name, track) as stream:
            await _Post(self, stream_name, track, promised, request.receive).run(stream)


class _Gone(Exception):
    """The encoder's connection broke: there is nobody to respond to."""


class _Post:
    """One ingest request."""

    def __init__(self, ingest: Ingest, stream: str, track: str, promised: Kind | None, receive: Receive) -> None:
        self.publisher = ingest.publisher
        self.clock = ingest.publisher.clock
        self.stopping = ingest.stopping
        self.track = track
        self.promised = promised
        self.receive = receive
        self.reader = FragmentReader(ingest.publisher.settings.largest)
        self.session: Session | None = None
        self.superseded = asyncio.Event()
        self.share = Share(ingest.memory, f"{stream}/{track}")

    async def run(self, stream: Stream) -> None:
        """Reads the request to its end. `Refused`, `_Gone`: it did not end properly."""
        if self.promised is not None:
            stream.awaiting(self, self.promised)
        how = State.BROKEN
        try:
            await self._read(stream)
            how = State.ENDED
        except BadMedia as error:
            raise Refused(error.status, f"{stream.name}/{self.track}: {error}") from None
        finally:
            stream.stop_awaiting(self)
            self.share.release()
            if self.session is not None:
                self.session.finish(how)
                await self.publisher.close(stream)
                log.info("%s/%s: %s", stream.name, self.track, self.session.state.value)

    async def _read(self, stream: Stream) -> None:
        interruptions = [
            asyncio.create_task(self.superseded.wait()),
            asyncio.create_task(self.stopping.wait()),
            asyncio.create_task(self.share.gone.wait()),
        ]
        received: asyncio.Task[Message] | None = None
        patience = max(self.publisher.settings.ingest_stalled, 2 * stream.length)
        silence = Refused(408, f"{stream.name}/{self.track}: found no media for {patience:g} s.")
        last_media_at = self.clock()
        try:
            while True:
                received = asyncio.create_task(_receive(self.receive))
                left = max(0.0, last_media_at + patience - self.clock())
                await asyncio.wait((received, *interruptions), timeout=left, return_when=asyncio.FIRST_COMPLETED)
                if self.superseded.is_set():
                    raise Refused(409, f"{stream.name}/{self.track}: a newer encoder has taken over.")
                self.share.check()
                if self.stopping.is_set():
                    raise Refused(503, f"{stream.name}/{self.track}: the origin is shutting down.")
                if not received.done():
                    raise silence
                message = received.result()
                if message["type"] == "http.disconnect":
                    raise _Gone
                came = self._take(stream, message.get("body", b""))
                self.share.hold(self.reader.held + (self.session.segmenter.memory if self.session is not None else 0))
                if came:
                    await self.publisher.drain(stream)
                    last_media_at = self.clock()
                elif self.clock() >= last_media_at + patience:
                    raise silence
                if not message.get("more_body", False):
                    self.reader.finish()
                    return
        finally:
            for task in (*interruptions, received):
                if task is not None:
                    task.cancel()

    def _take(self, stream: Stream, data: bytes) -> bool:
        """Takes a piece of the body; True: it completed a fragment or an init section."""
        came = False
        for found in self.reader.feed(data):
            came = True
            now = self.clock()
            if not isinstance(found, InitSection):
                assert self.session is not None
                self.session.push(found, now)
            elif self.session is not None:
                self.session.renew(found, now)
            else:
                if self.promised not in (None, found.track.kind):
                    raise Refused(
                        400,
                        f"{stream.name}/{self.track}: found {found.track.kind.value}, wanted {self.promised.value} "
                        "(.cmfv holds video, .cmfa audio, .cmft text).",
                    )
                self.session = stream.begin(self.track, found, now, self.superseded.set)
                stream.stop_awaiting(self)
                log.info("%s/%s: %s", stream.name, self.track, _describe(self.session))
        return came


def _describe(session: Session) -> str:
    track = session.track
    if track.kind is Kind.VIDEO:
        what = f"{track.codec} {track.width}x{track.height}"
    elif track.kind is Kind.AUDIO:
        what = f"{track.codec} {track.sample_rate} Hz, {track.channels} channel(s)"
    else:
        what = track.codec
    if track.language:
        what += f", {track.language}"
    return f"{what}, generation {session.generation.id}"


async def _receive(receive: Receive) -> Message:
    return await receive()


async def _no_switch(request: Request) -> Response:
    return Response("This origin has no faults to switch on: wanted `cdnlab up`, or `cdnlab origin --faults`.\n", 404)


async def _no_such_path(request: Request) -> Response:
    """Whoever wants to publish is told where (DASH-IF ingest 1.2: 403 for a wrong path)."""
    path = printable(request.scope["path"])
    if request.method in ("POST", "PUT"):
        return Response(f"{path}: found no such path, wanted POST or PUT to {WHERE}.\n", 403)
    return Response(f"{path}: not here.\n", 404)


class _Rest(StringConvertor):
    """The rest of a path, with whatever is in it: Starlette's own ends at a line's end."""

    regex = "(?s:.*)"


register_url_convertor("rest", _Rest())


def ingest_app(interfaces: ASGIApp, switch: FaultSwitch | None) -> Starlette:
    """The application of the ingest listener; `switch` None: this origin has no switch for faults."""
    faults = Route("/faults", endpoint=switch) if switch else Route("/faults", _no_switch, methods=_ANY)
    elsewhere = Route("/{path:rest}", _no_such_path, methods=[*_ANY, "POST", "PATCH", "OPTIONS"])
    app = Starlette(routes=[Route("/ingest/{stream}/{path:rest}", endpoint=interfaces), faults, elsewhere])
    app.router.redirect_slashes = False  # a path with another slash is another path, and is not here
    return app
