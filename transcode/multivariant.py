"""The multivariant playlist of a folder of VOD, measured: all its segments are there (HLS draft 4.4.6.2).

ffmpeg's own playlist has the nominal rates of some tracks, no frame rates, and audio groups whose members have no name
in common. What is encoded is known from the plan, and what came of it is in the folder.
"""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from cdnkit import hls
from cdnkit.settings.ladder import Track
from transcode.i_frames import i_frames_of
from transcode.plan import Plan


def multivariant(plan: Plan, folder: Path) -> str:
    """The playlist of what `plan` made in `folder`, where every track lies whole."""
    listed = {track.name: _Listed(folder / track.name) for track in plan.tracks}
    videos = [_video(plan, track, listed[track.name]) for track in plan.tracks if track.kind == "video"]
    audios = [_audio(track, listed[track.name]) for track in plan.tracks if track.kind == "audio"]
    # Every rung is of the same pictures: the smallest has the captions of all.
    return hls.multivariant_playlist(videos, audios, captions=_captions(listed[plan.rungs[-1].name]))


def i_frame_playlists(plan: Plan, folder: Path) -> dict[str, str]:
    """The I-frame playlist of each track of pictures, by its path in `folder`."""
    return {
        f"{track.name}/{hls.I_FRAMES}": hls.i_frame_playlist(listed.pictures, listed.target, ended=True, vod=True)
        for track in plan.tracks
        if track.kind == "video" and (listed := _Listed(folder / track.name)).has_i_frames
    }


class _Listed:
    """What a track's media playlist lists."""

    def __init__(self, folder: Path) -> None:
        lines = (folder / "media.m3u8").read_text().splitlines()
        self.segments = [folder / line for line in lines if line and not line.startswith("#")]
        self.durations = [float(line[8:].partition(",")[0]) for line in lines if line.startswith("#EXTINF:")]
        self.target = int(next(line for line in lines if line.startswith("#EXT-X-TARGETDURATION:"))[22:])
        self.map = (
            next(line for line in lines if line.startswith("#EXT-X-MAP:")).partition('URI="')[2].partition('"')[0]
        )
        self.init = (folder / self.map).read_bytes()

    @cached_property
    def pictures(self) -> list[hls.Pictures]:
        """Its segments as an I-frame playlist lists them."""
        return [
            hls.Pictures(segment.name, self.map, i_frames_of(segment, duration), duration)
            for segment, duration in zip(self.segments, self.durations, strict=True)
        ]

    @property
    def has_i_frames(self) -> bool:
        return any(one.i_frames for one in self.pictures)

    @property
    def rates(self) -> hls.Rates:
        sizes = [segment.stat().st_size for segment in self.segments]
        return hls.measured(list(zip(sizes, self.durations, strict=True)), self.target)

    def after(self, name: bytes) -> bytes:
        """What follows the name of a box in the init section; nothing where there is none."""
        return self.init.partition(name)[2]


def _video(plan: Plan, track: Track, listed: _Listed) -> hls.Video:
    assert track.rung is not None
    colours = listed.after(b"colrnclx")
    return hls.Video(
        track.name,
        f"{track.name}/media.m3u8",
        f"avc1.{listed.after(b'avcC')[1:4].hex()}",
        listed.rates,
        width=track.rung.width,
        height=track.rung.height,
        frame_rate=plan.stream.frame_rate,
        video_range=hls.video_range(int.from_bytes(colours[2:4], "big")),
        audio_bps=plan.stream.shared_audio_bps or track.rung.audio_bps,
        i_frames=hls.IFrames(
            f"{track.name}/{hls.I_FRAMES}", hls.i_frame_rates((one.i_frames for one in listed.pictures), listed.target)
        )
        if listed.has_i_frames
        else None,
    )


def _audio(track: Track, listed: _Listed) -> hls.Audio:
    # AAC-LC in stereo: `command.encoding_arguments` and `command.filter_graph`.
    uri = f"{track.name}/media.m3u8"
    return hls.Audio(track.name, uri, "mp4a.40.2", listed.rates, declared_bps=track.bitrate_bps)


def _captions(listed: _Listed) -> list[str]:
    length_size = (listed.after(b"avcC")[4] & 3) + 1
    found: set[str] = set()
    for segment in listed.segments:
        for media in _media(segment.read_bytes()):
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
