"""A VOD, looped as live streams: no encoder, so that what is measured is the origin. Interface 1, version 1.0.

The sender reads a track once, writes its fragments of the wished length anew, and sends them again and again, each time
with later decode times: a patch of eight bytes. So there is no discontinuity, and no sample is left out. All tracks of
a loop last as long as its pictures. Sound never divides into that evenly: a round has as many samples of it as bring
its end nearest to where the pictures end, one more or one less than the round before.
"""

import asyncio
import itertools
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from urllib.parse import urlsplit

from origin.media.fragments import Fragment, FragmentReader, of_samples
from origin.media.samples import Samples
from origin.media.tracks import InitSection


@dataclass(slots=True)
class Piece:
    """One fragment to send."""

    start: Fraction
    """Decode time in seconds."""
    end: Fraction
    samples: int
    data: bytes


class LoopedTrack:
    """One track of a loop; `name` has its extension: `180p.cmfv`."""

    def __init__(self, name: str, data: bytes) -> None:
        """`data`: what an encoder wrote, `ftyp moov (moof mdat)+`."""
        init, *fragments = FragmentReader(2**28).feed(data)
        assert isinstance(init, InitSection)
        self.name, self.header, self.track = name, init.data, init.track
        self._samples: list[tuple[int, int, int, bytes]] = []
        """Duration, flags and composition offset in ticks, and bytes."""
        for fragment in fragments:
            assert isinstance(fragment, Fragment) and fragment.table is not None
            table, at = fragment.table, fragment.media
            for row in zip(table.durations, table.flags, table.shifts, table.sizes, strict=True):
                self._samples.append((*row[:3], fragment.data[at : at + row[3]]))
                at += row[3]
        self._written: dict[tuple[int, int], tuple[Fragment, int]] = {}

    @property
    def ticks(self) -> int:
        """How long it lasts, in ticks of its timescale."""
        return sum(sample[0] for sample in self._samples)

    def pieces(self, length: Fraction, fragment: Fraction, start: Fraction = Fraction(0)) -> Iterator[Piece]:
        """Fragments for ever: `length` seconds a round, each of about `fragment` seconds, the first one at `start`."""
        scale, at = self.track.timescale, round(start * self.track.timescale)
        for turn in itertools.count(1):
            end, index = (start + turn * length) * scale, 0
            while at < end and (count := self._count(index, min(at + fragment * scale, end) - at)):
                written, time_at = self._piece(index, count)
                patched = written.data[:time_at] + struct.pack(">Q", at) + written.data[time_at + 8 :]
                yield Piece(Fraction(at, scale), Fraction(at + written.duration, scale), count, patched)
                at, index = at + written.duration, index + count

    def _count(self, index: int, ticks: Fraction) -> int:
        """How many samples from `index` on bring the end nearest to `ticks` later."""
        count, passed = 0, 0
        while passed + Fraction(duration := self._sample(index + count)[0], 2) <= ticks:
            count, passed = count + 1, passed + duration
        return count

    def _sample(self, index: int) -> tuple[int, int, int, bytes]:
        return self._samples[min(index, len(self._samples) - 1)]  # sound that is too short lasts with its last sample

    def _piece(self, index: int, count: int) -> tuple[Fragment, int]:
        if (index, count) not in self._written:
            durations, flags, shifts, media = zip(*map(self._sample, range(index, index + count)), strict=True)
            table = Samples(durations, tuple(map(len, media)), flags, shifts)
            written = of_samples(table, self.track.track_id, 0, b"".join(media))
            self._written[index, count] = written, written.data.index(b"tfdt") + 8
        return self._written[index, count]


@dataclass
class Sent:
    """What a sender has sent of one track: samples and bytes, and when it was late."""

    samples: int = 0
    bytes: int = 0
    until: Fraction = Fraction(0)
    """Decode time where it ends, seconds."""
    latest: float = 0.0
    """The most seconds by which a fragment went out too late."""
    status: int = 0
    """The answer; 0: none came."""


@dataclass
class Republisher:
    """Posts the tracks of one VOD as many streams. `paced` False: as fast as the origin takes them."""

    ingest: str
    tracks: list[LoopedTrack]
    streams: list[str]
    fragment: Fraction = Fraction(1, 2)
    paced: bool = True
    sent: dict[tuple[str, str], Sent] = field(default_factory=dict)
    """By stream and track's name."""

    @property
    def length(self) -> Fraction:
        """Of one round, in seconds: that of the first track."""
        return Fraction(self.tracks[0].ticks, self.tracks[0].track.timescale)

    async def run(self, seconds: float) -> None:
        """Sends `seconds` of each stream, and ends all properly. Each stream begins a little after the one before."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        posts = []
        for index, stream in enumerate(self.streams):
            after = float(self.fragment) * index / len(self.streams) if self.paced else 0.0
            posts += [self._post(stream, track, began + after, seconds) for track in self.tracks]
        await asyncio.gather(*posts)

    async def _post(self, stream: str, track: LoopedTrack, began: float, seconds: float) -> None:
        sent = self.sent[stream, track.name.partition(".")[0]] = Sent()
        loop, parts = asyncio.get_running_loop(), urlsplit(self.ingest)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            writer.write(
                f"POST /ingest/{stream}/{track.name} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
                "Transfer-Encoding: chunked\r\n\r\n".encode()
            )
            writer.write(chunk(track.header))
            for piece in track.pieces(self.length, self.fragment):
                if piece.start >= seconds:
                    break
                if self.paced:
                    due = began + float(piece.end)
                    await asyncio.sleep(due - loop.time())
                    sent.latest = max(sent.latest, loop.time() - due)
                writer.write(chunk(piece.data))
                await writer.drain()
                sent.samples, sent.bytes, sent.until = (
                    sent.samples + piece.samples,
                    sent.bytes + len(piece.data),
                    piece.end,
                )
            writer.write(b"0\r\n\r\n")
            await writer.drain()
            sent.status = int((await reader.readuntil(b"\r\n")).split()[1])
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


def chunk(data: bytes) -> bytes:
    """Of chunked content (RFC 9112 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)
