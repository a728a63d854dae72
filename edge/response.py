"""A response that is ready to go out: its head, and the place in a body from which to send."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from cdnkit.policy.http.messages import Headers
from cdnkit.policy.plan import Refuse, Relay, Serve
from edge.bodies import Hungry, Reader

Head = Serve | Relay | Refuse
"""What the machine says last of a request: nothing is left to wait for but the body."""


@dataclass(slots=True)
class Response:
    """One response to one request."""

    head: Head
    reader: Reader | None = None
    """None: no body follows, or (until it is loaded) none that is at hand."""
    blocks: AsyncIterator[bytes] | None = None
    """The body of a response that is assembled from slices, in the reader's place."""
    whole: bytes = b""
    """The stored body, where a response is made at once: it has neither reader nor blocks."""

    def small_body(self) -> bytes | None:
        """All of the body, if it is at hand and small; None: it comes in `pieces`."""
        if self.reader is None:
            return b""
        if self.blocks is not None or (isinstance(self.head, Serve) and self.head.pieces is not None):
            return None
        return self.reader.take_small(self._stop)

    def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes; BodyBroken where it breaks off."""
        assert self.reader is not None
        if self.blocks is not None:
            return self.blocks
        if isinstance(self.head, Serve) and self.head.pieces is not None:
            return self.reader.read_pieces(self.head.pieces)
        return self.reader.read(self._stop)

    def take_whole(self, *, head_only: bool) -> bytes | memoryview | None:
        """All of the body, if it is at hand, whatever its size; None: it comes piece by piece. `head_only`: of HEAD."""
        if isinstance(self.head, Refuse):
            return b"" if head_only or self.head.status == 204 else self.head.body
        return b"" if self.reader is None else self.reader.take_whole(self._stop)

    def take(self) -> bytes | memoryview:
        """What has come of the body and was not taken yet, one piece; b"" where there is none. BodyBroken if it will
        not come."""
        return b"" if self.reader is None else self.reader.take(self._stop)

    def is_over(self) -> bool:
        """Whether that was all, after `take` had nothing."""
        return self.reader is None or self.reader.is_over(self._stop)

    def call(self, hungry: Hungry) -> None:
        """Call it once, when there is more to `take`."""
        if self.reader is not None:
            self.reader.call(hungry)

    def content_type(self) -> str:
        """The content type, also where the head leaves it out (304)."""
        own = Headers.wrap(self.head.headers).first("content-type")
        if own is None and isinstance(self.head, Serve):
            own = self.head.entry.headers.first("content-type")
        return own or ""

    def leave(self, hungry: Hungry | None = None) -> None:
        """Nothing more is read from its body; `hungry`: it need not be called."""
        if self.reader is not None:
            if hungry is not None:
                self.reader.call_off(hungry)
            self.reader.leave()

    @property
    def _stop(self) -> int | None:
        return self.head.span.stop if isinstance(self.head, Serve) and self.head.span else None
