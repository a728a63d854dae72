"""The live window of one track: which segments are listed, which are only fetchable still, and how to come back.

Numbers are media sequence numbers; they only grow, through encoder restarts and restarts of the origin. A segment's
`discontinuity` counts the generations of the stream that published before it, the same in every track: it is the
discontinuity sequence number (RFC 8216 6.2.1), and a tag stands wherever it changes between two neighbours.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from itertools import islice, takewhile
from operator import attrgetter
from typing import Any

from cdnkit.hls import IFrame, average_bps, i_frame_rates, peak_at_end
from origin.live.part_window import PartWindow
from origin.live.parts import Part
from origin.live.segmenter import Segment
from origin.media.fragments import Fragment
from origin.media.reference_times import ReferenceTime, reference_time
from origin.media.tracks import InitSection, Kind, Track


@dataclass(slots=True)
class Entry:
    """One segment, or the gap where this track has none although its siblings have."""

    number: int
    generation: int
    discontinuity: int
    start: float
    """Decode time in seconds, on the encoder's timeline."""
    duration: float
    at: float
    """Program date-time of the start, Unix seconds."""
    size: int
    init: str
    """Id of its init section."""
    gap: bool = False
    decode_time: int = 0
    ticks: int = 0
    """Start and duration again, exactly, in ticks of the track's timescale; no ticks: not known."""
    key: str = ""
    """Id of the key that it is encrypted with; "": it is not."""
    i_frames: tuple[IFrame, ...] = ()
    """Of video: its key frames that can be listed."""
    first_i_frame: int = 0
    """Media sequence number of the first one in the track's I-frame playlist; one that has none is one gap there."""
    received: float = 0.0
    """When the last of it came, Unix seconds; 0: not known."""

    @property
    def name(self) -> str:
        return f"seg-{self.generation}-{self.number}.m4s"

    @property
    def rate_bps(self) -> float:
        return 8 * self.size / self.duration

    def ticks_at(self, timescale: int) -> tuple[int, int]:
        """Decode time and duration in ticks."""
        if self.ticks:
            return self.decode_time, self.ticks
        return round(self.start * timescale), max(1, round(self.duration * timescale))


@dataclass(slots=True)
class Numbered:
    """What the publisher is to store and list: an init section, or a segment with its entry, or a gap, or a part."""

    init: InitSection | None = None
    entry: Entry | None = None
    segment: Segment | None = None
    part: Part | None = None
    """Of a segment that comes later, with the fragments that it has."""
    fragments: list[Fragment] = field(default_factory=list)


_COLUMNS = tuple(one.name for one in fields(Entry))
_I_FRAMES = _COLUMNS.index("i_frames")
_columns = attrgetter(*_COLUMNS)  # saved with every segment: dataclasses.asdict takes twenty times as long


def _row(entry: Entry) -> list[Any]:
    row = list(_columns(entry))
    row[_I_FRAMES] = [(one.offset, one.size, one.duration) for one in entry.i_frames]
    return row


@dataclass(slots=True)
class TrackWindow:
    """One track's window. Mutable state; `slide` is called after every `add`."""

    name: str
    track: Track
    init: str
    """Id of the newest init section."""
    frame_rate: float = 0.0
    listed: deque[Entry] = field(default_factory=deque)
    gone: deque[tuple[Entry, float]] = field(default_factory=deque)
    """No longer listed, with the time until which each stays fetchable."""
    peak_bps: float = 0.0
    """Largest rate of neighbouring segments so far. It never falls: BANDWIDTH must hold for what is still to come."""
    next_number: int = 0
    """One past the last number listed."""
    next_i_frame: int = 0
    """Likewise in the I-frame playlist."""
    i_frames_shown: int | None = None
    """What `next_i_frame` was for the I-frame playlist that is served; None: none is."""
    i_frame_peak_bps: float = 0.0
    """As `peak_bps`, of key frames alone."""
    parts: PartWindow = field(default_factory=PartWindow)
    """Empty without parts; not saved: whoever comes back after a restart begins with a segment."""
    reference: ReferenceTime | None = None
    """What the encoder has said in its first segment of when that was captured; not saved: it is that of one run."""
    tracks: dict[str, Track] = field(default_factory=dict)
    """What init sections since the origin's start say, by id: `track` may be newer than what is listed."""

    def track_of(self, entry: Entry) -> Track:
        """The track as it was for this segment."""
        return self.tracks.get(entry.init, self.track)

    @property
    def average_bps(self) -> float:
        return average_bps((entry.size, entry.duration) for entry in self.listed if not entry.gap)

    @property
    def duration(self) -> float:
        return sum(entry.duration for entry in self.listed)

    @property
    def inits(self) -> set[str]:
        """Ids of the init sections that are needed still."""
        return {self.init, *(entry.init for entry in self.fetchable())}

    @property
    def until(self) -> float:
        """Program date-time at the end of what is listed; 0 where nothing is."""
        return self.listed[-1].at + self.listed[-1].duration if self.listed else 0.0

    @property
    def in_hand(self) -> list[Part]:
        """Listed parts of the segment that is not complete yet."""
        return self.parts.of(self.next_number)

    def fetchable(self) -> Iterator[Entry]:
        yield from (entry for entry, _ in self.gone)
        yield from self.listed

    def add(self, entry: Entry, *, target: int) -> None:
        """Lists one more segment; `target` is the target duration."""
        if entry.number < self.next_number:
            raise ValueError(f"{self.name}: number {entry.number} after {self.next_number - 1}")
        self.listed.append(entry)
        self.next_number = entry.number + 1
        entry.first_i_frame = self.next_i_frame
        self.next_i_frame += max(1, len(entry.i_frames))
        neighbours = takewhile(lambda one: not one.gap, reversed(self.listed))
        self.peak_bps = max(self.peak_bps, peak_at_end(((one.size, one.duration) for one in neighbours), target))
        if entry.i_frames and not entry.gap:
            newest = list(takewhile(lambda one: not one.gap, islice(reversed(self.listed), 3)))
            peak = i_frame_rates((one.i_frames for one in reversed(newest)), target).peak_bps
            self.i_frame_peak_bps = max(self.i_frame_peak_bps, peak)

    def measure_frame_rate(self, entry: Entry, segment: Segment) -> None:
        """Before `add`. The highest of this init section's segments (HLS draft 4.4.6.2)."""
        rate = segment.samples * self.track.timescale / sum(fragment.duration for fragment in segment.fragments)
        begun = bool(self.listed) and self.listed[-1].init == entry.init
        self.frame_rate = max(rate, self.frame_rate) if begun else rate

    def find_reference(self, segment: Segment) -> None:
        """Before the first `add` of a run of an encoder, which may begin with a burst: what it says last counts."""
        found = (reference_time(one.data[: one.lead]) for one in reversed(segment.fragments) if one.lead)
        self.reference = next((one for one in found if one is not None), None)

    def slide(self, length: float, linger: float, now: float, most: int) -> None:
        """Takes segments off the playlist's head while `length` seconds, or `most` segments, stay behind them."""
        total = self.duration
        while len(self.listed) > 1 and (total - self.listed[0].duration >= length or len(self.listed) > most):
            total -= self.listed[0].duration
            self.gone.append((self.listed.popleft(), now + linger))

    def restart(self, linger: float, now: float) -> None:
        """Takes everything off the playlist: what comes next does not follow it by number."""
        while self.listed:
            self.gone.append((self.listed.popleft(), now + linger))
        self.parts.clear(now + linger)

    def expire(self, now: float, most: int) -> list[Entry]:
        """Forgets the segments whose `linger` is over, and those beyond `most`; returns them: their files can go."""
        expired: list[Entry] = []
        while self.gone and (self.gone[0][1] <= now or len(self.gone) > most):
            expired.append(self.gone.popleft()[0])
        return expired

    def slide_parts(self, length: float, until: float) -> None:
        """Takes parts off the playlist whose segment ends more than `length` seconds before its end."""
        behind = sum(part.duration for part in self.in_hand)
        for entry in reversed(self.listed):
            if behind > length and entry.number in self.parts.listed:
                self.parts.drop(entry.number, until)
            behind += entry.duration

    def to_json(self) -> dict[str, Any]:
        return {
            "track": asdict(self.track),
            "init": self.init,
            "frame_rate": self.frame_rate,
            "peak_bps": self.peak_bps,
            "next_number": self.next_number,
            "next_i_frame": self.next_i_frame,
            "i_frame_peak_bps": self.i_frame_peak_bps,
            "columns": _COLUMNS,
            "listed": [_row(entry) for entry in self.listed],
            "gone": [[_row(entry), until] for entry, until in self.gone],
        }

    @classmethod
    def from_json(cls, name: str, values: dict[str, Any]) -> "TrackWindow":
        """The window as it was saved. KeyError, TypeError or ValueError: it was not saved by `to_json`."""
        track = Track(**{**values["track"], "kind": Kind(values["track"]["kind"])})
        track.captions = tuple(track.captions)
        columns = values["columns"]

        def entry(row: list[Any]) -> Entry:
            saved = dict(zip(columns, row, strict=True))
            saved["i_frames"] = tuple(IFrame(*each) for each in saved.get("i_frames", ()))
            return Entry(**saved)

        window = cls(
            name=name,
            track=track,
            init=str(values["init"]),
            frame_rate=float(values["frame_rate"]),
            peak_bps=float(values["peak_bps"]),
            next_number=int(values["next_number"]),
            next_i_frame=int(values.get("next_i_frame", 0)),
            i_frame_peak_bps=float(values.get("i_frame_peak_bps", 0.0)),
            listed=deque(map(entry, values["listed"])),
            gone=deque((entry(row), float(until)) for row, until in values["gone"]),
        )
        if "next_i_frame" not in values:  # an older version counted none
            for one in window.listed:
                one.first_i_frame, window.next_i_frame = window.next_i_frame, window.next_i_frame + 1
        return window
