"""Parents that speak HTTP/2: hypercorn as it is, and a peer that sends what a test likes."""

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypercorn.asyncio import serve
from hypercorn.config import Config

from cdnkit.serving import Listener, bind, url_of

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BIG = bytes(range(256)) * 16_384  # 4 MiB


async def app(scope: Any, receive: Receive, send: Send) -> None:
    """Says over which HTTP it was asked, and by which path; echoes bodies."""
    if scope["type"] != "http":
        return
    body = b""
    if scope["method"] == "POST":
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message.get("more_body"):
                break
    fields = [(b"http", scope["http_version"].encode()), (b"asked", scope["path"].encode())]
    fields += [(b"host", value) for name, value in scope["headers"] if name in (b"host", b":authority")]
    status = 200
    if scope["path"] == "/304":
        status = 304
        fields.append((b"content-length", b"100"))
    elif scope["path"] == "/big":
        body = BIG
    elif scope["path"] == "/hints":
        await send({"type": "http.response.early_hint", "links": [b"<a>; rel=preload"]})
        body = b"final"
    if scope["method"] == "HEAD":
        fields.append((b"content-length", b"100"))
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def running_hypercorn(certificate: Path | None = None, alpn: tuple[str, ...] = ("h2",)) -> AsyncIterator[str]:
    listener = bind("127.0.0.1:0", "test")
    url = url_of(listener)
    if certificate is None:
        front = Listener(app, logging.getLogger("test"), date_header=False)
        await front.start(listener)
        try:
            yield url
        finally:
            await front.close()
        return
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.alpn_protocols = list(alpn)
    config.errorlog = config.accesslog = None
    config.graceful_timeout = config.shutdown_timeout = 0.1
    config.certfile = config.keyfile = str(certificate)
    stop = asyncio.Event()
    task = asyncio.create_task(serve(app, config, shutdown_trigger=stop.wait))  # type: ignore[arg-type]
    try:
        yield url.replace("http:", "https:")
    finally:
        stop.set()
        await task


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1 in one file, its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    file.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()) + made.public_bytes(encoding))
    return file


class Peer:
    """The parent's end of one connection; a script reads requests and sends what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, settings: dict[Any, int]) -> None:
        self.reader, self.writer = reader, writer
        # Its own sending is not checked: it is here to be wrong.
        config = h2.config.H2Configuration(
            client_side=False, validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self.h2 = h2.connection.H2Connection(config)
        self.h2.local_settings = h2.settings.Settings(client=False, initial_values=settings)
        self.h2.initiate_connection()
        self.events: list[h2.events.Event] = []
        self.flush()

    def flush(self) -> None:
        self.writer.write(self.h2.data_to_send())

    async def next(self, kind: type[Any]) -> Any:
        """The next event of that kind; others are let go."""
        while True:
            while self.events:
                event = self.events.pop(0)
                if isinstance(event, kind):
                    return event
            data = await self.reader.read(65_536)
            if not data:
                raise ConnectionResetError
            self.events += self.h2.receive_data(data)
            self.flush()

    async def request(self) -> int:
        return (await self.next(h2.events.RequestReceived)).stream_id

    def head(self, stream: int, *fields: tuple[str, str], status: str = "200", end: bool = False) -> None:
        self.h2.send_headers(stream, [(":status", status), *fields], end_stream=end)
        self.flush()

    def data(self, stream: int, data: bytes, *, end: bool = True) -> None:
        self.h2.send_data(stream, data, end_stream=end)
        self.flush()

    def goaway(self, last: int, code: int = 0) -> None:
        """The frame itself: the library would take it for the connection's end."""
        payload = last.to_bytes(4, "big") + code.to_bytes(4, "big")
        self.writer.write(len(payload).to_bytes(3, "big") + b"\x07\x00" + bytes(4) + payload)


Script = Callable[[Peer, int], Awaitable[None]]
"""Told the peer and how many connections came before."""


@asynccontextmanager
async def running_peer(script: Script, **settings: int) -> AsyncIterator[str]:
    codes = {h2.settings.SettingCodes[name]: value for name, value in settings.items()}
    tasks: set[asyncio.Task[None]] = set()
    failed: list[BaseException] = []

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                peer = Peer(reader, writer, codes)
                await script(peer, len(tasks) - 1)
                await peer.next(type(None))
        except Exception as error:
            failed.append(error)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)
        assert not failed, failed


def answering(*fields: tuple[str, str], body: bytes = b"", status: str = "200") -> Script:
    async def script(peer: Peer, _: int) -> None:
        while True:
            stream = await peer.request()
            peer.head(stream, *fields, status=status)
            peer.data(stream, body)

    return script
