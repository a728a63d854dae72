"""Nodes over HTTPS, under a local CA of the test's own."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cdnkit.policy.rules.service import Behavior
from cdnkit.serving.authority import Authority, make
from cdnkit.serving.folder import authority_folder
from tests.kit.http import Reply, read_reply
from tests.kit.node import Running, running_node
from tests.kit.origin import Asked, Origin, running_origin
from tests.kit.ports import free_port


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """A local CA where the node looks for it."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return make(authority_folder(), time.time())


@asynccontextmanager
async def secured(*behaviors: Behavior, **settings: Any) -> AsyncIterator[tuple[Running, Origin, int]]:
    """A node with both listeners in front of an origin of one object; the port is that of HTTPS."""

    async def stored(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncache-control: max-age=60\r\n\r\nok")

    port = free_port()
    async with running_origin() as origin:
        origin.does("/a", stored)
        async with running_node(origin.url, *behaviors, listen_tls=f"127.0.0.1:{port}", **settings) as node:
            yield node, origin, port


async def over_tls(port: int, authority: Authority, *alpn: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = ssl.create_default_context(cafile=str(authority.certificate_file))
    context.set_alpn_protocols(alpn)
    return await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="cdn.localhost")


async def ask_over_tls(port: int, authority: Authority, path: str) -> Reply:
    reader, writer = await over_tls(port, authority, "http/1.1")
    writer.write(f"GET {path} HTTP/1.1\r\nhost: cdn.localhost\r\nconnection: close\r\n\r\n".encode())
    reply = await read_reply(reader)
    writer.close()
    return reply
