"""The three ways to watch a stream come: HLS, LL-HLS, LL-DASH, each from every tier at the same time.

Every tier is asked for the same URL, so that what a tier adds is seen as the difference. A request to a tier is what a
viewer's would be: the tiers before it see one, however many ask.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urljoin

from cdnlab.errors import Failed
from cdnlab.latency.chunks import chunks_of
from cdnlab.latency.playlists import (
    Listed,
    MediaPlaylist,
    Unreadable,
    read_manifest,
    read_media_playlist,
    variant_of,
)
from cdnlab.latency.probe import Timed, get, of_all
from cdnlab.latency.stages import Unit

PAUSE_S = 0.1
"""Between two looks at a playlist that cannot be waited for."""
MOST_PARTS = 128
"""Of a segment that are asked for; a segment has at most 60 s, a part at least half a second where there are many."""
MOST_MISSES = 5
"""Hints that are abandoned in a row."""
_SEGMENT = re.compile(r"seg-([0-9]+-[0-9]+)\.m4s$")


@dataclass(frozen=True, slots=True)
class Tier:
    """A listener that viewers or other tiers ask: `http://127.0.0.1:8081`."""

    name: str
    base: str


@dataclass(slots=True)
class Watch:
    """One stream through these tiers, the one nearest to the encoder first. `deadline`: of `time.monotonic`."""

    tiers: Sequence[Tier]
    path: str
    """Of the playlist or manifest."""
    query: str
    """Of every request, such as a token; "": none."""
    deadline: float

    def ask(self, tier: Tier, path: str, *more: str, method: str = "GET") -> Timed:
        query = "&".join(one for one in (self.query, *more) if one)
        return get(f"{tier.base}{path}{'?' * bool(query)}{query}", self.deadline, method)

    def _ask_all(self, path: str) -> list[Timed]:
        return of_all(lambda tier: self.ask(tier, path), self.tiers)

    @property
    def _names(self) -> str:
        return ", ".join(tier.name for tier in self.tiers)

    def text(self, path: str, *more: str) -> str:
        """A playlist or manifest, as viewers get it."""
        timed = self.ask(self.tiers[-1], path, *more)
        if timed.status != 200:
            raise Failed(f"{self.tiers[-1].base}{path}: found {timed.status}, wanted a playlist or manifest")
        return timed.body.decode("utf-8", "replace")

    def media_playlist(self) -> tuple[str, MediaPlaylist]:
        """The first rendition's path, and its playlist."""
        path, text = self.path, self.text(self.path)
        if (variant := variant_of(text, path)) is not None:
            path, text = variant, self.text(variant)
        return path, self.read(text)

    def read(self, text: str) -> MediaPlaylist:
        playlist = read_media_playlist(text)
        if playlist.ended:
            raise Failed("the stream has ended: nothing comes any more")
        return playlist

    # ---- HLS --------------------------------------------------------------------------------------------------------

    def hls(self, count: int) -> list[Unit]:
        """Whole segments, as each tier's playlist lists them."""
        path, _ = self.media_playlist()
        first = self.read(self._of(self.tiers[0], path)).next_number
        return [self._segment(path, number) for number in range(first, first + count)]

    def _of(self, tier: Tier, path: str) -> str:
        timed = self.ask(tier, path)
        if timed.status != 200:
            raise Failed(f"{tier.base}{path}: found {timed.status}, wanted a playlist")
        return timed.body.decode("utf-8", "replace")

    def _segment(self, path: str, number: int) -> Unit:
        def follow(tier: Tier) -> tuple[Listed, float, MediaPlaylist, Timed]:
            while True:
                playlist = self.read(self._of(tier, path))
                listed_at = time.time()
                for one in playlist.segments:
                    if one.number == number:
                        return one, listed_at, playlist, self._whole(tier, urljoin(path, one.uri))
                if playlist.next_number > number:
                    raise Failed(f"{tier.name}: segment {number} has left its playlist unseen")
                time.sleep(PAUSE_S)

        seen = of_all(follow, self.tiers)
        one, listed_at, playlist, timed = seen[-1]
        # At the instant at which the playlist lists it, a player is `hold_back` behind the playlist's end.
        played = listed_at + playlist.hold_back - (playlist.end - one.at)
        answers = [answer for _, _, _, answer in seen]
        return _unit(one.uri, answers, 0, len(timed.body), at=one.at, played=played)

    def _whole(self, tier: Tier, path: str) -> Timed:
        timed = self.ask(tier, path)
        if timed.status != 200:
            raise Failed(f"{tier.base}{path}: found {timed.status}, wanted 200: it is listed")
        return timed

    # ---- LL-HLS -----------------------------------------------------------------------------------------------------

    def low_latency_hls(self, count: int) -> list[Unit]:
        """Parts, each requested when it is hinted at, and held by the origin until it is whole."""
        path, playlist = self.media_playlist()
        if not playlist.part_target:
            raise Failed("this is no Low-Latency HLS: its playlist has no parts", "Set `part` in [origin].")
        # What a cache had may be old: from here on it is asked for by number.
        playlist = self.read(self.text(path, f"_HLS_msn={playlist.next_number + 1}"))
        units: list[Unit] = []
        misses = 0
        while len(units) < count:
            (number, index), hint, at = playlist.next_part, playlist.hint, playlist.end
            answers = self._ask_all(urljoin(path, hint)) if hint else []
            playlist = self.read(self.text(path, f"_HLS_msn={number}", f"_HLS_part={index}"))
            if not answers or any(one.status != 200 for one in answers):
                misses += 1
                if misses > MOST_MISSES:
                    raise Failed(f"{path}: {misses} hints in a row were abandoned")
                continue
            misses = 0
            part = next((one for one in playlist.parts if one.uri == hint), None)
            duration = playlist.part_target if part is None else part.duration
            played = answers[-1].ended + playlist.part_hold_back - duration
            units.append(
                _unit(hint, answers, 0, len(answers[-1].body), at=at if part is None else part.at, played=played)
            )
        return units

    # ---- LL-DASH ----------------------------------------------------------------------------------------------------

    def low_latency_dash(self, count: int) -> list[Unit]:
        """Chunks of growing segments, each segment requested when its first chunk is due."""
        template = read_manifest(self.text(self.path))
        number = template.number_at(time.time()) + 1
        units: list[Unit] = []
        while len(units) < count:
            pause = template.due(number) - time.time()
            if time.monotonic() + pause > self.deadline:
                raise Failed(f"segment {number} is due in {pause:.1f} s: behind the time there is")
            time.sleep(max(0.0, pause))
            path = urljoin(self.path, template.url(number))
            answers = self._ask_all(path)
            if any(one.status != 200 for one in answers):
                raise Failed(f"{path}: found {[one.status for one in answers]} from {self._names}, wanted 200")
            body = answers[-1].body
            chunks = chunks_of(body)
            sizes = self._parts_of(path) or [(chunk.end, None) for chunk in chunks]
            start = 0
            for end, received in sizes:
                chunk = next((one for one in chunks if one.end > start), None)
                if chunk is None or chunk.decode_time is None or end > len(body):
                    raise Failed(f"{path}: its chunks are not what its parts are")
                at, played = template.at(chunk.decode_time), template.played(chunk.decode_time)
                unit = _unit(path, answers, start, end, at=at, played=played, received=received)
                units.append(unit)
                start = end
            number += 1
        return units[:count]

    def _parts_of(self, path: str) -> list[tuple[int, float | None]]:
        """Where each part of the segment ends, and when the origin received it; empty where it has no parts."""
        found: list[tuple[int, float | None]] = []
        size = 0
        for index in range(MOST_PARTS if _SEGMENT.search(path) else 0):
            timed = self.ask(self.tiers[0], _SEGMENT.sub(rf"part-\1-{index}.m4s", path), method="HEAD")
            if timed.status != 200 or "content-length" not in timed.headers:
                break
            size += int(timed.headers["content-length"])
            found.append((size, timed.received))
        return found


def _unit(
    name: str,
    answers: Sequence[Timed],
    start: int,
    end: int,
    *,
    at: float,
    played: float,
    received: float | None = None,
) -> Unit:
    """Bytes `start` to `end` of these answers; `at`: when its first picture was captured, by the playlist."""
    chunk = next((one for one in chunks_of(answers[-1].body) if one.end > start), None)
    told = None if chunk is None else chunk.captured
    received = received or next((one.received for one in answers if one.received is not None), None)
    had = tuple(one.had(end) for one in answers)
    if told is not None and not -0.5 <= at - told <= 10.0:
        told = None  # a clock that is wrong
    return Unit(name.rpartition("/")[2], at if told is None else told, received, had, played, told is not None)


def units_of(watch: Watch, protocol: str, count: int) -> list[Unit]:
    """As many units as that. Raises `Failed`."""
    watches = {"hls": watch.hls, "ll-hls": watch.low_latency_hls, "ll-dash": watch.low_latency_dash}
    try:
        return watches[protocol](count)
    except (Unreadable, ValueError, KeyError) as error:
        raise Failed(f"{watch.tiers[-1].base}{watch.path}: {error}") from None
