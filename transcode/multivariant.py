"""The multivariant playlist of a folder of VOD, measured: all its segments are there (HLS draft 4.4.6.2).

ffmpeg's own playlist has the nominal rates of some tracks, no frame rates, and audio groups whose members have no name
in common. What is encoded is known from the plan, and what came of it is in the folder.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from cdnkit import hls
from cdnkit.settings.ladder import Track
from transcode.media import Init, Segment
from transcode.plan import Plan


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a track."""

    init: Init
    rates: hls.Rates
    segments: list[Segment]
    i_frames: hls.IFrames | None = None

    @property
    def codec(self) -> str:
        """RFC 6381."""
        # Sound is AAC-LC in stereo: `command.encoding_arguments` and `command.filter_graph`.
        profile = self.init.after(b"avcC")[1:4].hex()
        return f"avc1.{profile}" if profile else "mp4a.40.2"


def multivariant(plan: Plan, tracks: Mapping[str, Measured], check: Callable[[], None] = lambda: None) -> str:
    """The playlist of what `plan` made; `check` is called before each segment is read."""
    videos = [_video(plan, track, tracks[track.name]) for track in plan.tracks if track.kind == "video"]
    audios = [_audio(plan, track, tracks[track.name]) for track in plan.tracks if track.kind == "audio"]
    # Every rung is of the same pictures: the smallest has the captions of all.
    return hls.multivariant_playlist(videos, audios, captions=_captions(tracks[plan.rungs[-1].name], check))


def _video(plan: Plan, track: Track, measured: Measured) -> hls.Video:
    assert track.rung is not None
    colours = measured.init.after(b"colrnclx")
    return hls.Video(
        track.name,
        f"{track.name}/media.m3u8",
        measured.codec,
        measured.rates,
        width=track.rung.width,
        height=track.rung.height,
        frame_rate=plan.stream.frame_rate,
        video_range=hls.video_range(int.from_bytes(colours[2:4], "big")),
        audio_bps=plan.stream.shared_audio_bps or track.rung.audio_bps,
        i_frames=measured.i_frames,
    )


def _audio(plan: Plan, track: Track, measured: Measured) -> hls.Audio:
    return hls.Audio(
        track.name,
        f"{track.name}/media.m3u8",
        measured.codec,
        measured.rates,
        language=plan.source.language,
        declared_bps=track.bitrate_bps,
    )


def _captions(measured: Measured, check: Callable[[], None]) -> list[str]:
    length_size = (measured.init.after(b"avcC")[4] & 3) + 1
    found: set[str] = set()
    for segment in measured.segments:
        check()
        for media in _media(segment.read()):
            found |= hls.instream_ids(media, length_size)
    return sorted(found)


def _media(segment: bytes) -> Iterator[memoryview]:
    """The contents of each `mdat` of a segment, which is whole boxes."""
    at = 0
    while at < len(segment):
        end = at + int.from_bytes(segment[at : at + 4], "big")
        if segment[at + 4 : at + 8] == b"mdat":
            yield memoryview(segment)[at + 8 : end]
        at = end
