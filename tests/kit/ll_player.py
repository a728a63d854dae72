"""A small Low-Latency HLS player: tune-in, blocking reloads, preload hints, and what each part's way took.

It reads as the draft tells clients to (RFC 8216 2nd ed. 6.3 and appendix C), and decodes nothing: a part is played when
its bytes are there and its time has come.
"""

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil, floor

from cdnkit.policy.http.messages import Headers
from tests.kit.http import Reply

Fetch = Callable[[str], Awaitable[Reply]]
_ATTRIBUTE = re.compile(r'([A-Z-]+)=("[^"]*"|[^,]*)')


@dataclass
class ListedPart:
    """A part as the playlist lists it."""

    msn: int
    index: int
    uri: str
    duration: float
    at: float
    """Program date-time of its start, Unix seconds."""
    independent: bool


@dataclass
class LowLatencyPlaylist:
    """A media playlist as far as such a player needs it."""

    target: float = 0.0
    part_target: float = 0.0
    part_hold_back: float = 0.0
    next_msn: int = 0
    """Of the segment that is not complete."""
    parts: list[ListedPart] = field(default_factory=list)
    hint: str = ""
    reports: list[dict[str, str]] = field(default_factory=list)
    init: str = ""
    end: float = 0.0
    """Program date-time where it ends."""
    skipped: int = 0
    ended: bool = False

    @property
    def next_part(self) -> tuple[int, int]:
        """(msn, part) of what comes next."""
        return self.next_msn, sum(part.msn == self.next_msn for part in self.parts)


def attributes(line: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(line.partition(":")[2])}


def read(text: str) -> LowLatencyPlaylist:
    """The playlist of a text."""
    playlist, at, inside = LowLatencyPlaylist(), 0.0, 0.0
    for line in text.splitlines():
        tag, _, value = line.partition(":")
        match tag:
            case "#EXT-X-TARGETDURATION":
                playlist.target = float(value)
            case "#EXT-X-PART-INF":
                playlist.part_target = float(attributes(line)["PART-TARGET"])
            case "#EXT-X-SERVER-CONTROL":
                playlist.part_hold_back = float(attributes(line)["PART-HOLD-BACK"])
            case "#EXT-X-MEDIA-SEQUENCE":
                playlist.next_msn = int(value)
            case "#EXT-X-SKIP":
                playlist.skipped = int(attributes(line)["SKIPPED-SEGMENTS"])
                playlist.next_msn += playlist.skipped
            case "#EXT-X-MAP":
                playlist.init = attributes(line)["URI"]
            case "#EXT-X-PROGRAM-DATE-TIME":
                at, inside = datetime.fromisoformat(value).timestamp(), 0.0
                playlist.end = at
            case "#EXT-X-PART":
                found = attributes(line)
                duration = float(found["DURATION"])
                index = sum(part.msn == playlist.next_msn for part in playlist.parts)
                playlist.parts.append(
                    ListedPart(playlist.next_msn, index, found["URI"], duration, at + inside, "INDEPENDENT" in found)
                )
                inside += duration
                playlist.end = at + inside
            case "#EXTINF":
                playlist.end = at + float(value.rstrip(","))
            case "#EXT-X-PRELOAD-HINT":
                playlist.hint = attributes(line)["URI"]
            case "#EXT-X-RENDITION-REPORT":
                playlist.reports.append(attributes(line))
            case "#EXT-X-ENDLIST":
                playlist.ended = True
            case _ if line and not line.startswith("#"):
                playlist.next_msn += 1
    return playlist


@dataclass
class Got:
    """One part that was fetched."""

    msn: int
    index: int
    at: float
    """When its media was captured: program date-time of its start."""
    duration: float
    came: float
    """When its last byte came, Unix seconds."""
    body: bytes


@dataclass
class LowLatencyPlayer:
    """One track's. `fetch` gets a target below the track's folder, such as `media.m3u8?_HLS_msn=7`."""

    fetch: Fetch
    got: list[Got] = field(default_factory=list)
    requests: int = 0
    wrong: list[str] = field(default_factory=list)
    """Answers other than 200."""
    behind: float = 0.0
    """Seconds between a picture's program date-time and its playing, once playback has begun."""
    tuning: list[float] = field(default_factory=list)
    """`Age` of each playlist of the tune-in."""

    async def tune_in(self) -> LowLatencyPlaylist:
        """An up-to-date playlist through caches (appendix C)."""
        began = time.time()
        reply = await self._get("media.m3u8")
        playlist = first = read(reply.body.decode())
        age = float(reply["age"] or 0)
        self.tuning.append(age)
        goal = age + (1.0 if first.part_target < 1 else 0.0) if reply["age"] is not None else 0.0
        while age >= max(1, floor(first.part_target)):
            current = goal + time.time() - began
            missing = current - (playlist.end - first.end)
            if missing <= 0:
                break
            msn, part = playlist.next_part
            a_segment = ceil(playlist.target / playlist.part_target)
            more, part = divmod(part + ceil(missing / playlist.part_target) - 1, a_segment)
            reply = await self._get(f"media.m3u8?_HLS_msn={msn + min(more, 1)}&_HLS_part={part}")
            playlist, age = read(reply.body.decode()), float(reply["age"] or 0)
            self.tuning.append(age)
        return playlist

    async def play(self, until: Callable[["LowLatencyPlayer"], bool]) -> None:
        """Every part that is needed to play from the hold-back on, each as soon as it is there."""
        playlist = await self.tune_in()
        start = playlist.end - playlist.part_hold_back
        first = max((p for p in playlist.parts if p.independent and p.at <= start + 0.01), key=lambda p: p.at)
        after = (first.msn, first.index)
        hinted: tuple[str, Reply] = ("", Reply(0, Headers()))
        while not until(self):
            for part in playlist.parts:
                if (part.msn, part.index) >= after:
                    reply = hinted[1] if part.uri == hinted[0] else await self._get(part.uri)
                    self.got.append(Got(part.msn, part.index, part.at, part.duration, time.time(), reply.body))
                    after = (part.msn, part.index + 1)
            self.behind = self.behind or time.time() - start
            if playlist.ended:
                return
            hinted = playlist.hint, await self._get(playlist.hint)
            msn, index = playlist.next_part
            reply = await self._get(f"media.m3u8?_HLS_msn={msn}&_HLS_part={index}&_HLS_skip=YES")
            playlist = read(reply.body.decode())

    async def _get(self, target: str) -> Reply:
        self.requests += 1
        reply = await self.fetch(target)
        if reply.status != 200:
            self.wrong.append(f"{target}: {reply.status}")
        return reply
