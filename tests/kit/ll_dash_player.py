"""A small low-latency DASH player: the manifest once, each segment when its first chunk is due, chunks as they come.

It decodes nothing: a chunk is played when its bytes are there and its time has come.
"""

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol

from origin.media.fragments import Fragment, FragmentReader
from tests.kit.dash_invariants import Mpd, Period, Representation, when


class Body(Protocol):
    """A response that is read as it comes."""

    status: int
    chunks: list[bytes]
    whole: bool

    async def has(self, size: int) -> None: ...

    @property
    def body(self) -> bytes: ...

    @property
    def over(self) -> bool: ...


class Fetch(Protocol):
    def __call__(self, target: str) -> AbstractAsyncContextManager[Body]:
        """The response to a URL beside the manifest."""


@dataclass
class Chunk:
    """A moof and its mdat, as it came."""

    number: int
    at: float
    """When its media is on the timeline: Unix seconds."""
    duration: float
    came: float


@dataclass
class LowLatencyDashPlayer:
    """One Representation's."""

    fetch: Fetch
    mpd: Mpd
    period: Period
    one: Representation
    got: list[Chunk] = field(default_factory=list)
    first_bytes: list[float] = field(default_factory=list)
    """Seconds from each request to its first chunk."""
    wrong: list[str] = field(default_factory=list)

    @property
    def target(self) -> float:
        """Seconds behind the timeline at which it plays."""
        return float(self.mpd.latency["target"]) / 1000

    @property
    def needed(self) -> float:
        """The least latency at which no chunk would have come too late."""
        return max(one.came - one.at for one in self.got)

    async def play(self, count: int) -> None:
        """So many segments from now on, the first one from its start."""
        async with self.fetch(self.one.init) as init:
            await init.has(2**40)
            header = init.body
        first = self.mpd.due(self.period, self.one, time.time()) + 1
        await asyncio.gather(*(self._segment(header, number) for number in range(first, first + count)))
        self.got.sort(key=lambda one: one.at)

    async def _segment(self, header: bytes, number: int) -> None:
        assert self.one.regular is not None
        available = when(self.mpd.attributes["availabilityStartTime"]) + self.period.start
        available += (number - self.one.first + 1) * self.one.regular - self.one.early
        await asyncio.sleep(max(0.0, float(available) - time.time()))
        asked, read = time.time(), 0
        reader = FragmentReader(2**26)
        list(reader.feed(header))
        async with self.fetch(self.one.url(number)) as response:
            if response.status != 200:
                self.wrong.append(f"{number}: {response.status}")
                return
            while True:
                for piece in response.chunks[read:]:
                    read += 1
                    self._take(number, [one for one in reader.feed(piece) if isinstance(one, Fragment)], asked)
                if response.over:
                    break
                await response.has(len(response.body) + 1)
            if not response.whole:
                self.wrong.append(f"{number}: broke off")

    def _take(self, number: int, fragments: list[Fragment], asked: float) -> None:
        now, scale = time.time(), self.one.timescale
        base = when(self.mpd.attributes["availabilityStartTime"])
        for one in fragments:
            if not any(chunk.number == number for chunk in self.got):
                self.first_bytes.append(now - asked)
            at = base + self.period.at(self.one, Fraction(one.start, scale))
            self.got.append(Chunk(number, float(at), one.duration / scale, now))
