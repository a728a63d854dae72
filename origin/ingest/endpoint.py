"""Where encoders post: `POST|PUT /ingest/{stream}/...`.

This is interface 1 of DASH-IF live media ingest; `ingest_paths` says which path is which track's.

| the body                 | is                                                       | its proper end says            |
|--------------------------|----------------------------------------------------------|--------------------------------|
| nothing                  | a question whether URL and credentials are good          | nothing                        |
| `ftyp moov (moof mdat)+` | version 1.0: the track, for as long as the encoder runs  | the track has ended            |
| `ftyp moov`              | version 1.1: the track's init section                    | nothing                        |
| `(moof mdat)+`           | version 1.1: one of its segments                         | nothing; with brand `lmsg` or  |
|                          |                                                          | `mfra`, the track has ended    |
| an MPD                   | the names of the other requests                          | nothing                        |
"""

import asyncio
import logging
from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cdnkit.serving import Left
from origin.errors import BadMedia, NoRoom, Refused, StorageFailed, printable
from origin.faults import FaultSwitch
from origin.ingest.content import is_empty
from origin.ingest.first_piece import Gone, continued, first_piece, receive_one
from origin.ingest.memory import Memory, Share
from origin.ingest.parked import Parked
from origin.ingest.refusing import head, refuse
from origin.live.feeds import Connection, Sender
from origin.live.ingest_paths import LARGEST_MPD, NAME, Names, Place, place_of, read_names
from origin.live.reception import Way
from origin.live.session import State
from origin.live.stream import Stream
from origin.media.fragments import Fragment, FragmentReader
from origin.media.tracks import InitSection, Kind, Track
from origin.publishing.files import VOD
from origin.publishing.publisher import Publisher
from origin.publishing.retention import Retention

log = logging.getLogger("origin")

_ANY = ["GET", "PUT", "DELETE"]
WHERE = "/ingest/STREAM/TRACK.cmfv (video), .cmfa (audio), .cmft (text) or .mp4, or /ingest/STREAM/PATH of an object"
_WRONG_METHOD = b"Wanted POST or PUT.\n"
TICK_S = 0.5
"""How often the streams are told what time it is: half of what the shortest segments take."""


def check_stream(stream: str, path: str) -> None:
    """`Refused`: a name of a stream that could not stand in a path, or is reserved."""
    if not NAME.fullmatch(stream) or stream == "vod":
        raise Refused(
            403,
            f"/ingest/{printable(stream)}/{printable(path)}: found a name that cannot be used, wanted letters, digits, "
            '- and _ (64 at most, a letter or digit first; "vod" is taken).',
        )


def check_names(stream: str, path: str, names: Names | None = None) -> Place:
    """What a path is for. `Refused`: names that could not stand in a path, or are reserved."""
    check_stream(stream, path)
    try:
        return place_of(path, names)
    except BadMedia as error:
        raise Refused(403, f"/ingest/{stream}/{error}") from None


class Ingest:
    """ASGI endpoint of all ingest requests."""

    def __init__(self, publisher: Publisher, retention: Retention) -> None:
        self.publisher = publisher
        self.retention = retention
        self.memory = Memory(publisher.settings.ingest_limits.memory)
        self.parked = Parked(self.memory, publisher.clock)
        self.stopping = asyncio.Event()
        """Set at shutdown: open requests are ended, what they sent is published."""
        self.open = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def stop(self) -> None:
        """Ends all open requests and waits until what they sent is stored."""
        self.stopping.set()
        await self._idle.wait()
        for stream in list(self.publisher.streams.values()):
            if not stream.feeds.is_idle:
                stream.feeds.close(self.publisher.clock())
                await self.publisher.close(stream)

    async def keep_ticking(self) -> None:
        """For as long as the origin serves: what time brings to the streams. A fault is logged when it begins."""
        failing: dict[str, str] = {}
        while True:
            await asyncio.sleep(TICK_S)
            before, failing = failing, {}
            self.parked.tick()
            for stream in list(self.publisher.streams.values()):
                try:
                    await self.publisher.tick(stream)
                except Exception as error:
                    failing[stream.name] = fault = f"{type(error).__name__}: {error}"
                    if before.get(stream.name) != fault:
                        log.error("%s: %s", stream.name, fault)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.open += 1
        self._idle.clear()
        try:
            stream, path = request.path_params["stream"], request.path_params["path"]
            if request.method not in ("POST", "PUT"):
                await send(head(405, _WRONG_METHOD, [("allow", "POST, PUT"), ("connection", "close")]))
                await send({"type": "http.response.body", "body": _WRONG_METHOD})
                return
            if b"%2f" in scope["raw_path"].lower():
                raise Refused(403, "Found a path that leads elsewhere, wanted one without encoded slashes.")
            await self._ingest(stream, path, tuple(scope["client"] or ()), request)
            await send(head(200, b""))
            await send({"type": "http.response.body", "body": b""})
        except Refused as refused:
            log.warning("%s: %s", printable(scope["path"]), refused)
            await refuse(receive, send, refused)
        except (Gone, Left):
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

    def names_of(self, stream: str) -> Names | None:
        """What an MPD calls the requests of the stream's tracks."""
        found = self.publisher.streams.get(stream)
        return found.feeds.names if found is not None else None

    async def _ingest(self, name: str, path: str, connection: Connection, request: Request) -> None:
        if path.endswith(".mpd"):
            check_stream(name, path)
            await self._name_tracks(name, path, request.receive)
            return
        place = check_names(name, path, self.names_of(name))
        if is_empty(request):
            return
        if (there := self.publisher.streams.get(name)) is not None and there.playlist_type == VOD:
            raise Refused(409, f"{name}: found a VOD that was trimmed out of a stream, wanted another name.")
        receive = request.receive
        if not self.retention.has_room(name, place.track):
            # What is idle goes for media alone: a chunked body that is empty is a question, too.
            where, patience = f"{name}/{place.track}", self.publisher.settings.ingest_stalled
            if (first := await first_piece(where, receive, self.stopping, patience)) is None:
                return
            receive = continued(first, receive)
        try:
            await self.retention.make_room(name, place.track)
        except NoRoom as error:
            raise Refused(error.status, str(error)) from None
        with self.publisher.posting(name, place.track) as stream:
            await _Post(self, name, place, connection, receive).run(stream)
            try:
                await self.publisher.acknowledge(name, place.track)
            except StorageFailed as error:
                raise Refused(503, f"{name}/{place.track}: {error}", retry_after="1") from None

    async def _name_tracks(self, name: str, path: str, receive: Receive) -> None:
        """An MPD: those of interface 1 name the tracks' requests, others say nothing that is needed here."""
        where = f"{name}/{printable(path)}"
        try:
            async with asyncio.timeout(self.publisher.settings.ingest_stalled):
                body = await _read_mpd(receive)
            names = read_names(body) if body else None
        except TimeoutError:
            raise Refused(408, f"{where}: found no whole MPD.") from None
        except BadMedia as error:
            raise Refused(400, f"{where}: {error}") from None
        if names is None:
            log.info("%s: names no tracks, and is ignored", where)
            return
        try:
            await self.retention.make_room(name, names.patterns[0][1])
        except NoRoom as error:
            raise Refused(error.status, str(error)) from None
        self.publisher.stream(name).feeds.name(names, self.publisher.clock())


class _Post:
    """One ingest request."""

    def __init__(self, ingest: Ingest, stream: str, place: Place, connection: Connection, receive: Receive) -> None:
        self.publisher = ingest.publisher
        self.retention = ingest.retention
        self.parked = ingest.parked
        self.clock = ingest.publisher.clock
        self.stopping = ingest.stopping
        self.track = place.track
        self.promised = place.kind
        self.connection = connection
        self.receive = receive
        self.sender: Sender | None = None
        """Of the init section that this request brought, or of its fragments."""
        self.fragments = 0
        self.superseded = asyncio.Event()
        self.share = Share(ingest.memory, f"{stream}/{place.track}")

    async def run(self, stream: Stream) -> None:
        """Reads the request to its end. `Refused`, `Gone`: it did not end properly."""
        self.feeds = stream.feeds
        self.parked.release(stream, self.track)
        self.known = self.feeds.sender_of(self.track, self.connection, self.clock())
        self.reader = FragmentReader(self.publisher.settings.largest, self.known.init if self.known else None)
        if self.promised is not None:
            stream.awaiting(self, self.promised)
        ended = refused = False
        try:
            self.share.hold(stream.memory_of(self.track))
            await self._read(stream)
            ended = True
        except BadMedia as error:
            refused = True
            raise Refused(error.status, f"{stream.name}/{self.track}: {error}") from None
        except Refused:
            refused = True
            raise
        finally:
            stream.stop_awaiting(self)
            self.share.release()
            before = stream.feeds.live
            self._end(ended=ended, refused=refused)
            if stream.posts[self.track] == 1:  # this one
                self.parked.park(stream, self.track)
            await self.publisher.settle(stream, before)

    def _end(self, *, ended: bool, refused: bool) -> None:
        """What the end of the request says; `refused`: it was us who broke it off."""
        sender = self.sender or (self.known if self.reader.is_closed else None)
        if sender is None:
            return
        is_endless = sender.way is Way.ENDLESS
        if is_endless and not self.fragments:
            if ended:
                self.feeds.keep(sender, self.connection)
            else:
                self.feeds.forget(sender)
        elif self.reader.is_closed or (ended and (is_endless or self.reader.is_last)):
            self.feeds.leave(sender, State.ENDED, self.clock())
        elif is_endless:
            self.feeds.leave(sender, State.BROKEN, self.clock(), waits=not refused)

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
                received = asyncio.create_task(receive_one(self.receive))
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
                    raise Gone
                came = self._take(stream, message.get("body", b""))
                self.share.hold(self.reader.held + stream.memory_of(self.track))
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
            if isinstance(found, InitSection):
                self._take_init(stream, found)
            else:
                self._take_fragment(stream, found)
        return came

    def _take_init(self, stream: Stream, init: InitSection) -> None:
        self._check_kind(stream, init)
        self.publisher.protection.check(stream.name, init, f"{stream.name}/{self.track}")
        now = self.clock()
        if self.sender is not None:
            self.feeds.renew(self.sender, init, now)
            return
        self.sender = self.feeds.expect(Sender(self.track, init, Way.ENDLESS, self.superseded.set, now))
        log.info("%s/%s: %s", stream.name, self.track, _describe(init.track))

    def _check_kind(self, stream: Stream, init: InitSection) -> None:
        if self.promised not in (None, init.track.kind):
            raise Refused(
                400,
                f"{stream.name}/{self.track}: found {init.track.kind.value}, wanted {self.promised.value} "
                "(.cmfv holds video, .cmfa audio, .cmft text).",
            )

    def _take_fragment(self, stream: Stream, fragment: Fragment) -> None:
        if self.sender is None:
            assert self.known is not None, "the reader knows an init section"
            self._check_kind(stream, self.known.init)
            self.sender = self.known
        self.fragments += 1
        self.retention.check_recording(stream)
        if not self.feeds.push(self.sender, fragment, self.clock()):
            taken = f"{stream.name}/{self.track}: a newer encoder has taken over"
            if self.feeds.is_fed(self.track):
                raise Refused(409, f"{taken}.")
            raise Refused(412, f"{taken} the stream, wanted the init section again.")
        stream.stop_awaiting(self)


def _describe(track: Track) -> str:
    if track.kind is Kind.VIDEO:
        what = f"{track.codec} {track.width}x{track.height}"
    elif track.kind is Kind.AUDIO:
        what = f"{track.codec} {track.sample_rate} Hz, {track.channels} channel(s)"
    else:
        what = track.codec
    return f"{what}, {track.language}" if track.language else what


async def _read_mpd(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body += bytes(message.get("body", b""))
        if len(body) > LARGEST_MPD:
            raise Refused(413, f"Found an MPD of {len(body)} bytes, wanted at most {LARGEST_MPD}.")
        if not message.get("more_body", False):
            return body


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


def ingest_app(interfaces: ASGIApp, switch: FaultSwitch | None, orders: Sequence[Route] = ()) -> Starlette:
    """The application of the ingest listener; `switch` None: this origin has no switch for faults.

    `orders`: what else can be asked for on this listener.
    """
    faults = Route("/faults", endpoint=switch) if switch else Route("/faults", _no_switch, methods=_ANY)
    elsewhere = Route("/{path:rest}", _no_such_path, methods=[*_ANY, "POST", "PATCH", "OPTIONS"])
    app = Starlette(routes=[Route("/ingest/{stream}/{path:rest}", endpoint=interfaces), faults, *orders, elsewhere])
    app.router.redirect_slashes = False  # a path with another slash is another path, and is not here
    return app
