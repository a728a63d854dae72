"""A live stream's multivariant playlist, from the windows of its tracks.

What a live stream will take cannot be measured yet: its rates are those of "a representative period, encoded using the
same settings" (HLS draft 4.4.6.2). So BANDWIDTH is never less than the maximum that the encoder declares, nor than the
highest peak so far: a stream that begins in black would announce a tenth of its rate. It never falls.
"""

from collections.abc import Callable, Iterable
from math import ceil

from cdnkit import hls
from cdnkit.settings.ladder import rate_in_name, suited_audio_bps
from origin.hls.i_frames import has_i_frames, i_frame_rates
from origin.hls.playlist import MEDIA, media_of
from origin.live.window import TrackWindow
from origin.media.tracks import Kind

_CREDIBLE_BPS = 10**9
"""No encoder needs more; some write 2^32 - 1 for "not known"."""


def multivariant_playlist(
    windows: Iterable[TrackWindow],
    *,
    media: str = MEDIA,
    rates_of: Callable[[TrackWindow], hls.Rates] | None = None,
    version: int = 7,
) -> str:
    """The multivariant playlist of tracks that have each a segment.

    `media` is the file name of the media playlists of pictures and sound, `rates_of` what is announced for each track,
    `version` the protocol's. I-frame playlists are of fMP4, and so beside `MEDIA` alone.
    """
    windows, rates_of = list(windows), rates_of or rates
    found = {kind: [window for window in windows if window.track.kind is kind] for kind in Kind}
    return hls.multivariant_playlist(
        [_video(window, media, rates_of(window)) for window in found[Kind.VIDEO]],
        [_audio(window, f"{window.name}/{media}", rates_of(window)) for window in found[Kind.AUDIO]],
        [_subtitles(window, f"{window.name}/{media_of(window)}", rates_of(window)) for window in found[Kind.TEXT]],
        _captions(found[Kind.VIDEO]),
        version=version,
    )


def _video(window: TrackWindow, media: str, announced: hls.Rates) -> hls.Video:
    track = window.track
    listed = media == MEDIA and has_i_frames(window)
    return hls.Video(
        window.name,
        f"{window.name}/{media}",
        track.codec,
        announced,
        width=track.width,
        height=track.height,
        frame_rate=window.frame_rate,
        video_range=track.video_range,
        audio_bps=suited_audio_bps(window.name, track.height),
        i_frames=hls.IFrames(f"{window.name}/{hls.I_FRAMES}", i_frame_rates(window)) if listed else None,
    )


def _audio(window: TrackWindow, uri: str, announced: hls.Rates) -> hls.Audio:
    track = window.track
    return hls.Audio(
        window.name,
        uri,
        track.codec,
        announced,
        language=track.language,
        label=track.label,
        role=track.role,
        channels=track.channels,
        declared_bps=rate_in_name(window.name) or track.average_bps or track.max_bps,
        enabled=track.enabled,
    )


def _subtitles(window: TrackWindow, uri: str, announced: hls.Rates) -> hls.Subtitles:
    track = window.track
    return hls.Subtitles(
        window.name,
        uri,
        track.codec,
        announced,
        language=track.language,
        label=track.label,
        role=track.role,
    )


def _captions(videos: list[TrackWindow]) -> list[str] | None:
    """INSTREAM-IDs of all videos; None where one's samples cannot be looked into."""
    if not all(video.track.length_size for video in videos):
        return None
    return sorted({channel for video in videos for channel in video.track.captions})


def rates(window: TrackWindow) -> hls.Rates:
    """What is announced for a track: what was measured, and at least what its encoder, or else its name, declares."""
    track = window.track
    highest, usual = (rate if rate < _CREDIBLE_BPS else 0 for rate in (track.max_bps, track.average_bps))
    if not highest and not usual:
        highest = usual = rate_in_name(window.name)
    average = max(window.average_bps, usual)
    # Rounded up to whole kilobits: a later segment a hair larger would otherwise make the attribute a lie.
    return hls.Rates(ceil(max(window.peak_bps, highest, average) / 1000) * 1000, average)
