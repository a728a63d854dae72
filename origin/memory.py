"""How much memory the media of all open requests may take together, until it is segments.

Each request alone is bounded by the largest box and segment; a thousand of them are not. If the memory is full, the
request that holds most of it goes, whoever asks for more: one that hoards does not stop the others.
"""

from collections.abc import Callable


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
