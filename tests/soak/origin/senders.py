"""Encoders of a soak: they break off when they are told to, and come back however often the origin is gone."""

import asyncio
import contextlib
import signal
import time
from dataclasses import dataclass, field
from fractions import Fraction
from urllib.parse import urlsplit

from tests.kit.cmaf_sender import styp
from tests.kit.looped import LoopedTrack, Piece, chunk

FRAGMENT = Fraction(1, 2)
AGAIN_S = 0.3
"""How soon a sender tries again."""


@dataclass
class Fed:
    """What became of one track's fragments, as its sender knows it."""

    pieces: list[Piece] = field(default_factory=list)
    """Sent, each once, whatever had to be sent again."""
    statuses: list[int] = field(default_factory=list)
    """Other than 200."""
    over: bool = False


class Stubborn:
    """One track of a looped VOD, in real time. `segments`: a request for each (version 1.1), else one without end."""

    def __init__(
        self, ingest: str, stream: str, track: LoopedTrack, length: Fraction, *, segments: int = 0, began: float
    ) -> None:
        self.name = f"{stream}/{track.name.partition('.')[0]}"
        self._parts, self._path = urlsplit(ingest), f"/ingest/{stream}/{track.name}"
        self._track, self._segments, self._began = track, segments, began
        self._source = track.pieces(length, FRAGMENT)
        self.fed = Fed()
        self._resend: list[Piece] = []
        self._breaks = asyncio.Event()

    def break_off(self) -> None:
        """The connection breaks, in the middle of a fragment."""
        self._breaks.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; then it ends properly."""
        while not self.fed.over:
            try:
                if self._segments:
                    await self._each(stop)
                else:
                    await self._endless(stop)
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(AGAIN_S)

    async def _next(self) -> Piece:
        piece = self._resend.pop(0) if self._resend else next(self._source)
        due = self._began + float(piece.end)
        await asyncio.sleep(max(0.0, due - time.time()))
        return piece

    def _sent(self, piece: Piece) -> None:
        if not self.fed.pieces or piece.start > self.fed.pieces[-1].start:
            self.fed.pieces.append(piece)

    async def _endless(self, stop: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection(self._parts.hostname, self._parts.port)
        answered = asyncio.create_task(reader.readuntil(b"\r\n"))
        try:
            writer.write(self._head(b"Transfer-Encoding: chunked") + chunk(self._track.header))
            while not stop.is_set():
                piece = await self._next()
                if self._breaks.is_set() or answered.done():
                    # The last one may be lost on its way: it is sent again, and is known where it is not.
                    self._resend = [*self.fed.pieces[-1:], piece, *self._resend]
                    if self._breaks.is_set():
                        writer.write(b"%x\r\n%b" % (len(piece.data), piece.data[: len(piece.data) // 2]))
                        await writer.drain()
                    elif not answered.exception():
                        self.fed.statuses.append(int(answered.result().split()[1]))
                    self._breaks.clear()
                    raise ConnectionResetError
                writer.write(chunk(piece.data))
                try:
                    await writer.drain()
                except OSError:
                    self._resend = [*self.fed.pieces[-1:], piece, *self._resend]
                    raise
                self._sent(piece)
            writer.write(b"0\r\n\r\n")
            status = int((await answered).split()[1])
            if status != 200:
                self.fed.statuses.append(status)
            self.fed.over = True
        finally:
            answered.cancel()
            with contextlib.suppress(OSError, asyncio.CancelledError, asyncio.IncompleteReadError):
                await answered
            writer.transport.abort()

    async def _each(self, stop: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection(self._parts.hostname, self._parts.port)

        async def post(body: bytes) -> int:
            writer.write(self._head(b"Content-Length: %d" % len(body)) + body)
            status = int((await reader.readuntil(b"\r\n\r\n")).split()[1])
            if status != 200:
                self.fed.statuses.append(status)
            return status

        try:
            await post(self._track.header)
            while True:
                last = stop.is_set()
                pieces = [await self._next() for _ in range(self._segments)]
                brands = (b"msdh", b"lmsg") if last else (b"msdh",)
                try:
                    status = await post(styp(*brands) + b"".join(piece.data for piece in pieces))
                except (OSError, asyncio.IncompleteReadError):
                    self._resend = [*pieces, *self._resend]
                    raise
                if status == 412:  # the origin does not know us any more: the header, and this one again
                    self._resend = [*pieces, *self._resend]
                    raise ConnectionResetError
                for piece in pieces:
                    self._sent(piece)
                if self._breaks.is_set():
                    self._breaks.clear()
                    raise ConnectionResetError
                if last:
                    self.fed.over = True
                    return
        finally:
            writer.transport.abort()

    def _head(self, length: bytes) -> bytes:
        return f"POST {self._path} HTTP/1.1\r\nHost: {self._parts.netloc}\r\n".encode() + length + b"\r\n\r\n"


class Encoder:
    """A real ffmpeg that is killed, and started again; at the end it may end by itself."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._process: asyncio.subprocess.Process | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. Whenever it has ended, another one begins."""
        while not stop.is_set():
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
            )
            ended, stopped = asyncio.create_task(self._process.wait()), asyncio.create_task(stop.wait())
            await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if not ended.done():
                self._process.send_signal(signal.SIGINT)  # it ends its tracks properly
                try:
                    async with asyncio.timeout(10):
                        await ended
                except TimeoutError:
                    self._process.kill()
                    await self._process.wait()
            await asyncio.sleep(AGAIN_S)

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
