"""A real S3 server, moto's, in a process of its own, behind a door that can be shut, slow, or have a say of its own."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import boto3
from botocore.config import Config

from cdnkit.settings.s3 import S3
from tests.kit.late import GUARD_S
from tests.kit.ports import free_port

BUCKET = "media-bucket"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "lab", "AWS_SECRET_ACCESS_KEY": "lab-secret", "AWS_DEFAULT_REGION": "us-east-1"}

_ERROR = '<?xml version="1.0"?><Error><Code>{code}</Code><Message>{text}</Message></Error>'
FULL = (507, "XMinioStorageFull", "Storage backend has reached its minimum free drive threshold")
DENIED = (403, "AccessDenied", "Access Denied")
BUSY = (503, "SlowDown", "Please reduce your request rate.")


@dataclass
class S3Server:
    """`url` is the door's; the process itself listens elsewhere."""

    port: int
    process: subprocess.Popen[bytes]
    url: str = ""
    shut: bool = False
    """Connections are closed before anything is read."""
    wait_s: float = 0.0
    """Before each request is passed on."""
    says: tuple[int, str, str] | None = None
    """The answer to everything that would write."""
    requests: list[str] = field(default_factory=list)
    """Request lines that came."""
    fields: list[dict[str, str]] = field(default_factory=list)
    """Their fields, with names in lower case."""
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    _loop: asyncio.AbstractEventLoop | None = None

    @property
    def settings(self) -> S3:
        return S3(endpoint=self.url, region="us-east-1")

    def stop(self) -> None:
        """SIGSTOP: it accepts, and answers nothing."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        client = self.client()
        found = {}
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix):
            for one in page.get("Contents", ()):
                found[one["Key"]] = client.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read()
        return found

    def client(self):  # type: ignore[no-untyped-def]
        """A boto3 client that goes past the door."""
        return boto3.client(
            "s3", endpoint_url=f"http://127.0.0.1:{self.port}", region_name="us-east-1", aws_access_key_id="lab",
            aws_secret_access_key="lab-secret", config=Config(retries={"total_max_attempts": 1}),
        )  # fmt: skip

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection: head and body are read, and passed on."""
        self.open.add(writer)
        try:
            while not self.shut:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                self.requests.append(lines[0])
                fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
                self.fields.append(fields)
                if fields.get("expect", "").lower() == "100-continue":
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                body = await reader.readexactly(int(fields.get("content-length", "0")))
                await asyncio.sleep(self.wait_s)
                if self.shut:
                    return
                method = lines[0].partition(" ")[0]
                if self.says is not None and method in ("PUT", "POST", "DELETE"):
                    status, code, text = self.says
                    error = _ERROR.format(code=code, text=text).encode()
                    writer.write(
                        b"HTTP/1.1 %d X\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%b"
                        % (status, len(error), error)
                    )
                    await writer.drain()
                    continue
                kept = [line for line in lines[1:] if line and not line.lower().startswith(("connection:", "expect:"))]
                there, back = await asyncio.open_connection("127.0.0.1", self.port)
                back.write("\r\n".join([lines[0], *kept, "Connection: close", "", ""]).encode("latin-1") + body)
                try:
                    while piece := await there.read(65536):
                        writer.write(piece)
                        await writer.drain()
                finally:
                    back.close()
                return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open.discard(writer)
            writer.close()

    def run_door(self, ready: threading.Event) -> None:
        async def main() -> None:
            self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
            server = await asyncio.start_server(self._answer, "127.0.0.1", 0, limit=2**20)
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            ready.set()
            await self._over.wait()
            server.close()
            for writer in list(self.open):
                writer.transport.abort()

        asyncio.run(main())

    def shut_door(self) -> None:
        """It listens no more, and its thread ends."""
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._over.set)


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """A server with one bucket, until the end."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = S3Server(port, process)
    ready = threading.Event()
    thread = threading.Thread(target=server.run_door, args=(ready,), daemon=True)
    try:
        deadline = time.monotonic() + GUARD_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, "the S3 server does not start"
                time.sleep(0.1)
        server.client().create_bucket(Bucket=BUCKET)
        thread.start()
        assert ready.wait(GUARD_S)
        yield server
    finally:
        server.shut_door()
        process.kill()
        process.wait()
        if thread.is_alive():
            thread.join(GUARD_S)
