"""How much memory the media of all open requests may take together, until it is segments or in a file.

Each request alone is bounded, by the largest box and segment, or by what is held of an object; a thousand of them are
not. If the memory is full, the
request that holds most of it goes, whoever asks for more: one that hoards does not stop the others.
"""

import asyncio
from collections.abc import Callable

from origin.errors import Refused


class Memory:
    """The memory of one origin's open requests. Mutable; one event loop's."""

    def __init__(self, most: int) -> None:
        """`most`: bytes."""
        self.most = most
        self.taken = 0
        self._held: dict[object, tuple[int, Callable[[str], None]]] = {}

    def hold(self, request: object, size: int, give_up: Callable[[str], None]) -> None:
        """The request holds `size` bytes from now on. `give_up` is called, with why, for the one that must go."""
        self._set(request, size, give_up)
        while self.taken > self.most:
            greediest = max(self._held, key=lambda one: self._held[one][0])
            held, refuse = self._held[greediest]
            found = f"{self.taken} bytes of media in open requests, and most of them ({held}) in this one"
            self.release(greediest)
            refuse(f"found {found}, wanted at most {self.most} in all (ingest_limits.memory)")

    def release(self, request: object) -> None:
        """The request holds nothing any more."""
        size, _ = self._held.pop(request, (0, None))
        self.taken -= size

    def _set(self, request: object, size: int, give_up: Callable[[str], None]) -> None:
        self.release(request)
        self._held[request] = size, give_up
        self.taken += size


class Share:
    """What one request holds of the memory."""

    def __init__(self, memory: Memory, where: str) -> None:
        """`where`: what the request is about, for its refusal: "live/720p"."""
        self.gone = asyncio.Event()
        """The request must give its memory up."""
        self._memory = memory
        self._where = where
        self._why = ""

    def hold(self, size: int) -> None:
        """The request holds `size` bytes from now on. `Refused`: it is the one that must give them up."""
        self.check()
        self._memory.hold(self, size, self._give_up)
        self.check()

    def check(self) -> None:
        """`Refused`: the request had to give its memory up, since another one asked for more."""
        if self.gone.is_set():
            raise Refused(429, f"{self._where}: {self._why}.", retry_after="1")

    def release(self) -> None:
        """The request holds nothing any more."""
        self._memory.release(self)

    def _give_up(self, why: str) -> None:
        self._why = why
        self.gone.set()
