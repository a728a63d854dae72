"""An origin that keeps every byte it was sent, and answers whatever looks like a request: it would fall for a good one.

Its answer to a request is that request's method and target, and may be stored for a minute: a response that went to the
wrong asker, or under the wrong key, shows by its words.
"""

import asyncio
from contextlib import suppress

import h11

from tests.kit.origin import Asked, Origin, Script, response


class Witness(Origin):
    """`heard`: the bytes of each connection, in the order they were made."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[bytearray] = []

    def script_for(self, target: str) -> Script:
        return self.scripts.get(target.partition("?")[0], _echo)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard, tapped = bytearray(), asyncio.StreamReader(limit=2**20)
        self.heard.append(heard)

        async def tap() -> None:
            with suppress(ConnectionError):
                while data := await reader.read(65_536):
                    heard.extend(data)
                    tapped.feed_data(data)
            tapped.feed_eof()

        tapping = asyncio.create_task(tap())
        try:
            await super().serve(tapped, writer)
        finally:
            tapping.cancel()

    @property
    def requests(self) -> list[str]:
        """What a strict parser (h11) finds in the bytes that came: "METHOD TARGET BODY" each; "broken" for the rest."""
        return [request for heard in self.heard for request in strictly(bytes(heard))]


async def _echo(asked: Asked, writer: asyncio.StreamWriter) -> None:
    body = f"{asked.method} {asked.target}".encode("latin-1")
    writer.write(response(body, method=asked.method, cache_control="max-age=60"))


def strictly(raw: bytes) -> list[str]:
    """The requests in `raw` as RFC 9112 has them; empty lines before one are none (§2.2). Of a GET or HEAD whose content
    breaks off, the head is one: a cache need not wait for content that means nothing (RFC 9110 §9.3.1)."""
    found: list[str] = []
    while raw := _behind_empty_lines(raw):
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=2**20)
        connection.receive_data(raw)
        connection.receive_data(b"")
        request, body = "", b""
        while True:
            try:
                event = connection.next_event()
            except h11.RemoteProtocolError:
                begun = [request] if request.startswith(("GET ", "HEAD ")) else []
                return [*found, *begun, "broken"]
            if isinstance(event, h11.Request):
                request = f"{event.method.decode()} {event.target.decode()}"
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                found.append(f"{request} {body.decode('latin-1')}".rstrip(" "))
                break
            else:
                return found
        if connection.their_state is h11.MUST_CLOSE:
            return found
        raw = connection.trailing_data[0]
    return found


def _behind_empty_lines(raw: bytes) -> bytes:
    while raw.startswith(b"\r\n"):
        raw = raw[2:]
    return raw
