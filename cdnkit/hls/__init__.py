"""HLS's multivariant playlist: one writer for whoever publishes tracks, live or VOD. Pure: values in, text out.

`multivariant` writes it, `i_frames` the I-frame playlists beside it; `audio_groups` says which sound goes with which;
`rates`, `languages` and `captions` find what its attributes say. `start` is a tag of both kinds of playlists.
"""

from cdnkit.hls.captions import instream_ids
from cdnkit.hls.i_frames import I_FRAMES, IFrame, Pictures, i_frame_playlist, i_frame_rates
from cdnkit.hls.languages import language_tag
from cdnkit.hls.multivariant import multivariant_playlist
from cdnkit.hls.rates import Rates, average_bps, measured, peak_at_end
from cdnkit.hls.renditions import Audio, IFrames, Subtitles, Video, video_range
from cdnkit.hls.start import Start

__all__ = [
    "I_FRAMES",
    "Audio",
    "IFrame",
    "IFrames",
    "Pictures",
    "Rates",
    "Start",
    "Subtitles",
    "Video",
    "average_bps",
    "i_frame_playlist",
    "i_frame_rates",
    "instream_ids",
    "language_tag",
    "measured",
    "multivariant_playlist",
    "peak_at_end",
    "video_range",
]
