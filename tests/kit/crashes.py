"""An origin that is killed with -9 again and again in mid-stream, on one storage, while players poll and encoders send.

`seg` is sent with a request for each segment: each 200 is a promise that is noted, and what has none is sent again, as
the protocol demands. `loop` is sent in one request without end, and begins anew after a kill with what is due then.
Everything is in real time.
"""

import asyncio
import http.client
import random
import time
import traceback
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from urllib.parse import urlsplit

from origin.media.fragments import Fragment, FragmentReader
from tests.kit.live_origin import request
from tests.kit.looped import LoopedTrack, chunk
from tests.kit.origin_process import OriginProcess
from tests.real.origin.playlists import read_playlist
from tests.soak.origin.players import Absent, Player, dash, hls, low_latency

DOWN = (OSError, http.client.HTTPException, Absent)
"""What whoever asks gets while the origin is down."""
WINDOW_S = 3600


@dataclass
class Promised:
    """One track that is sent with a request for each segment."""

    track: LoopedTrack
    path: str
    acknowledged: list[tuple[int, int]] = field(default_factory=list)
    """(start, end) in ticks of what was answered with 200."""
    again: set[int] = field(default_factory=set)
    """Starts of what was sent more than once."""
    statuses: Counter[int] = field(default_factory=Counter)


class Crashes:
    """`settings`: lines of `[origin]`."""

    def __init__(self, folder: Path, encoded: dict[str, bytes], settings: list[str], seed: int = 1) -> None:
        lines = ['segment = "1s"', 'part = "500ms"', f'window = "{WINDOW_S}s"', 'ingest_stalled = "20s"', *settings]
        self.origin = OriginProcess(folder, lines)
        self.dice = random.Random(seed)
        self.wrong: list[str] = []
        self.kills = 0
        self.polls = 0
        self.down = asyncio.Event()
        """Set while the origin is down, or has just been."""
        self.over = asyncio.Event()
        names = ("180p.cmfv", "audio-64k.cmfa")
        self.promised = [Promised(LoopedTrack(name, encoded[name]), f"/ingest/seg/{name}") for name in names]
        self.looped = [LoopedTrack(name, encoded[name]) for name in names]
        self.began = 0.0

    async def run(self, kills: int) -> None:
        await self.origin.start()
        self.began = time.monotonic()
        tasks = [asyncio.create_task(self._send_segments(one)) for one in self.promised]
        tasks += [asyncio.create_task(self._send_endless(track)) for track in self.looped]
        tasks += [asyncio.create_task(self._poll(player)) for player in self._players()]
        try:
            for _ in range(kills):
                await asyncio.sleep(self.dice.uniform(0.1, 2.0))
                self.down.set()
                await self.origin.kill()
                self.kills += 1
                await asyncio.sleep(self.dice.choice([0, 0, 0.3]))
                await self.origin.start()
                self.down.clear()
            await asyncio.sleep(4.0)
            self.over.set()
            await asyncio.wait_for(asyncio.gather(*tasks), 60)
            await self.origin.kill()
            await self.origin.start()  # what is in hand becomes segments
            await asyncio.to_thread(self._judge)
        finally:
            for task in tasks:
                task.cancel()
            await self.origin.stop()

    async def run_calmly(self, kills: int, *, before: float, between: float) -> None:
        """For a player: only `seg` is sent, and each life lasts `between` seconds. Ends when `over` is set."""
        self.began = time.monotonic()
        tasks = [asyncio.create_task(self._send_segments(one)) for one in self.promised]
        try:
            await asyncio.sleep(before)
            for _ in range(kills):
                await self.origin.kill()
                await self.origin.start()
                await asyncio.sleep(between)
            await self.over.wait()
        finally:
            for task in tasks:
                task.cancel()
            await self.origin.stop()

    # ---- encoders ----------------------------------------------------------------------------------------------------

    async def _send_segments(self, one: Promised) -> None:
        init_sent = False
        for piece in one.track.pieces(Fraction(5), Fraction(1)):
            await self._until(piece.end)
            if self.over.is_set():
                return
            start = round(piece.start * one.track.track.timescale)
            while True:
                try:
                    if not init_sent:
                        init_sent = await asyncio.to_thread(self._post, one, one.track.header) == 200
                    status = await asyncio.to_thread(self._post, one, piece.data)
                except DOWN:
                    status = 0
                one.statuses[status] += 1
                if status == 200:
                    one.acknowledged.append((start, round(piece.end * one.track.track.timescale)))
                    break
                if status == 412:
                    init_sent = False
                elif status:
                    self.wrong.append(f"{one.path}: {status}")
                one.again.add(start)
                await asyncio.sleep(0.1)

    def _post(self, one: Promised, body: bytes) -> int:
        return request(f"{self.origin.ingest}{one.path}", "POST", body=body).status

    async def _send_endless(self, track: LoopedTrack) -> None:
        pieces = track.pieces(Fraction(5), Fraction(1, 2))
        piece = next(pieces)
        while not self.over.is_set():
            writer = None
            try:
                parts = urlsplit(self.origin.ingest)
                _, writer = await asyncio.open_connection(parts.hostname, parts.port)
                head = f"POST /ingest/loop/{track.name} HTTP/1.1\r\nHost: x:{parts.port}\r\nTransfer-Encoding: chunked\r\n\r\n"
                writer.write(head.replace("x:", f"{parts.hostname}:").encode() + chunk(track.header))
                while piece.start % 1 or float(piece.end) < time.monotonic() - self.began:
                    piece = next(pieces)  # begin with a key frame, and with what is due now
                while not self.over.is_set() and not writer.is_closing():
                    await self._until(piece.end)
                    writer.write(chunk(piece.data))
                    await writer.drain()
                    piece = next(pieces)
            except OSError:
                await asyncio.sleep(0.1)
            finally:
                if writer is not None:
                    writer.transport.abort()

    async def _until(self, at: Fraction) -> None:
        await asyncio.sleep(max(0.0, self.began + float(at) - time.monotonic()))

    # ---- players -----------------------------------------------------------------------------------------------------

    def _players(self) -> list[Player]:
        found = []
        for stream in ("seg", "loop"):
            base = f"{self.origin.url}/{stream}"
            found += [hls(base, track, 30.0, 1)[0] for track in ("180p", "audio-64k")]
            found += [dash(base, name, time.time, 30.0) for name in ("manifest.mpd", "manifest-number.mpd")]
        return [
            *found,
            low_latency(f"{self.origin.url}/loop", "180p"),
            dash(f"{self.origin.url}/loop", "manifest-low-latency.mpd", time.time, 30.0),
        ]

    async def _poll(self, player: Player) -> None:
        while not self.over.is_set():
            try:
                await asyncio.to_thread(player.check)
                player.polls, player.known = player.polls + 1, True
                self.polls += 1
            except AssertionError as error:
                at = "".join(traceback.format_tb(error.__traceback__)[-1:])
                self.wrong.append(f"after {self.kills} kills: {player.name}: {error} {at}"[:600])
            except DOWN as error:
                if (
                    player.known
                    and not self.down.is_set()
                    and isinstance(error, Absent)
                    and str(error).startswith("404")
                ):
                    self.wrong.append(f"{player.name}: {error}")
            await asyncio.sleep(min(player.every, 0.3))

    # ---- the end -----------------------------------------------------------------------------------------------------

    def _judge(self) -> None:
        for one in self.promised:
            track = one.track.name.partition(".")[0]
            base = f"{self.origin.url}/seg/{track}"
            playlist = read_playlist(request(f"{base}/media.m3u8").text)
            numbers = [each.number for each in playlist.segments]
            if numbers != list(range(len(numbers))):
                self.wrong.append(f"{track}: media sequence numbers have a hole")
            times: Counter[int] = Counter()
            for each in playlist.segments:
                if not each.gap:
                    data = request(f"{base}/{each.init}").body + request(f"{base}/{each.uri}").body
                    for fragment in FragmentReader(2**26).feed(data):
                        if isinstance(fragment, Fragment):
                            times.update(fragment.starts()[:-1])
            for start, end in one.acknowledged:
                if not any(start <= at < end for at in times):
                    self.wrong.append(f"{track}: {start} to {end} was acknowledged, and is not published")
            starts = sorted(times)
            for start, end in one.acknowledged:
                twice = [at for at in starts if start <= at < end and times[at] > 1]
                if twice and start not in one.again:
                    self.wrong.append(f"{track}: {start} to {end} was sent once, and is published twice")
            with suppress(ValueError):
                wanted = sum(len([at for at in starts if start <= at < end]) for start, end in one.acknowledged)
                if not wanted:
                    self.wrong.append(f"{track}: nothing was acknowledged")
