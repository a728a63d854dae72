"""One soak of the origin: three streams, watched in every format, while encoders and the origin are killed.

`loop` is sent in one request without end, `segments` with a request for each segment, both from a VOD whose every sample
is known; `ffmpeg` is one. What must hold:

- at each poll, directly and through an edge, what RFC 8216 6.2 and DASH's timing model say; what is listed is there, what
  has left the playlist is there for a while, and a URL never has other bytes;
- an answer is missing only while the origin is down;
- in the end, each fragment that was sent is published, or the log names it, or it was in hand when the origin was killed.
"""

import asyncio
import http.client
import re
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from random import Random

from cdnlab.settings.low_latency import MEDIA_BEHAVIORS
from tests.kit.live_origin import encoder_command, ffmpeg_program
from tests.kit.looped import Piece
from tests.kit.node import running_node
from tests.kit.origin_process import OriginProcess
from tests.real.origin.playlists import Watch
from tests.soak.origin import players
from tests.soak.origin.players import Absent, Player
from tests.soak.origin.senders import Encoder, Stubborn
from tests.soak.origin.source import looped_tracks

LENGTH = 2.0
WINDOW = 20.0
SLACK_S = 8.0
"""Seconds by which a fault outlives its end: a stream that takes up again, and an edge that has seen a failure."""
IN_HAND_S = 2 * LENGTH + 1
"""Media that the origin holds at most when it is killed: a segment in hand, one that is being stored, a fragment."""
NAMES = ("360p.cmfv", "240p.cmfv", "audio-128k.cmfa")


@dataclass
class Soaked:
    complaints: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    polls: int = 0


@dataclass
class Down:
    """When the origin was down: Unix seconds."""

    began: float
    ended: float = float("inf")

    def excuses(self, began: float, ended: float) -> bool:
        return began <= self.ended + SLACK_S and ended >= self.began - 1


async def soak(folder: Path, seconds: float, *, seed: int = 1) -> Soaked:
    soaked, chance, downs, stop = Soaked(), Random(seed), list[Down](), asyncio.Event()
    tracks = await looped_tracks(folder / "vod", NAMES)
    length = Fraction(tracks[0].ticks, tracks[0].track.timescale)
    settings = [f'segment = "{LENGTH:g}s"', f'window = "{WINDOW:g}s"', 'part = "500ms"', 'memory = "32MiB"']
    origin = await OriginProcess(folder, settings).start()
    began = time.time()
    senders = [
        Stubborn(origin.ingest, stream, track, length, segments=each, began=began)
        for stream, each in (("loop", 0), ("segments", 4))
        for track in tracks
    ]
    outputs = {
        name.partition(".")[0]: f"{origin.ingest}/ingest/ffmpeg/{name}" for name in ("180p.cmfv", "audio-64k.cmfa")
    }
    encoder = Encoder(encoder_command(ffmpeg_program(), outputs, seconds=36_000, realtime=True, gop=60))
    async with running_node(origin.url, *MEDIA_BEHAVIORS, timeouts={"first_byte": "12s"}) as edge:
        watches: dict[str, Watch] = {}
        playing = list(_players(origin.url, edge.url, watches))
        sending = [asyncio.create_task(one.run(stop)) for one in (*senders, encoder)]
        over = asyncio.Event()
        polling = [asyncio.create_task(_poll(one, over, downs, soaked)) for one in playing]
        try:
            await _faults(origin, senders, encoder, chance, downs, soaked, until=began + seconds)
            stop.set()
            await asyncio.wait_for(asyncio.gather(*sending), 60)
            await asyncio.sleep(4 * LENGTH)  # what is left is published, and seen
        finally:
            over.set()
            stop.set()
            await asyncio.gather(*polling)
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)
    await origin.stop()
    log = (folder / "origin.log").read_text()
    _account(senders, watches, downs, began, log, soaked)
    _read_log(log, soaked)
    soaked.notes.append(f"{soaked.polls} polls, the origin was killed {len(downs)} times")
    never = [one.name for one in playing if not one.known]
    soaked.complaints += [f"{name}: never there" for name in never]
    return soaked


def _players(origin: str, edge: str, watches: dict[str, Watch]) -> list[Player]:
    found = []
    for stream, names in (("loop", NAMES), ("segments", NAMES), ("ffmpeg", ("180p.cmfv", "audio-64k.cmfa"))):
        for base in (f"{origin}/{stream}", f"{edge}/{stream}"):
            found.append(players.multivariant(base))
            found += [players.dash(base, name, time.time, 2.0) for name in ("manifest.mpd", "manifest-number.mpd")]
            for name in names:
                track = name.partition(".")[0]
                player, watch = players.hls(base, track, WINDOW, int(LENGTH))
                found.append(player)
                if base.startswith(origin):
                    watches[f"{stream}/{track}"] = watch
            video, sound = names[0].partition(".")[0], names[-1].partition(".")[0]
            found += [players.ts(base, video), players.ts(base, sound)]
            found += [players.low_latency(base, video), players.low_latency(base, sound)]
    return found


async def _poll(player: Player, over: asyncio.Event, downs: list[Down], soaked: Soaked) -> None:
    wrong = 0
    while not over.is_set() and wrong < 3:
        began = time.time()
        try:
            await asyncio.to_thread(player.check)
            player.known = True
        except AssertionError as error:
            wrong += 1
            soaked.complaints.append(
                f"{player.name} at {began:.1f}: {str(error).splitlines()[0] if str(error) else error!r}"
            )
        except (Absent, OSError, http.client.HTTPException) as error:
            excused = any(down.excuses(began, time.time()) for down in downs)
            begins = not player.known and isinstance(error, Absent)
            if not (excused or begins or _waits_for_encoder(error)):
                wrong += 1
                soaked.complaints.append(f"{player.name} at {began:.1f}: {type(error).__name__} {error}".rstrip())
        player.polls += 1
        soaked.polls += 1
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), player.every)


def _waits_for_encoder(error: Exception) -> bool:
    """A blocking request for what no encoder sends: 503 after three target durations, a part that never came 404, and
    400 for what is too far ahead of a stream that began anew."""
    return bool(re.match(r"503 .*_HLS_msn|504 .*_HLS_msn|400 .*_HLS_msn|404 .*part-", str(error)))


async def _faults(
    origin: OriginProcess,
    senders: list[Stubborn],
    encoder: Encoder,
    chance: Random,
    downs: list[Down],
    soaked: Soaked,
    *,
    until: float,
) -> None:
    """Calm at first and in the end; between, something each ten seconds or so."""
    counts: Counter[str] = Counter()
    await asyncio.sleep(12)
    while time.time() < until - 20:
        match chance.choice(("origin", "ffmpeg", "loop", "segments")):
            case "origin":
                downs.append(Down(time.time()))
                await origin.kill()
                await asyncio.sleep(chance.uniform(0.0, 2.0))
                await origin.start()
                downs[-1].ended = time.time()
                counts["origin killed"] += 1
                await asyncio.sleep(10)
            case "ffmpeg":
                encoder.kill()
                counts["ffmpeg killed"] += 1
            case stream:
                for sender in senders[:3] if stream == "loop" else senders[3:]:
                    if chance.random() < 0.5:
                        sender.break_off()
                        counts[f"{stream} broken off"] += 1
        await asyncio.sleep(chance.uniform(3, 10))
    soaked.notes.append(f"faults: {dict(counts)}")
    await asyncio.sleep(max(0.0, until - time.time()))


_NAMED = re.compile(
    r"(\w+)/([\w-]+): (\d+) (?:pictures|samples of sound) from ([\d.]+) s to ([\d.]+) s are not published: (.*)"
)


def _account(
    senders: list[Stubborn], watches: dict[str, Watch], downs: list[Down], began: float, log: str, soaked: Soaked
) -> None:
    named: dict[str, list[tuple[float, float]]] = {}
    for stream, track, _, first, end, why in _NAMED.findall(log):
        named.setdefault(f"{stream}/{track}", []).append((float(first), float(end)))
        soaked.notes.append(f"named: {stream}/{track} {first} to {end}: {why}")
    for sender in senders:
        name = sender.name
        published = _ranges(watches[name])
        sent = lost = in_hand = told = 0
        missing: list[str] = []
        for piece in sender.fed.pieces:
            sent += piece.samples
            if _covered(piece, published):
                continue
            if any(first - 0.03 <= piece.start and piece.end <= end + 0.03 for first, end in named.get(name, ())):
                told += piece.samples
            elif any(
                down.began - began - IN_HAND_S <= piece.end and piece.start <= down.ended - began for down in downs
            ):
                in_hand += piece.samples
            else:
                lost += piece.samples
                missing.append(f"{float(piece.start):.2f}")
        soaked.notes.append(
            f"{name}: {sent} samples sent, {in_hand} were in hand when the origin was killed, {told} are named, "
            f"{lost} are lost; statuses {dict(Counter(sender.fed.statuses))}"
        )
        if lost:
            soaked.complaints.append(f"{name}: {lost} samples are lost without a word, at {', '.join(missing[:10])}")
        if not sender.fed.over:
            soaked.complaints.append(f"{name}: the sender did not end")


def _ranges(watch: Watch) -> list[tuple[Fraction, Fraction]]:
    """Decode times that are published, a segment each."""
    return sorted((watch.starts[number], watch._ends[number]) for number in watch.starts)


def _covered(piece: Piece, ranges: list[tuple[Fraction, Fraction]]) -> bool:
    """Whether every moment of it is published."""
    at = piece.start
    for first, end in ranges:
        if first <= at < end:
            at = end
        if at >= piece.end:
            return True
    return False


def _read_log(log: str, soaked: Soaked) -> None:
    for line in log.splitlines():
        if "Traceback" in line or re.search(r"\bERROR\b|Error: ", line):
            soaked.complaints.append(f"log: {line[:200]}")
