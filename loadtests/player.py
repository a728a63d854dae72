"""A player's decisions: it takes what came back and when, and returns its next request. No sockets, no clock.

One request at a time, as on one connection. States, and what moves between them:

| state    | leaves when                                              | to       |
|----------|----------------------------------------------------------|----------|
| STARTING | every track holds a segment                              | PLAYING  |
| PLAYING  | the buffer is empty before the end                       | STALLED  |
| PLAYING  | the buffer is empty, every track is ended and fetched    | ENDED    |
| STALLED  | every track holds a segment again                        | PLAYING  |

The buffer is what the *poorest* track holds: video without its sound does not play. It drains between two
calls; `_advance` works out the very instant it ran dry, so a call that comes late measures the same stall.

Playlists are reloaded as RFC 8216 section 6.3.4 says: one target duration after the last reload began when it
brought something new, half of one when it did not. A player whose next segment has left the playlist
jumps to its start position anew, on every track together.
"""

from collections import Counter, deque
from dataclasses import dataclass, field
from enum import Enum
from math import inf

from cdnkit.policy.record.object_class import ObjectClass
from loadtests.playlist import MediaPlaylist, Multivariant, Rendition, Resource, Segment

# hls.js retries a fragment six times, the first after one second, never more than eight apart.
_RETRIES = 6
_RETRY_FIRST = 1.0
_RETRY_MOST = 8.0
# A buffer this small is empty: sums of durations leave rounding errors, and each would count as a stall.
_DRY = 1e-6
# A shorter stall is not counted as one (its seconds are): nobody sees two frames held, and the queue of decoded
# frames that a real player has between buffer and screen, and this model has not, hides it.
_NOTICED = 0.1


class State(Enum):
    STARTING = "starting"
    PLAYING = "playing"
    STALLED = "stalled"
    ENDED = "ended"


@dataclass(slots=True)
class Request:
    """Send this request now."""

    resource: Resource
    object_class: ObjectClass
    track: int
    """Index of the track it is for; -1 for the multivariant playlist."""
    rendition: str
    segment: Segment | None = None


@dataclass(slots=True)
class Wait:
    """Nothing to request before `until`."""

    until: float


@dataclass(slots=True)
class Ended:
    """The stream is over and played out."""


@dataclass(slots=True)
class Experience:
    """What the viewer saw. Seconds throughout."""

    startup: float | None = None
    """From the first request to the first picture; None while there was none."""
    stalls: int = 0
    """Stalls of a tenth of a second or more."""
    stalled: float = 0.0
    """Seconds in stalls of any length."""
    played: float = 0.0
    jumps: int = 0
    """Times the live window left this player behind."""
    skipped: int = 0
    """Segments given up after every retry failed."""
    regressions: int = 0
    """Reloads whose media sequence had gone back."""
    latency: Counter[int] = field(default_factory=Counter)
    """Live latency in tenths of a second, one sample a segment played from a dated playlist."""


@dataclass(slots=True)
class _Track:
    """One media playlist being followed."""

    url: str
    name: str
    playlist: MediaPlaylist | None = None
    reload_at: float = 0.0
    reload_failures: int = 0
    failures: int = 0
    """Failures in a row of the next segment (or its init section)."""
    not_before: float = 0.0
    """A failed request is not repeated before this time."""
    next_number: int | None = None
    init: Resource | None = None
    """The init section it holds."""
    loaded: float = 0.0
    """Seconds of media fetched since the start."""

    @property
    def exhausted(self) -> bool:
        """Ended, and nothing left to fetch."""
        listed = self.playlist
        return listed is not None and listed.ended and (self.next_number or 0) >= listed.next_number


class Player:
    """One viewer, from the first request to the last.

    `draw` in [0, 1) chooses the rendition from `mix` (weights, best first); `began` is Unix seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        began: float,
        draw: float,
        mix: tuple[float, ...] = (0.6, 0.3, 0.1),
        buffer: float = 30.0,
        start_behind: float = 3.0,
    ) -> None:
        self.url = url
        self.seen = Experience()
        self.state = State.STARTING
        self.rendition = ""
        self.bandwidth = 0
        self._began = began
        self._draw = draw
        self._mix = mix
        self._buffer = buffer
        self._start_behind = start_behind
        self._tracks: list[_Track] = []
        self._failures = 0
        self._not_before = began
        self._now = began
        self._stall = 0.0
        self._dates: deque[tuple[float, float]] = deque()
        # ^ (media second at which a segment of the first track starts, its date): the way to the live latency

    # What next ------------------------------------------------------------------------------------

    def next(self, now: float) -> Request | Wait | Ended:
        """The request to send at `now`, or how long there is none."""
        self._advance(now)
        if self.state is State.ENDED:
            return Ended()
        if not self._tracks:
            if now < self._not_before:
                return Wait(self._not_before)
            return Request(Resource(self.url), ObjectClass.MULTIVARIANT, -1, "")
        best: tuple[float, int, float, int] | None = None
        for i, track in enumerate(self._tracks):
            if track.reload_at < inf:
                best = _sooner(best, (max(track.reload_at, now), 0, track.loaded, i))
            due = self._segment_due(track, now)
            if due < inf:
                # The poorest track first: it is the one that would stall the picture.
                best = _sooner(best, (max(due, now), 1, track.loaded, i))
        if best is None:  # all fetched: only the buffer has to run out
            return Wait(now + max(self.buffered, 0.001))
        due, is_segment, _, i = best
        if due > now:
            return Wait(due)
        track = self._tracks[i]
        if not is_segment:
            return Request(Resource(track.url), ObjectClass.MEDIA_PLAYLIST, i, track.name)
        segment = self._upcoming(track)
        if segment is None:
            raise AssertionError("a segment was due that is not listed")
        if segment.init is not None and segment.init != track.init:
            return Request(segment.init, ObjectClass.INIT, i, track.name, segment)
        return Request(segment.resource, ObjectClass.SEGMENT, i, track.name, segment)

    @property
    def buffered(self) -> float:
        """Seconds of media that could be played without another request."""
        return min((track.loaded for track in self._tracks), default=0.0) - self.seen.played

    # What came back -------------------------------------------------------------------------------

    def on_multivariant(self, playlist: Multivariant, now: float) -> None:
        """The ladder is known: choose a rendition, and its audio where that is a playlist of its own."""
        self._advance(now)
        chosen = choose(playlist.renditions, self._mix, self._draw)
        self.rendition, self.bandwidth = _name_of(chosen.url), chosen.bandwidth
        self._tracks = [_Track(chosen.url, self.rendition)]
        group = [one for one in playlist.audio if one.group == chosen.audio]
        sound = next((one for one in group if one.default), group[0] if group else None)
        if sound is not None and sound.url is not None:
            self._tracks.append(_Track(sound.url, _name_of(sound.url)))

    def on_media_playlist(self, request: Request, playlist: MediaPlaylist, begun: float, now: float) -> None:
        """A reload that was begun at `begun` has been read at `now`."""
        self._advance(now)
        if request.track < 0:  # the stream's URL is a media playlist itself: one track, no choice
            self.rendition = _name_of(self.url)
            self._tracks = [_Track(self.url, self.rendition)]
        track = self._tracks[max(request.track, 0)]
        before, track.reload_failures = track.playlist, 0
        changed = before is None or playlist != before
        if before is not None and (
            playlist.media_sequence < before.media_sequence or playlist.next_number < before.next_number
        ):
            # An older cache has no news: keep the newer playlist, reload soon.
            self.seen.regressions += 1
            changed = False
        else:
            track.playlist = playlist
        if playlist.ended:
            track.reload_at = inf
        else:
            track.reload_at = begun + playlist.target_duration * (1.0 if changed else 0.5)
        if track.next_number is None:
            track.next_number = self._start_number(playlist, track.loaded)
        elif track.next_number < playlist.media_sequence and track.playlist is playlist:
            self._jump(track, playlist)

    def on_init(self, request: Request, now: float) -> None:
        self._advance(now)
        track = self._tracks[request.track]
        track.init, track.failures, track.not_before = request.resource, 0, 0.0

    def on_segment(self, request: Request, now: float) -> None:
        """A whole segment is in the buffer."""
        self._advance(now)
        track, segment = self._tracks[request.track], request.segment
        if segment is None or segment.number != track.next_number:
            return  # a jump came between
        self._hold(track, segment)
        track.failures, track.not_before = 0, 0.0
        self._advance(now)

    def on_failure(self, request: Request, now: float) -> None:
        """The request failed: it is repeated after a while; a segment is given up after six retries."""
        self._advance(now)
        if request.track < 0:
            self._failures += 1
            self._not_before = now + _back_off(self._failures)
            return
        track = self._tracks[request.track]
        if request.object_class is ObjectClass.MEDIA_PLAYLIST:
            track.reload_failures += 1
            target = track.playlist.target_duration if track.playlist else 2 * _RETRY_FIRST
            track.reload_at = now + min(_back_off(track.reload_failures), target / 2)
            return
        track.failures += 1
        track.not_before = now + _back_off(track.failures)
        if track.failures > _RETRIES and request.segment is not None:
            self.seen.skipped += 1
            track.next_number = request.segment.number + 1
            track.failures, track.not_before = 0, 0.0

    # The buffer -----------------------------------------------------------------------------------

    def _advance(self, now: float) -> None:
        """Play from the last call's instant to `now`."""
        elapsed = max(0.0, now - self._now)
        self._now += elapsed
        if self.state is State.PLAYING:
            played = min(elapsed, self.buffered)
            self._play(played, self._now - elapsed)
            if played < elapsed or self.buffered <= _DRY:
                if all(track.exhausted for track in self._tracks):
                    self.state = State.ENDED
                else:
                    self.state, self._stall = State.STALLED, 0.0
                    self._stall_for(elapsed - played)
        elif self.state is State.STALLED:
            self._stall_for(elapsed)
            if self.buffered > _DRY:
                self.state = State.PLAYING
            elif self._tracks and all(track.exhausted for track in self._tracks):
                self.state = State.ENDED
        elif self.state is State.STARTING:
            if self.buffered > _DRY:
                self.state = State.PLAYING
                self.seen.startup = self._now - self._began
            elif self._tracks and all(track.exhausted for track in self._tracks):
                self.state = State.ENDED  # an empty stream that has ended

    def _stall_for(self, seconds: float) -> None:
        """The picture stands still for another `seconds`."""
        before, self._stall = self._stall, self._stall + seconds
        self.seen.stalled += seconds
        if before < _NOTICED <= self._stall:
            self.seen.stalls += 1

    def _play(self, seconds: float, since: float) -> None:
        """Move the picture on by `seconds` of media, which began to play at the instant `since`."""
        before = self.seen.played
        self.seen.played = before + seconds
        while self._dates and self._dates[0][0] <= self.seen.played:
            media, date = self._dates.popleft()
            # The instant this segment's first frame was shown, less the instant it happened.
            shown = since + max(0.0, media - before)
            self.seen.latency[round((shown - date) * 10)] += 1

    # Where in the playlist ------------------------------------------------------------------------

    def _start_number(self, playlist: MediaPlaylist, loaded: float) -> int:
        """The segment to begin with: for a track that joins others, the one that shows the same moment."""
        if playlist.ended:
            first = playlist.media_sequence
        else:
            first, behind = playlist.next_number, 0.0
            # The last segment that starts at least `start_behind` target durations before the end.
            wanted = self._start_behind * playlist.target_duration
            for segment in reversed(playlist.segments):
                if behind >= wanted:
                    break
                behind += segment.duration
                first = segment.number
        moment = next((at + loaded for at in map(_zero, self._tracks) if at is not None), None)
        dated = [(abs(s.starts_at - moment), s.number) for s in playlist.segments if s.starts_at and moment]
        return min(dated)[1] if dated else first

    def _hold(self, track: _Track, segment: Segment) -> None:
        """The track's next segment is in the buffer."""
        if track is self._tracks[0] and segment.starts_at is not None:
            self._dates.append((track.loaded, segment.starts_at))
        track.loaded += segment.duration
        track.next_number = segment.number + 1

    def _jump(self, track: _Track, playlist: MediaPlaylist) -> None:
        self.seen.jumps += 1
        # All tracks go on from what all of them hold, or sound and picture would part.
        common = min(one.loaded for one in self._tracks)
        held = [one.next_number for one in self._tracks]
        for one in self._tracks:
            one.next_number, one.loaded = None, common
        while self._dates and self._dates[-1][0] >= common:
            self._dates.pop()
        track.next_number = self._start_number(playlist, common)
        for one, next_number in zip(self._tracks, held, strict=True):
            # A track whose playlist is still the old one chooses when it has reloaded it.
            if one is not track and one.playlist is not None and _reaches(one.playlist, playlist):
                one.next_number = self._start_number(one.playlist, common)
                while (segment := self._upcoming(one)) and segment.number < (next_number or 0):
                    self._hold(one, segment)  # it has been fetched before

    def _upcoming(self, track: _Track) -> Segment | None:
        listed, number = track.playlist, track.next_number
        if listed is None or number is None or not listed.media_sequence <= number < listed.next_number:
            return None
        return listed.segments[number - listed.media_sequence]

    def _segment_due(self, track: _Track, now: float) -> float:
        if self._upcoming(track) is None:
            return inf
        full_by = track.loaded - self.seen.played - self._buffer
        due = now + full_by if full_by > 0 else now
        return max(due, track.not_before)


def choose(renditions: tuple[Rendition, ...], mix: tuple[float, ...], draw: float) -> Rendition:
    """The rendition for a draw in [0, 1): `mix` weighs them best first, surplus is dropped."""
    ranked = sorted(renditions, key=lambda one: -one.bandwidth)
    weights = mix[: len(ranked)]
    total = sum(weights)
    if total <= 0:
        return ranked[0]
    mark = draw * total
    for one, weight in zip(ranked, weights, strict=False):
        if mark < weight:
            return one
        mark -= weight
    return ranked[len(weights) - 1]


def _reaches(listed: MediaPlaylist, other: MediaPlaylist) -> bool:
    """Whether `listed` reaches the first segment of another track's playlist: by date, or by number without dates."""
    if not listed.segments or not other.segments:
        return False
    last, first = listed.segments[-1], other.segments[0]
    if last.starts_at is None or first.starts_at is None:
        return last.number >= first.number
    return last.starts_at >= first.starts_at


def _zero(track: _Track) -> float | None:
    """The date of a track's media second 0; None when its playlist has no dates."""
    listed, number = track.playlist, track.next_number
    if listed is None or number is None or not listed.segments:
        return None
    index = min(max(number - listed.media_sequence, 0), len(listed.segments) - 1)
    segment = listed.segments[index]
    if segment.starts_at is None:
        return None
    return segment.starts_at + (segment.duration if number > segment.number else 0.0) - track.loaded


def _name_of(playlist_url: str) -> str:
    """`.../720p/media.m3u8` -> "720p": the track's folder, as our origin names it; else the file."""
    parts = playlist_url.partition("?")[0].split("/")
    return parts[-2] if len(parts) > 4 and parts[-2] else parts[-1]


def _sooner(a: tuple[float, int, float, int] | None, b: tuple[float, int, float, int]) -> tuple[float, int, float, int]:
    return b if a is None or b < a else a


def _back_off(failures: int) -> float:
    return float(min(_RETRY_FIRST * 2 ** (failures - 1), _RETRY_MOST))
