"""The seam between an origin and the place of its files.

Names are the origin's own, such as `live/720p/seg-1-0.m4s`; none is taken from a request. A file is there whole or not
at all, and has the bytes of its last `write`. One event loop calls, and `Backlog` stands between it and the store.

    start                     prepare()      the store is this origin's alone   fails: the origin does not start
                              list("")       what an earlier run left           fails: the origin does not start
                              faltered       whether that run may have published more than is here
    a segment, an init        write(name)    whole, or as it was before         fails: `Backlog` has it and tries again
      section, a state,
      samples in hand
    before a 200              settle(prefix) what was written outlives          fails: the encoder gets 503
                                             the machine
    a request                 read(name)     bytes that memory no longer has    fails: 500
    it left the window        delete(names)  gone, sooner or later              fails: `Backlog` tries again
    a recording is trimmed    copy(names)    the same bytes by other names      fails: nothing is recorded
    publishing without it     falter()       a later run will ask `faltered`
    that is over              recover()
    the end                   release()
"""

from collections.abc import Collection, Mapping
from typing import Protocol


class Store(Protocol):
    """Files by name. Whatever fails raises `StorageFailed`."""

    faltered: bool
    """Once `prepare` is done: an earlier run may have published what is not here."""

    def place(self, name: str) -> str:
        """Where a file lies, for people to read."""

    async def prepare(self) -> None:
        """Take the store for this origin alone."""

    async def list(self, prefix: str) -> dict[str, int]:
        """Sizes of all files whose names begin so, by name."""

    async def write(self, name: str, data: bytes, *, secret: bool = False) -> None:
        """Put a whole file in its place, a `secret` one for this origin's user alone."""

    async def settle(self, prefix: str) -> None:
        """Return once the files whose names begin so outlive the machine, too."""

    async def read(self, name: str, first: int = 0, end: int | None = None) -> bytes | None:
        """The file's bytes from `first` to before `end`; None: there is no such file."""

    async def delete(self, names: Collection[str]) -> None:
        """Remove files; those that are not there are left out."""

    async def copy(self, names: Mapping[str, str]) -> None:
        """Put the bytes of each file in the place of another name as well."""

    def falter(self) -> None:
        """From now on more is published than is here. Does not fail."""

    def recover(self) -> None:
        """All that is published is here again. Does not fail."""

    async def release(self) -> None:
        """Another origin may have the store now."""
