"""A live track's I-frame playlist, from its window: the same segments as in its media playlist, in step with it.

Its media sequence numbers count key frames. A request with `_HLS_msn` is held here, too, where the stream has parts
(HLS draft 6.2.5.2); parts, delta updates and rendition reports are of media playlists.
"""

from itertools import chain
from math import ceil

from cdnkit import hls
from origin.hls.low_latency import LowLatency
from origin.hls.playlist import date_time, init_name
from origin.live.part_window import Shown
from origin.live.window import TrackWindow


def i_frame_playlist(window: TrackWindow, target: int, *, ended: bool, low_latency: LowLatency | None = None) -> str:
    """The I-frame playlist of a video track that lists a segment."""
    segments = [
        hls.Pictures(
            entry.name,
            init_name(entry.init),
            entry.i_frames,
            entry.duration,
            entry.discontinuity,
            date_time(entry.at),
            entry.gap,
        )
        for entry in window.listed
    ]
    control = f"CAN-BLOCK-RELOAD=YES,HOLD-BACK={low_latency.hold_back:.3f}" if low_latency else ""
    number = window.listed[0].first_i_frame
    return hls.i_frame_playlist(segments, target, number=number, control=control, ended=ended)


def has_i_frames(window: TrackWindow) -> bool:
    """Whether there is anything to list."""
    return any(entry.i_frames and not entry.gap for entry in window.listed)


def shown_i_frames(window: TrackWindow) -> Shown | None:
    """How far the I-frame playlist that is served has come; None: none is."""
    return None if window.i_frames_shown is None else Shown(window.i_frames_shown, 0, 0)


def i_frame_rates(window: TrackWindow) -> hls.Rates:
    """What is announced of the key frames: the highest peak so far, and the average of what is listed."""
    listed = chain.from_iterable(entry.i_frames for entry in window.listed if not entry.gap)
    average = hls.average_bps((one.size, one.duration) for one in listed)
    # Rounded up to whole kilobits, as the peaks of media playlists are.
    return hls.Rates(ceil(max(window.i_frame_peak_bps, average) / 1000) * 1000, average)
