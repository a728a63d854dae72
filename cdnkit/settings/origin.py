"""What the origin needs to know: where it listens, where it stores, how long things live."""

from math import ceil
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from cdnkit.serving import HostName, ListenerLimits
from cdnkit.units import Bytes, ListenAddress, Seconds, Settings


class Lifetimes(Settings):
    """`Cache-Control: max-age` of each class of resource. HTTP counts whole seconds."""

    playlist: Seconds | None = None
    """Multivariant and media playlists of a live stream. Left out: half a segment, at least 1 s."""

    ended: Seconds = 60.0
    """Playlists with EXT-X-ENDLIST. Short enough that a stream begun anew under its name is found."""

    segment: Seconds = 365 * 86_400.0
    """Segments; their names are never used twice."""

    init: Seconds = 365 * 86_400.0
    """Init sections; they are named after their content."""

    vod: Seconds = 86_400.0
    """Files of the VOD folder, playlists too."""

    not_found: Seconds = 1.0
    """404s. Short: a segment asked for too early must appear."""


class Origin(Settings):
    """The origin: takes CMAF fragments in, gives HLS out."""

    listen: ListenAddress = "127.0.0.1:9000"
    """Where caches (or players) reach it; port 0 takes any free port."""

    ingest: ListenAddress = "127.0.0.1:9001"
    """Where encoders post. A listener of its own, so that no cache in front of the origin can reach it."""

    ingest_hosts: tuple[HostName, ...] = ()
    """Names by which `ingest` is reached, beside addresses, localhost and this machine's own: requests for another host
    are refused with 421, since a web page can point its own name here."""

    ingest_stalled: Seconds = Field(default=60.0, gt=0)
    """An encoder that sends no whole fragment for so long is taken for gone, as if its connection had broken; but never
    sooner than two segments."""

    storage: Path = Path("media")
    """The folder that holds segments, init sections and what is needed to resume after a restart."""

    vod: Path | None = None
    """A folder whose files are served as they are, under `/vod/`."""

    segment: Seconds = Field(default=4.0, ge=0.5, le=60.0)
    """Segment length the encoder was told: its key frames are so far apart, or divide it."""

    window: Seconds = 60.0
    """Media time that a live playlist lists, at least three segments (RFC 8216 6.2.2)."""

    linger: Seconds | None = None
    """How long a segment stays fetchable after it left the playlist. Left out: window and target duration
    together (RFC 8216 6.2.2), and again a playlist's lifetime in caches."""

    lifetimes: Lifetimes = Lifetimes()
    """How long caches may keep things."""

    cors: str = "*"
    """`Access-Control-Allow-Origin`; `*` lets players on any page read the stream."""

    memory: Bytes = 256 * 2**20
    """Room for segments served from memory; the least recently used are then read from storage."""

    limits: ListenerLimits = ListenerLimits()
    """How much of the public listener one client may take, and how long."""

    largest: Bytes = 64 * 2**20
    """A larger box, or a larger segment, is refused at ingest."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.window < 3 * self.segment:
            raise ValueError("wanted window >= 3 * segment")
        return self

    def target_duration(self, segment: float) -> int:
        """EXT-X-TARGETDURATION for segments of `segment` seconds: constant while the stream lives.

        Rounded up, so that an audio segment, which ends on an audio fragment, still rounds to it
        (RFC 8216 4.3.3.1).
        """
        return max(1, ceil(segment - 0.01))

    def window_of(self, target: int) -> float:
        """Seconds of media that a playlist of this target duration lists at least."""
        return max(self.window, 3.0 * target)

    def most_segments(self, length: float) -> int:
        """As many segments of a track are listed at most, and as many linger: four times what an encoder makes that
        keeps the segment length and posts in real time. One that does not, takes no more room."""
        return 4 * ceil((self.window + self.linger_after(length)) / length)

    def linger_after(self, segment: float) -> float:
        if self.linger is not None:
            return self.linger
        return self.window + self.target_duration(segment) + self.playlist_lifetime(segment)

    def playlist_lifetime(self, segment: float) -> int:
        chosen = self.lifetimes.playlist
        return max(1, int(segment / 2)) if chosen is None else int(chosen)
