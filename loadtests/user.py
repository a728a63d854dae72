"""A locust user that is a player: sends the requests of its `Player`, reads bodies and throws them away."""

from functools import lru_cache

import gevent
from locust import task
from locust.contrib.fasthttp import FAILURE_EXCEPTIONS, FastHttpUser, ResponseContextManager
from locust.env import Environment
from locust.exception import StopUser

from cdnkit.policy.record.object_class import ObjectClass
from loadtests.errors import BadPlaylist
from loadtests.identity import address, session_id
from loadtests.player import Ended, Request, Wait
from loadtests.playlist import Multivariant, read
from loadtests.session import clock, session_of

_READ_BYTES = 64 * 1024  # bodies in larger reads than the socket fills cost copies, in smaller ones calls
_PLAYLISTS = (ObjectClass.MULTIVARIANT, ObjectClass.MEDIA_PLAYLIST)
_CMCD_OBJECT_TYPE = {ObjectClass.MULTIVARIANT: "m", ObjectClass.MEDIA_PLAYLIST: "m", ObjectClass.INIT: "i"}
# ^ CTA-5004 `ot`; segments are "v" or "a" by their track

# Viewers of one edge are sent the same playlist by the hundred; reading it once saves a quarter of the generator's
# time (measured: 190 us a read). What is read is frozen, so it can be shared.
_read = lru_cache(maxsize=256)(read)


class Viewer(FastHttpUser):
    """One viewer at one edge; locust spawns as many as `--users` says.

    A class of your own, `class Mine(Viewer)`, is spawned in its place and not beside it.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        Viewer.abstract = True

    def __init__(self, environment: Environment) -> None:
        session = session_of(environment)
        self._tally = session.tally
        self._session = session
        self._turn, self._edge = session.next_viewer()
        self._session_id = session_id(session.seed, f"{self._edge.name}/{self._turn}")
        self._address = address(self._edge.networks, self._turn)
        self.host = self._edge.url
        self.network_timeout = self.connection_timeout = session.load.timeout
        super().__init__(environment)

    def on_start(self) -> None:
        gevent.sleep(self._session.start_delay(self._turn))
        self.player = self._session.new_player(self._turn, self._edge)

    def wait_time(self) -> float:
        """Until the player has its next request; locust ends a waiting user at once, a sleeping task late."""
        now = clock()
        todo = self.player.next(now)
        return max(0.0, todo.until - now) if isinstance(todo, Wait) else 0.0

    @task
    def step(self) -> None:
        """One request, if one is due."""
        match self.player.next(clock()):
            case Request() as request:
                self._send(request)
            case Ended():
                raise StopUser
            case Wait():
                pass

    def _send(self, request: Request) -> None:
        begun = clock()
        with self.client.get(
            request.resource.url,
            name=request.object_class.value,
            headers=self._headers(request),
            stream=True,
            catch_response=True,
        ) as response:
            ttfb_ms = (clock() - begun) * 1000 if response.status_code else -1.0
            failure, kept, size = self._read_body(request, response)
            ended_at = clock()
            if not failure and request.object_class in _PLAYLISTS:
                failure = self._read_playlist(request, kept, begun, ended_at)
            response.request_meta["response_time"] = (ended_at - begun) * 1000
            response.request_meta["response_length"] = size
            if failure:
                response.failure(failure)
            else:
                response.success()
            fields = response.headers or {}
            age = fields.get("age", "")
            self._tally.record(
                (self._edge.name, self.player.rendition, request.object_class.value),
                size_bytes=size,
                ttfb_ms=ttfb_ms,
                cache_status=fields.get("cache-status", ""),
                age=int(age) if age.isdecimal() else None,
                failure=failure,
            )
        if failure:
            self.player.on_failure(request, ended_at)
        elif request.object_class is ObjectClass.INIT:
            self.player.on_init(request, ended_at)
        elif request.object_class is ObjectClass.SEGMENT:
            self.player.on_segment(request, ended_at)

    def _headers(self, request: Request) -> dict[str, str]:
        kind = _CMCD_OBJECT_TYPE.get(request.object_class) or ("v" if request.track == 0 else "a")
        # Headers, not a query: as a query they would split every cache key (scenario S33).
        fields = {
            "Accept-Encoding": "identity",
            "CMCD-Object": f"ot={kind}",
            "CMCD-Session": f'sf=h,sid="{self._session_id}"',
        }
        if self._address:
            fields["CDNLab-Client-IP"] = self._address
        if request.resource.first is not None:
            fields["Range"] = f"bytes={request.resource.first}-{request.resource.last}"
        return fields

    def _read_body(self, request: Request, response: ResponseContextManager) -> tuple[str, bytes, int]:
        """Read the body to its end: (what went wrong or "", a playlist's bytes, bytes read)."""
        if not response.status_code:
            return _failure_word(getattr(response, "error", None)), b"", 0
        kept = bytearray()
        size = 0
        try:
            while chunk := response.stream.read(_READ_BYTES):
                size += len(chunk)
                if request.object_class in _PLAYLISTS:
                    kept += chunk
        except FAILURE_EXCEPTIONS as error:
            return _failure_word(error), b"", size
        wanted = 200 if request.resource.first is None else 206
        if response.status_code != wanted:
            return str(response.status_code), b"", size
        promised = str(response.headers.get("content-length", "")) if response.headers else ""
        if promised.isdecimal() and int(promised) != size:
            return "short-body", b"", size
        return "", bytes(kept), size

    def _read_playlist(self, request: Request, body: bytes, begun: float, ended_at: float) -> str:
        """Hand a playlist to the player; returns a word for what was wrong, or ""."""
        try:
            playlist = _read(body.decode(), request.resource.url)
        except (BadPlaylist, UnicodeDecodeError) as error:
            problems = self._tally.bad_playlists
            text = f"{request.resource.url.partition('?')[0]}: {error}"
            if len(problems) < 10 and text not in problems:
                problems.append(text)
            return "bad-playlist"
        if isinstance(playlist, Multivariant):
            if request.object_class is not ObjectClass.MULTIVARIANT:
                return "bad-playlist"
            self.player.on_multivariant(playlist, ended_at)
        else:
            self.player.on_media_playlist(request, playlist, begun, ended_at)
        return ""


def _failure_word(error: BaseException | None) -> str:
    """An exception as a word that groups well: "timeout", "ConnectionRefusedError"."""
    if isinstance(error, TimeoutError | gevent.Timeout):
        return "timeout"
    return type(error).__name__ if error is not None else "no-answer"
