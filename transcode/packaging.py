"""From what ffmpeg wrote to a folder that players read: playlists, an MPD, and single files where these are wanted.

ffmpeg's segments stay as they are; what is said of them is written here, from the media (`media`), so that HLS and DASH
say the same.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from cdnkit import hls
from cdnkit.dash import sets
from cdnkit.settings.ladder import Track
from cdnkit.settings.transcode import Packaging
from transcode.command import START
from transcode.i_frames import i_frames_of
from transcode.manifest import InFiles, InOneFile, Stored, manifest
from transcode.media import Init, Segment, read_init, read_segment, seconds
from transcode.multivariant import Measured, multivariant
from transcode.plan import Plan
from transcode.playlist import Listed, Resource, date_time, media_playlist, target_duration
from transcode.single_file import index, join

MULTIVARIANT = "multivariant.m3u8"
MEDIA = "media.m3u8"
MANIFEST = "manifest.mpd"
INIT = "init.mp4"


@dataclass(frozen=True, slots=True)
class Packaged:
    """A track in its folder."""

    track: Track
    init: Init
    segments: list[Segment]
    file: str = ""
    """The single file that it is; "": segments are in files of their own."""

    @property
    def durations(self) -> list[Fraction]:
        return [seconds(one.ticks, self.init) for one in self.segments]

    @property
    def begins(self) -> Fraction:
        """Presentation time of its first sample, in seconds."""
        return seconds(self.segments[0].start, self.init)

    @property
    def ends(self) -> Fraction:
        return self.begins + sum(self.durations)

    @property
    def rates(self) -> hls.Rates:
        # What is fetched: of a file of its own all, of a single file the range.
        sizes = (one.size if self.file else one.offset + one.size for one in self.segments)
        pieces = list(zip(sizes, map(float, self.durations), strict=True))
        return hls.measured(pieces, target_duration(self.durations))


def package(plan: Plan, folder: Path, how: Packaging, check: Callable[[], None] = lambda: None) -> list[str]:
    """Finishes what ffmpeg made of `plan` in `folder`, where every track lies whole. Blocks.

    `check` is called now and then, and may raise to end it. Returns remarks, one sentence each. Raises OSError, and
    `OutputError` for what fits into no single file.
    """
    tracks = []
    for track in plan.tracks:
        check()
        tracks.append(_read(folder / track.name, track))
    if how.single_file:
        tracks = [_joined(folder / one.track.name, one, check) for one in tracks]
    measured = {one.track.name: Measured(one.init, one.rates, one.segments, _i_frames(folder, one)) for one in tracks}
    (folder / MULTIVARIANT).write_text(multivariant(plan, measured, check), encoding="utf-8")
    length = max(one.ends for one in tracks) - START
    start = None if how.start is None else hls.Start(how.start, how.start_precise)
    remarks = []
    if start and not all(start.fits(float(sum(one.durations))) for one in tracks):
        remarks.append(f"no start at {start.offset:g} s: what was made is {float(length):.1f} s long")
        start = None
    target = target_duration([duration for one in tracks for duration in one.durations])
    for one in tracks:
        check()
        text = _playlist(one, target, start)
        (folder / one.track.name / MEDIA).write_text(text, encoding="utf-8")
    longest = max(duration for one in tracks for duration in one.durations)
    stored = [_stored(plan, one) for one in tracks]
    (folder / MANIFEST).write_text(manifest(stored, begins=START, length=length, longest=longest), encoding="utf-8")
    return remarks


def _read(folder: Path, track: Track) -> Packaged:
    """What ffmpeg wrote of a track; its init section gets the same name in each folder."""
    lines = (folder / MEDIA).read_text(encoding="utf-8").splitlines()
    named = next(line for line in lines if line.startswith("#EXT-X-MAP:")).partition('URI="')[2].partition('"')[0]
    (folder / named).rename(folder / INIT)
    init = read_init(folder / INIT)
    return Packaged(track, init, [read_segment(folder / line, init) for line in lines if line and line[0] != "#"])


def _joined(folder: Path, one: Packaged, check: Callable[[], None]) -> Packaged:
    name = f"{one.track.name}{'.mp4' if one.track.kind == 'video' else '.m4a'}"
    segments = join(folder / name, one.init, one.segments, check)
    (folder / INIT).unlink()
    return Packaged(one.track, one.init, segments, name)


def _i_frames(folder: Path, one: Packaged) -> hls.IFrames | None:
    """Writes the I-frame playlist of a track of pictures; None: it has none."""
    if one.track.kind != "video":
        return None
    pictures = [
        hls.Pictures(
            segment.path.name,
            one.file or INIT,
            i_frames_of(segment, float(duration)),
            float(duration),
            date=date_time(one.begins) if number == 0 else "",
            init_range=f"{len(one.init.data)}@0" if one.file else "",
        )
        for number, (segment, duration) in enumerate(zip(one.segments, one.durations, strict=True))
    ]
    if not any(picture.i_frames for picture in pictures):
        return None
    target = target_duration(one.durations)
    text = hls.i_frame_playlist(pictures, target, ended=True, vod=True)
    (folder / one.track.name / hls.I_FRAMES).write_text(text, encoding="utf-8")
    return hls.IFrames(
        f"{one.track.name}/{hls.I_FRAMES}", hls.i_frame_rates((picture.i_frames for picture in pictures), target)
    )


def _playlist(one: Packaged, target: int, start: hls.Start | None) -> str:
    init = Resource(one.file or INIT, len(one.init.data), 0 if one.file else None)
    resources = [
        Resource(segment.path.name, segment.size, segment.offset if one.file else None) for segment in one.segments
    ]
    listed = [Listed(*pair) for pair in zip(resources, one.durations, strict=True)]
    return media_playlist(init, listed, target=target, begins=one.begins, start=start)


def _stored(plan: Plan, one: Packaged) -> Stored:
    segments: InFiles | InOneFile
    name = one.track.name
    if one.file:
        segments = InOneFile(f"{name}/{one.file}", len(one.init.data), len(index(one.init, one.segments)))
    else:
        timeline = [(segment.start, segment.ticks) for segment in one.segments]
        segments = InFiles(f"$RepresentationID$/{INIT}", "$RepresentationID$/seg-$Number$.m4s", timeline)
    return Stored(_described(plan, one), one.init.timescale, segments)


def _described(plan: Plan, one: Packaged) -> sets.Representation:
    codec = Measured(one.init, one.rates, one.segments).codec
    track = sets.Representation(one.track.name, one.track.kind, codec, one.rates.peak_bps, role="main")
    if (rung := one.track.rung) is not None:
        return replace(track, width=rung.width, height=rung.height, frame_rate=plan.stream.frame_rate)
    # As `command.filter_graph` makes it.
    return replace(track, sample_rate=48_000, channels=2, language=plan.source.language)
