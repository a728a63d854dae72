"""A store whose files lie in memory, and which fails, waits and forgets when it is told to."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from origin.errors import StorageFailed


@dataclass
class MemoryStore:
    """`Store`."""

    files: dict[str, bytes] = field(default_factory=dict)
    faltered: bool = False
    failing: str = ""
    """Why every write and delete fails."""
    open: asyncio.Event | None = None
    """Writes wait for it."""
    written: list[str] = field(default_factory=list)
    """Names in the order in which they were stored."""
    unsettled: set[str] = field(default_factory=set)

    def place(self, name: str) -> str:
        return f"memory:{name}"

    async def prepare(self) -> None:
        pass

    async def list(self, prefix: str) -> dict[str, int]:
        return {name: len(data) for name, data in self.files.items() if name.startswith(prefix)}

    async def write(self, name: str, data: bytes, *, secret: bool = False) -> None:
        if self.open is not None:
            await self.open.wait()
        self._check(name)
        self.files[name] = data
        self.written.append(name)
        self.unsettled.add(name)

    async def settle(self, prefix: str) -> None:
        self.unsettled = {name for name in self.unsettled if not name.startswith(prefix)}

    async def read(self, name: str, first: int = 0, end: int | None = None) -> bytes | None:
        data = self.files.get(name)
        return None if data is None else data[first:end]

    async def delete(self, names: Collection[str]) -> None:
        self._check("")
        for name in names:
            self.files.pop(name, None)

    async def copy(self, names: Mapping[str, str]) -> None:
        self._check("")
        for name, other in names.items():
            self.files[other] = self.files[name]

    def falter(self) -> None:
        self.faltered = True

    def recover(self) -> None:
        self.faltered = False

    async def release(self) -> None:
        pass

    def _check(self, name: str) -> None:
        if self.failing:
            raise StorageFailed(self.place(name), self.failing, "room")
