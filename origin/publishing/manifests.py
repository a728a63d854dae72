"""The DASH manifests of an origin: Periods are settled, then saved, and only then served."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cdnkit.settings.origin import Origin
from origin.dash.events import Event
from origin.dash.low_latency import LOW_LATENCY_MANIFEST
from origin.dash.mpd import MANIFEST, NUMBER_MANIFEST, Locations, Timing, manifest, timing_of
from origin.dash.presentation import Presentation
from origin.hls.playlist import date_time
from origin.live.stream import Stream
from origin.publishing.catalog import Catalog
from origin.publishing.steering import SteeringState

_UNDATED = "-"
"""Stands for publishTime while two manifests are compared: it changes when, and only when, another word does."""


@dataclass(slots=True)
class _Offered:
    """What is served of one stream."""

    presentation: Presentation
    timing: Timing
    saved: int = 0
    """The revision that a restart would find again."""
    shown: tuple[int, bool, float, Sequence[Event]] | None = None
    """The revision that is served, whether as one that has ended, when its steering was changed, and its events."""
    texts: dict[str, str] = field(default_factory=dict)
    """By file name, without their publishTime."""
    published: float = 0.0
    """The last publishTime, Unix seconds."""


class Manifests:
    """By stream. Mutable; one event loop's."""

    def __init__(
        self,
        settings: Origin,
        catalog: Catalog,
        clock: Callable[[], float],
        steering: SteeringState | None = None,
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._clock = clock
        self._steering = steering
        self._streams: dict[str, _Offered] = {}

    def settle(self, stream: Stream) -> None:
        """Takes what the stream's tracks have listed since the last time."""
        generation, presentation, now = stream.generation, self._of(stream).presentation, self._clock()
        tracks = generation.sessions.keys() if generation is not None else ()
        id = generation.id if generation is not None else None
        presentation.settle(stream.windows, tracks, stream.may_list, now, generation=id, ended=stream.ended)
        firsts = {w.name: next((one.number for one in w.fetchable()), w.next_number) for w in stream.windows.values()}
        presentation.forget(firsts, now, self._of(stream).timing.depth)

    def to_json(self, stream: Stream) -> dict[str, Any]:
        """What a restart has to find: it is saved with each track's state."""
        return self._of(stream).presentation.to_json()

    def revision(self, stream: Stream) -> int:
        """Of what `to_json` gives now."""
        return self._of(stream).presentation.revision

    def saved(self, stream: Stream, revision: int) -> None:
        """A track's state has been stored with what `to_json` gave at this revision."""
        offered = self._of(stream)
        offered.saved = max(offered.saved, revision)

    def resume(self, stream: Stream, values: dict[str, Any]) -> None:
        """Takes up what one track's state has. KeyError, TypeError, ValueError: it is not what `to_json` gave."""
        self._of(stream).presentation.resume(values)

    def offer(self, stream: Stream, lifetime: float, events: Sequence[Event] = ()) -> None:
        """Serve the manifests of what is settled and saved, with these events, if they changed."""
        offered = self._of(stream)
        revision = offered.presentation.revision
        steering, changed_at = (None, 0.0) if (it := self._steering) is None else (it.now, it.changed_at)
        shown = (revision, stream.ended, changed_at, events)
        if offered.saved < revision or offered.shown == shown:
            return
        offered.shown = shown
        now = self._clock()
        offered.published = max(now, offered.published + 0.001)  # two within a millisecond are two
        part = self._settings.part
        for name in (MANIFEST, NUMBER_MANIFEST, *((LOW_LATENCY_MANIFEST,) if part is not None else ())):
            text = manifest(
                offered.presentation,
                stream.windows,
                offered.timing,
                now,
                published=_UNDATED,
                ended=stream.ended,
                numbers=name != MANIFEST,
                part=part if name == LOW_LATENCY_MANIFEST else None,
                locations=Locations.of(steering, stream.name),
                events=events,
            )
            if text is None:
                self._withdraw(stream.name, offered, name)
            elif text != offered.texts.get(name):
                offered.texts[name] = text
                dated = text.replace(f'publishTime="{_UNDATED}"', f'publishTime="{date_time(offered.published)}"', 1)
                self._catalog.offer_manifest(stream.name, name, dated, lifetime)

    def withdraw(self, stream: Stream) -> None:
        """Serve none: DASH cannot say how the stream is encrypted."""
        offered = self._of(stream)
        offered.shown = None
        for name in list(offered.texts):
            self._withdraw(stream.name, offered, name)

    def forget(self, stream: str) -> None:
        """The stream has been forgotten."""
        if (offered := self._streams.pop(stream, None)) is not None:
            for name in list(offered.texts):
                self._withdraw(stream, offered, name)

    def _withdraw(self, stream: str, offered: _Offered, name: str) -> None:
        offered.texts.pop(name, None)
        self._catalog.withdraw(f"{stream}/{name}")

    def _of(self, stream: Stream) -> _Offered:
        if stream.name not in self._streams:
            timing = timing_of(self._settings.of_stream(stream.name), stream.length)
            self._streams[stream.name] = _Offered(Presentation(ahead=timing.ahead), timing)
        return self._streams[stream.name]
