"""The settings of the origin: its listeners, its storage, and the lifetimes that its responses carry."""

from math import ceil
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from cdnkit.hls import Start
from cdnkit.serving import HostName, ListenerLimits
from cdnkit.settings.certificate import Certificate
from cdnkit.settings.encryption import Encryption
from cdnkit.settings.ingest import Encoder, EncoderName, IngestLimits
from cdnkit.settings.recordings import Recordings
from cdnkit.settings.s3 import S3, S3Url
from cdnkit.settings.steering import Steering
from cdnkit.units import Bytes, ListenAddress, Offset, Seconds, Settings, is_loopback
from cdnkit.units.quantities import write_offset, write_seconds


class Lifetimes(Settings):
    """`Cache-Control: max-age` of each class of resource. HTTP counts whole seconds."""

    playlist: Seconds | None = None
    """Multivariant and media playlists of a live stream. Left out: half a segment, at least 1 s."""

    ended: Seconds = 60.0
    """Playlists with EXT-X-ENDLIST. Short, so that viewers find a stream that was restarted under the same name."""

    segment: Seconds = 365 * 86_400.0
    """Segments. Their names are never reused."""

    init: Seconds = 365 * 86_400.0
    """Init sections. They are named after their content."""

    uploaded: Seconds = 120.0
    """Segments and init sections that encoders upload ready-made. Short, because an encoder that starts again under the
    same stream name often uses the same names for other bytes (ffmpeg: `live0.ts`): caches must have forgotten them."""

    vod: Seconds = 86_400.0
    """Files of the VOD folder, playlists too."""

    not_found: Seconds = 1.0
    """404 responses. Short: a segment that is requested too early must appear soon."""


class Uploads(Settings):
    """Ready-made HLS and DASH that encoders upload object by object, such as `ffmpeg -f hls -method PUT`."""

    streams: int = Field(default=64, ge=1)
    """The most streams of uploaded objects. For one more, the stream that has been idle longest is deleted; if all are
    in use, the encoder gets 507."""

    objects: int = Field(default=10_000, ge=1)
    """The most objects of a stream. One more is refused with 507."""

    stream_size: Bytes = Field(default=4 * 2**30, ge=1)
    """The most bytes of a stream's objects. What would pass it is refused with 507."""

    largest: Bytes = Field(default=64 * 2**20, ge=1)
    """A larger object is refused with 413. A playlist or MPD has at most 2 MiB."""


class Origin(Settings):
    """The origin: it receives CMAF fragments and serves HLS."""

    listen: ListenAddress = "127.0.0.1:9000"
    """Address for caches or players; port 0 picks a free port."""

    ingest: ListenAddress = "127.0.0.1:9001"
    """Address to which encoders post: on loopback, or with `encoders`. It is a separate listener, so that no cache in
    front of the origin can reach it."""

    ingest_tls: Literal["local"] | Certificate | None = None
    """HTTPS in place of HTTP on `ingest`: "local", with certificates from the local CA that `cdnlab ca` makes, or a
    pair of your own: `{ certificate = "tls/ingest.pem", key = "tls/ingest-key.pem" }`. Left out: HTTP."""

    ingest_client_ca: Path | None = None
    """PEM file with the authorities that sign encoders' client certificates (mutual TLS). Needs `ingest_tls`."""

    encoders: dict[EncoderName, Encoder] = {}
    """Encoders that may publish, `[origin.encoders.NAME]`. Left out: anybody who reaches `ingest`, which must then be
    on loopback."""

    anybody_may_publish: bool = False
    """Take media without credentials also beyond loopback: whoever reaches `ingest` can then publish, replace and end
    every stream. Only for networks that nobody else reaches, such as one of containers."""

    ingest_streams: tuple[str, ...] = Field(default=("*",), min_length=1)
    """The streams that exist (publishing points): names, or patterns such as "news-*". Others get 404."""

    ingest_limits: IngestLimits = IngestLimits()
    """How much of the origin encoders may use at once."""

    ingest_hosts: tuple[HostName, ...] = ()
    """Host names by which clients reach `ingest`, besides IP addresses, localhost and this machine's own names. A
    request for another host is refused with 421, because a web page can point its own name here (DNS rebinding)."""

    ingest_stalled: Seconds = Field(default=60.0, gt=0)
    """An encoder that sends no complete fragment for this long is treated as disconnected, but never sooner than after
    two segments."""

    encryption: tuple[Encryption, ...] = ()
    """Streams that are encrypted. Repeat `[[origin.encryption]]` for more. Left out: none."""

    storage: S3Url | Path = Path("media")
    """Folder for segments, init sections and the state needed to resume after a restart; or "s3://BUCKET/PREFIX" (needs
    the extra `s3`), where ready-made objects cannot be uploaded."""

    s3: S3 = S3()
    """The S3 server of a `storage` that is in a bucket."""

    storage_memory: Bytes = 256 * 2**20
    """While storage fails, or is too slow, the most bytes of segments that wait in memory to be stored, and are played
    from there. What comes beyond it is listed as a gap."""

    vod: Path | None = None
    """Folder whose files are served unchanged under `/vod/`."""

    segment: Seconds = Field(default=4.0, ge=0.5, le=60.0)
    """Segment duration of streams that have no `[[stream]]`: the interval of their encoders' key frames, or a multiple
    of it. Each `[[stream]]` has its own. Left out: the first one's."""

    part: Seconds | None = Field(default=None, ge=0.1, le=2.0)
    """Low-Latency HLS: the part target, the longest part of a segment that is listed before the segment is complete.
    Encoders should send fragments of this duration; other fragments are joined or divided. Left out: no parts, and no
    blocking playlist reloads."""

    window: Seconds = 60.0
    """Media time that a live playlist lists, at least three segments (RFC 8216 section 6.2.2)."""

    recordings: Recordings = Recordings()
    """Streams that are recorded, and for how long they stay."""

    start: Offset | None = None
    """Where players begin a live stream (EXT-X-START): seconds from the beginning of the playlist or, negative, from
    its end; within the window, and at least three target durations (with `part`: three parts) from the end. Left out:
    their own choice."""

    start_precise: bool = False
    """Players show nothing of a segment that is before `start`."""

    linger: Seconds | None = None
    """How long a segment can still be fetched after it left the playlist. Left out: the window plus the target duration
    (RFC 8216 section 6.2.2) plus a playlist's lifetime in caches."""

    lifetimes: Lifetimes = Lifetimes()
    """How long caches may store each class of resource."""

    steering: Steering | None = None
    """Content steering: which edge players use. Left out: they stay where they came. `{}` in place of a table: the
    edges of the settings file, in its order."""

    cors: str = "*"
    """`Access-Control-Allow-Origin`; `*` lets players on any page read the stream."""

    memory: Bytes = 256 * 2**20
    """Memory for segments. Beyond it the least recently used are served from storage. MPEG-TS segments that were
    requested take up to a quarter of it more."""

    uploads: Uploads = Uploads()
    """Bounds of what encoders upload ready-made."""

    limits: ListenerLimits = ListenerLimits()
    """How much of the public listener one client may use, and for how long."""

    largest: Bytes = 64 * 2**20
    """A larger box or segment is refused at ingest."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.window < 3 * self.segment:
            found = f"window is {write_seconds(self.window)}, segment is {write_seconds(self.segment)}"
            raise ValueError(f"{found}; wanted window >= 3 * segment")
        if self.part is not None and self.part > self.segment:
            found = f"part is {write_seconds(self.part)}, segment is {write_seconds(self.segment)}"
            raise ValueError(f"{found}; wanted part <= segment")
        # Left out, it is each stream's own: `cdnlab/settings/checks/streams.py` knows these.
        if "segment" in self.model_fields_set and (wanted := self.start_wanted(self.segment)):
            raise ValueError(f"start is {write_offset(self.start or 0.0)}; wanted {wanted}")
        return self

    @model_validator(mode="after")
    def _knows_its_encoders(self) -> Self:
        if not (self.encoders or self.anybody_may_publish or is_loopback(self.ingest)):
            raise ValueError(
                f"found ingest = {self.ingest!r} and no encoders: anybody could publish; wanted an "
                "[origin.encoders.NAME] (--encoder NAME=FILE), an address on loopback, or anybody_may_publish = true"
            )
        if self.encoders and self.anybody_may_publish:
            raise ValueError("found encoders and anybody_may_publish; wanted one of them")
        if self.ingest_client_ca is not None and self.ingest_tls is None:
            raise ValueError("found ingest_client_ca without ingest_tls; wanted both: HTTP has no certificates")
        proven = [name for name, encoder in self.encoders.items() if encoder.certificate is not None]
        if proven and self.ingest_client_ca is None:
            raise ValueError(f"found encoders.{proven[0]}.certificate; wanted ingest_client_ca, too")
        return self

    @model_validator(mode="after")
    def _can_encrypt(self) -> Self:
        whole = next((index for index, one in enumerate(self.encryption) if one.method == "AES-128"), None)
        if whole is not None and self.part is not None:
            raise ValueError(
                f'found encryption[{whole}].method = "AES-128" and part: a part of a segment that is encrypted as a '
                'whole cannot be decrypted; wanted method = "SAMPLE-AES", or no part'
            )
        return self

    def encryption_of(self, stream: str) -> Encryption | None:
        """How the tracks of a stream are encrypted; None: they are not."""
        return next((one for one in self.encryption if one.applies_to(stream)), None)

    def target_duration(self, segment: float) -> int:
        """EXT-X-TARGETDURATION for segments of `segment` seconds: constant while the stream lives.

        Rounded up, so that an audio segment, which ends on an audio fragment, still rounds to it
        (RFC 8216 4.3.3.1).
        """
        return max(1, ceil(segment - 0.01))

    @property
    def starts_at(self) -> Start | None:
        return None if self.start is None else Start(self.start, self.start_precise)

    def start_wanted(self, segment: float) -> str:
        """What `start` may be for segments of `segment` seconds, if it is not that; else "" (HLS draft 4.4.2.2)."""
        target = self.target_duration(segment)
        length, hold_back = self.window_of(target), 3.0 * (target if self.part is None else self.part)
        if self.starts_at is None or self.starts_at.fits(length, hold_back):
            return ""
        least, most = write_seconds(hold_back), write_seconds(length)
        return f"0s to {write_seconds(length - hold_back)}, or -{most} to -{least} (window; three target durations)"

    def of_stream(self, stream: str) -> "Origin":
        """The same with the window of this stream: that of one that is recorded holds all of it."""
        if not self.recordings.records(stream):
            return self
        return self.model_copy(update={"window": max(self.window, self.recordings.longest), "linger": 60.0})

    def window_of(self, target: int) -> float:
        """Seconds of media that a playlist of this target duration lists at least."""
        return max(self.window, 3.0 * target)

    def most_segments(self, length: float) -> int:
        """The most segments of a track that are listed, and the most that linger.

        Four times what an encoder makes that keeps the segment length and posts in real time. An encoder that does not
        gets no more room.
        """
        return 4 * ceil((self.window + self.linger_after(length)) / length)

    def linger_after(self, segment: float) -> float:
        """How long a segment of this stream can be fetched after it left the playlist; its parts are in it."""
        if self.linger is not None:
            return self.linger if self.part is None else max(self.linger, self.part_linger(segment))
        return self.window + self.target_duration(segment) + self.playlist_lifetime(segment)

    def part_linger(self, segment: float) -> float:
        """How long a part can be fetched after it left the playlist: three target durations (RFC 8216 2nd ed. 6.2.2),
        and while a cache may have that playlist."""
        return 3 * self.target_duration(segment) + self.playlist_lifetime(segment)

    def part_lifetime(self, segment: float) -> float:
        """In caches: six target durations (RFC 8216 2nd ed. appendix B.1)."""
        return 6.0 * self.target_duration(segment)

    def playlist_lifetime(self, segment: float) -> int:
        chosen = self.lifetimes.playlist
        return max(1, int(segment / 2)) if chosen is None else int(chosen)
