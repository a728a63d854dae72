"""What ffmpeg writes into pipes, posted to an origin that asks its encoders for credentials or speaks TLS.

ffmpeg takes credentials for HTTP in its arguments alone (`-headers`, or the URL), and every user of a machine can read
those. So it writes each track into a pipe, and this process posts it, with a token that is nowhere but in its memory.

A body ends properly only if ffmpeg did: an end of a pipe by itself may be that of an encoder that was killed. A request
that the origin refuses, or that breaks, closes its pipe, which ends ffmpeg.
"""

import asyncio
import os
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from transcode.child import Exit

PIECE_BYTES = 64 * 1024
FLUSH_S, DRAIN_S = 30.0, 1.0
"""How long the origin may take what ffmpeg left, and answer: where that ended by itself, and where it was drained."""


@dataclass(frozen=True, slots=True)
class Door:
    """How an origin lets this encoder in."""

    token: str | None = field(repr=False)
    """The bearer token; None: it asks for none."""
    trust: Path | None
    """Its certificate, or the authority that signed that, in PEM; None: it speaks HTTP."""

    def context(self) -> ssl.SSLContext | None:
        """TLS that trusts this file alone. The origin itself said its address: what name that has does not matter."""
        if self.trust is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(self.trust)
        return context


class Posts:
    """The requests of one ffmpeg's tracks, from the start of it to its end."""

    def __init__(self, door: Door, urls: Sequence[str], types: Sequence[str]) -> None:
        """`urls`: where each track is posted, `types`: its media type."""
        self.trouble = ""
        """Why the first request failed; "": none did."""
        self._door = door
        self._ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        pipes = [os.pipe() for _ in urls]
        self.write_ends = tuple(write for _, write in pipes)
        """For ffmpeg, which owns them once it was started."""
        self._posting = [
            asyncio.create_task(self._post(read, url, kind))
            for (read, _), url, kind in zip(pipes, urls, types, strict=True)
        ]

    async def finish(self, gone: Exit | None) -> None:
        """ffmpeg has ended so: ends the bodies likewise. None: it could not be started."""
        properly = gone is not None and (gone.status == 0 or gone.drained_by in ("q", "SIGTERM"))
        self._ended.set_result(properly)
        by_itself = properly and gone is not None and not gone.drained_by
        _, late = await asyncio.wait(self._posting, timeout=FLUSH_S if by_itself else DRAIN_S)
        if late and properly:
            self.trouble = self.trouble or "the origin did not take the last of the media in time"
        for task in late:
            task.cancel()
        await asyncio.gather(*self._posting, return_exceptions=True)

    async def _post(self, pipe: int, url: str, kind: str) -> None:
        reader, transport = await _reader_of(pipe)
        writer = None
        try:
            answers, writer = await self._connect(url, kind)
            refused = asyncio.create_task(_status_line(answers))
            try:
                await self._pass_on(reader, writer, refused)
            finally:
                refused.cancel()
        except (OSError, asyncio.IncompleteReadError, _Refused) as error:
            self.trouble = self.trouble or f"{url}: {error}"
        finally:
            transport.close()  # ffmpeg's next write fails
            if writer is not None:
                writer.transport.abort()

    async def _connect(self, url: str, kind: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(url)
        answers, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=self._door.context())
        lines = [f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Type: {kind}"]
        lines += [f"Authorization: Bearer {self._door.token}"] if self._door.token is not None else []
        lines += ["Transfer-Encoding: chunked", "Connection: close"]
        writer.write("\r\n".join((*lines, "", "")).encode())
        return answers, writer

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: "asyncio.Task[str]"
    ) -> None:
        while True:
            reading = asyncio.create_task(reader.read(PIECE_BYTES))
            await asyncio.wait((reading, answer), return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                reading.cancel()
                raise _Refused(answer.result())
            if not (piece := reading.result()):
                break
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        if await self._ended:
            writer.write(b"0\r\n\r\n")
            if not (await answer).startswith("2"):
                raise _Refused(answer.result())


class _Refused(Exception):
    """The origin has answered before the body's end, or does not take it."""


async def _status_line(answers: asyncio.StreamReader) -> str:
    """Status and text of the answer: "401 Authorization: found none, ..."."""
    head = (await answers.readuntil(b"\r\n\r\n")).decode("latin-1")
    with suppress(OSError):
        line = (await answers.readline()).decode("utf-8", "replace").strip()
        return f"{head.split(' ', 2)[1]} {line}"
    return head.split(" ", 2)[1]


async def _reader_of(pipe: int) -> tuple[asyncio.StreamReader, asyncio.BaseTransport]:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb")
    )
    return reader, transport
