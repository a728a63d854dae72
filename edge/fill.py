"""A fill whose head has landed: its body is taken as it comes, without a task, for as long as nothing has to wait.

    kept          up to the largest that is stored
    passing       up to a window, with readers

A body that is compressed here, or may become too large for its CDN, is written by a task, as is all that is beyond
(`fills.py`).
"""

from typing import Protocol

from cdnkit.policy.freshness.storable import content_length
from cdnkit.policy.outcomes import Failure
from cdnkit.policy.plan import Fetch, Landing, Relay
from cdnkit.policy.record.lines import FetchRecord
from edge.bodies import WINDOW_BYTES, Body
from edge.errors import UpstreamFailed
from edge.parent.exchange import Exchange

RESERVED_BYTES = 64 * 1024
"""From this length on, a body is given its place when its head has come; a shorter one mostly comes in one chunk."""


class Owner(Protocol):
    """Who has the fills (`fills.py`)."""

    largest: int
    """The largest body that is stored."""

    def write_rest(self, fill: "Fill", chunk: bytes) -> None:
        """It takes no more: this chunk may be too much."""

    def broke_off(self, fill: "Fill", failed: UpstreamFailed) -> Failure | None:
        """Why its body is not whole; None: it counts as whole."""

    def finish(self, fill: "Fill", why: Failure | None) -> None:
        """No more comes of a body that was taken: it is whole, or (`why`) not."""


class Fill:
    """One of them. While it takes the body it is the exchange's `Taker`."""

    __slots__ = ("_owner", "body", "counter", "exchange", "fetch", "landing", "record")

    def __init__(
        self,
        owner: Owner,
        fetch: Fetch,
        exchange: Exchange,
        landing: Landing,
        body: Body,
        record: FetchRecord,
        counter: int | None,
    ) -> None:
        """`counter`: the shared tier's."""
        self._owner = owner
        self.fetch = fetch
        self.exchange = exchange
        self.landing = landing
        self.body = body
        self.record = record
        self.counter = counter

    @property
    def wanted(self) -> bool:
        """Whether anybody wants its body."""
        landing = self.landing
        return landing.store is not None or any(
            isinstance(answer, Relay) and answer.body for answer in landing.answers.values()
        )

    @property
    def bodiless(self) -> bool:
        """Whether it cannot have a body (RFC 9112 §6.3)."""
        return self.fetch.request.method == "HEAD" or self.exchange.head.status in (204, 304)

    # ---- taking ----------------------------------------------------------------------------------------------------

    def take(self) -> None:
        """Take the body as it comes; a long one that is kept is put where it stays."""
        body, length = self.body, content_length(self.exchange.head.headers)
        grows = body.kept and not body.size_bytes and not self.landing.coding and not self.bodiless
        if grows and length is not None and RESERVED_BYTES <= length <= self._owner.largest:
            body.reserve(length)
        self.exchange.take(self)

    def place(self, size: int) -> memoryview | None:
        return self.body.place(size)

    def on_filled(self, size: int) -> None:
        self.body.filled(size)

    def on_chunk(self, chunk: bytes) -> None:
        body, landing = self.body, self.landing
        size = body.size_bytes + len(chunk)
        simple = size <= self._owner.largest if body.kept else size <= WINDOW_BYTES and bool(body.readers)
        if simple and not landing.coding and landing.cut_at is None:
            body.write(chunk)
        else:
            self._owner.write_rest(self, chunk)

    def on_end(self) -> None:
        if self.landing.coding:
            self._owner.write_rest(self, b"")  # what the encoder has to say at its end
        else:
            self._owner.finish(self, None)

    def on_broken(self, failure: UpstreamFailed) -> None:
        self._owner.finish(self, self._owner.broke_off(self, failure))
