"""The bytes of a resource that are not in memory: from a file, or from the origin's storage."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from origin.errors import StorageFailed
from origin.publishing.responses import Resource, Stored

CHUNK = 256 * 1024
"""Bytes that are read from a file at once."""
STORED_CHUNK = 2**20
"""Bytes that are read from storage at once, which may be a request to another machine."""


async def read_whole(resource: Resource) -> bytes | None:
    """All of it; None: it lies nowhere. OSError: it cannot be read."""
    if isinstance(resource.path, Path):
        return await asyncio.to_thread(resource.path.read_bytes)
    if resource.path is None:
        return None
    return await _read(resource.path, resource.offset, resource.offset + resource.size)


async def read_pieces(resource: Resource, at: int, end: int) -> AsyncGenerator[bytes, None]:
    """Bytes `at` to before `end`, a piece at a time. OSError: they are not there."""
    assert resource.path is not None
    if isinstance(resource.path, Stored):
        while at < end:
            upto = min(at + STORED_CHUNK, end)
            piece = await _read(resource.path, resource.offset + at, resource.offset + upto)
            at = upto
            yield piece
        return
    file = await asyncio.to_thread(resource.path.open, "rb")
    try:
        file.seek(resource.offset + at)
        while at < end:
            chunk = await asyncio.to_thread(file.read, min(CHUNK, end - at))
            if not chunk:
                raise OSError(f"{resource.path}: ends at byte {at}, wanted {end}")
            at += len(chunk)
            yield chunk
    finally:
        file.close()


async def _read(stored: Stored, first: int, end: int) -> bytes:
    try:
        data = await stored.storage.read(stored.name, first, end)
    except StorageFailed as error:
        raise OSError(str(error)) from error
    if data is None or len(data) != end - first:
        found = "is gone" if data is None else f"has {len(data)} bytes from byte {first} on"
        raise OSError(f"{stored.name}: {found}, wanted them up to byte {end}")
    return data
