"""Playlists and manifests of streams, built when a window changes and served from the catalog's memory."""

from collections.abc import Callable

from cdnkit.hls import I_FRAMES
from cdnkit.settings.origin import Origin
from origin.dash.events import events_of
from origin.hls.i_frames import has_i_frames, i_frame_playlist
from origin.hls.low_latency import LowLatency, without_dates
from origin.hls.multivariant import multivariant_playlist
from origin.hls.playlist import MEDIA, media_playlist
from origin.live.session import State
from origin.live.stream import Stream
from origin.live.window import TrackWindow
from origin.media.tracks import Kind
from origin.publishing.catalog import Catalog
from origin.publishing.date_ranges import DateRanges
from origin.publishing.manifests import Manifests
from origin.publishing.protection import Protection
from origin.publishing.steering import SteeringState
from origin.publishing.waiting import Bells


class Listing:
    """What is listed of the streams of one origin."""

    def __init__(
        self,
        settings: Origin,
        catalog: Catalog,
        manifests: Manifests,
        protection: Protection,
        dates: DateRanges,
        steering: SteeringState,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._manifests = manifests
        self._protection = protection
        self._dates = dates
        self._steering = steering
        self._clock = clock
        self.bells = Bells()
        """Rung, by a media playlist's path, whenever it has changed."""

    def low_latency(self, stream: Stream) -> LowLatency | None:
        """What is promised of this stream; None: no low latency."""
        return None if self._settings.part is None else LowLatency(self._settings.part, stream.target)

    def relist(self, stream: Stream, window: TrackWindow) -> None:
        """The track's media playlist, and that of its I-frames."""
        if not window.listed:
            return
        lifetime, rules, start = self.lifetime(stream), self.low_latency(stream), self._settings.starts_at
        dates, methods = self._dates.of(stream.name), self._protection.methods(stream.name)
        if (has_i_frames(window) or window.i_frames_shown is not None) and (
            stream.ended or window.i_frames_shown != window.next_i_frame
        ):
            text = i_frame_playlist(window, stream.target, ended=stream.ended, low_latency=rules)
            window.i_frames_shown = window.next_i_frame
            self._catalog.offer_media_playlist(stream.name, window.name, text, lifetime, file=I_FRAMES)
        if rules is None:
            text = media_playlist(
                window,
                stream.target,
                ended=stream.ended,
                start=start,
                dates=dates.lines(),
                methods=methods,
                type=stream.playlist_type,
            )
            self._catalog.offer_media_playlist(stream.name, window.name, text, lifetime)
            return
        if not stream.is_live(window.name):
            window.parts.hint = ""
        others = [other for other in stream.windows.values() if other is not window and other.listed]
        text, delta = (
            media_playlist(
                window, stream.target, ended=stream.ended, low_latency=rules, others=others, start=start, delta=part,
                dates=dates.lines(), methods=methods, type=stream.playlist_type,
            )
            for part in (False, True)
        )  # fmt: skip
        window.parts.show(window.next_number)
        boundary = self._clock() - rules.skip_until
        short = without_dates(delta, dates.lines_since(boundary), dates.gone_since(boundary)) if delta != text else ""
        self._catalog.offer_media_playlist(stream.name, window.name, text, lifetime, (delta, short) if short else None)
        self.bells.ring(f"{stream.name}/{window.name}/{MEDIA}")

    def relist_stream(self, stream: Stream) -> None:
        """The DASH manifests; the multivariant playlist, once every track that is sent has its first segment."""
        if self._protection.is_whole(stream.name):
            self._manifests.withdraw(stream)
        else:
            self._manifests.offer(stream, self.lifetime(stream), events_of(self._dates.of(stream.name)))
        current = stream.generation.sessions if stream.generation else {}
        live = {name for name, session in current.items() if session.state is State.LIVE}
        live |= stream.feeds.expected
        listed = [window for window in stream.windows.values() if window.listed]
        # A player that came between the first video segment and the first audio segment would stay mute for
        # good. A track that sends nothing while the others go on is not waited for.
        late = live - {window.name for window in listed}
        if not listed or (late and max(len(window.listed) for window in listed) < 3):
            return
        # After a restart with fewer rungs, those that are no longer sent are not offered to new players.
        if any(session.index for session in current.values()):
            listed = [window for window in listed if window.name in current] or listed
        if all(window.track.kind is Kind.TEXT for window in listed):
            return  # nothing that subtitles could be shown with
        text = self._steering.steered(multivariant_playlist(listed), stream.name)
        self._catalog.offer_multivariant_playlist(stream.name, text, self.lifetime(stream))

    def lifetime(self, stream: Stream) -> float:
        """Of the stream's playlists in caches, seconds."""
        return self._settings.lifetimes.ended if stream.ended else self._settings.playlist_lifetime(stream.length)
