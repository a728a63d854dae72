"""A folder as a `Store`: its calls block, so each has a thread for as long as it takes."""

import asyncio
from collections.abc import Collection, Mapping
from pathlib import Path

from origin.storage.folder import FALTERED, STEADY, Folder


class Directory:
    """`Store`: a directory tree."""

    def __init__(self, root: Path) -> None:
        self.folder = Folder(root)
        self.faltered = False

    def place(self, name: str) -> str:
        return str(self.folder.path(name))

    async def prepare(self) -> None:
        self.faltered = await asyncio.to_thread(self.folder.prepare)

    async def list(self, prefix: str) -> dict[str, int]:
        return await asyncio.to_thread(self.folder.list, prefix)

    async def write(self, name: str, data: bytes, *, secret: bool = False) -> None:
        await asyncio.to_thread(self.folder.write, name, data, secret=secret)

    async def settle(self, prefix: str) -> None:
        await asyncio.to_thread(self.folder.settle, prefix)

    async def read(self, name: str, first: int = 0, end: int | None = None) -> bytes | None:
        return await asyncio.to_thread(self.folder.read, name, first, end)

    async def delete(self, names: Collection[str]) -> None:
        await asyncio.to_thread(self.folder.delete, names)

    async def copy(self, names: Mapping[str, str]) -> None:
        await asyncio.to_thread(self.folder.copy, names)

    def falter(self) -> None:
        self.folder.rename(STEADY, FALTERED)

    def recover(self) -> None:
        self.folder.rename(FALTERED, STEADY)

    async def release(self) -> None:
        self.folder.release()
