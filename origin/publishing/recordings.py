"""Recordings: what there is of each stream, and VODs that are trimmed out of one.

Such a VOD has whole segments: all whose time overlaps the wanted one, in every track, so that it begins and ends at a
segment's boundary and no sample is encoded or written anew. It keeps the segments' numbers, dates, init sections and
keys. It is a stream of its own with a name of its own, and outlives what it was trimmed out of.
"""

import json
import logging
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import datetime
from typing import Any

from origin.errors import Refused, StorageFailed
from origin.hls.playlist import MULTIVARIANT, date_time, init_name
from origin.live.stream import Stream
from origin.live.window import Entry, TrackWindow
from origin.media.tracks import Kind
from origin.publishing import protection
from origin.publishing.files import STATE, VOD
from origin.publishing.publisher import Publisher
from origin.publishing.resumption import resume_stream
from origin.publishing.retention import Retention, size_of

log = logging.getLogger("origin")

HINT = 'a date-time such as "2026-11-29T17:00:00Z", or seconds from the beginning such as 90 (from the end: -90)'


class Recordings:
    """Of one origin."""

    def __init__(self, publisher: Publisher, retention: Retention) -> None:
        self._publisher = publisher
        self._retention = retention
        self._trimming: set[str] = set()

    def all(self) -> list[dict[str, Any]]:
        """All streams of tracks that have a segment."""
        return [self.describe(stream) for stream in self._publisher.streams.values() if _span(stream) is not None]

    def of(self, name: str) -> Stream:
        """`Refused`: there is no such stream, or it has no segment."""
        stream = self._publisher.streams.get(name)
        if stream is None or _span(stream) is None:
            raise Refused(404, f"{name}: found no such recording, wanted the name of a stream of tracks.")
        return stream

    def describe(self, stream: Stream) -> dict[str, Any]:
        span = _span(stream)
        assert span is not None
        return {
            "name": stream.name,
            "url": f"{stream.name}/{MULTIVARIANT}",
            "live": any(stream.is_live(track) for track in stream.windows),
            "ended": stream.ended,
            "type": stream.playlist_type or "window",
            "begins": date_time(span[0]),
            "ends": date_time(span[1]),
            "duration": round(span[1] - span[0], 3),
            "bytes": size_of(stream),
            "tracks": sorted(stream.windows),
        }

    async def delete(self, name: str) -> None:
        """`Refused`: it is being fed."""
        self.of(name)
        if not await self._retention.delete(name):
            raise Refused(409, f"{name}: found an encoder that feeds it, wanted a stream that is over.")

    async def trim(self, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Makes a VOD of part of a stream: `name`, and `from` and `to`. `Refused`, `StorageFailed`: there is none."""
        source = self.of(name)
        unknown = set(values) - {"name", "from", "to"}
        if unknown or not isinstance(values.get("name"), str):
            raise Refused(400, f'content: found {sorted(values)}, wanted "name", and "from" and "to" where needed.')
        new = values["name"]
        if new in self._publisher.streams or new in self._trimming:
            raise Refused(409, f"{new}: found a stream of this name, wanted another name.")
        if not self._retention.has_room(new, ""):
            raise Refused(429, f"{new}: found as many streams as may be, wanted some of them to be deleted.")
        span = _span(source)
        assert span is not None
        begin, end = _instant(values.get("from", 0), span, "from"), _instant(values.get("to"), span, "to")
        windows = _trimmed(source, begin, end)
        if not windows:
            raise Refused(
                400,
                f"{name}: found no segment from {date_time(begin)} to {date_time(end)}, wanted a time "
                f"between {date_time(span[0])} and {date_time(span[1])}.",
            )
        self._trimming.add(new)
        try:
            stream = await self._make(source, new, windows)
        finally:
            self._trimming.discard(new)
        log.info("%s: trimmed out of %s", new, name)
        return self.describe(stream)

    async def _make(self, source: Stream, new: str, windows: list[TrackWindow]) -> Stream:
        storage, now = self._publisher.storage, self._publisher.clock()
        names = {}
        for window in windows:
            for file in [init_name(init) for init in window.inits] + [one.name for one in window.listed if not one.gap]:
                names[f"{source.name}/{window.name}/{file}"] = f"{new}/{window.name}/{file}"
        try:
            keys = await storage.read(f"{protection.FOLDER}/{source.name}.json")
            if keys is not None:
                await storage.write(f"{protection.FOLDER}/{new}.json", keys, secret=True)
            await storage.copy(names)
            states = {}
            for window in windows:
                states[window.name] = source.to_json(window.name) | {
                    "ended": True, "playlist_type": VOD, "names": None, "window": window.to_json(), "saved_at": now,
                }  # fmt: skip
            for track, values in states.items():
                data = json.dumps(values, separators=(",", ":")).encode()
                await storage.write(f"{new}/{track}/{STATE}", data)
        except StorageFailed:
            await storage.clear(f"{new}/")
            raise
        stream = self._publisher.stream(new)
        stream.length, stream.target = source.length, source.target
        for track, values in states.items():
            stream.resume(track, json.loads(json.dumps(values)), now)
        stream.playlist_type = VOD
        await resume_stream(self._publisher, stream, await storage.list(f"{new}/"))
        return stream


def _span(stream: Stream) -> tuple[float, float] | None:
    """What its playlists list, Unix seconds; None: nothing."""
    listed = [window for window in stream.windows.values() if window.listed]
    return (min(one.listed[0].at for one in listed), max(one.until for one in listed)) if listed else None


def _instant(value: object, span: tuple[float, float], where: str) -> float:
    """Unix seconds of what a person wrote; None is the end. `Refused`: it is none."""
    begin, end = span
    if value is None:
        return end
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return (begin if value >= 0 else end) + value
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Refused(400, f"{where}: found {json.dumps(value)[:60]}, wanted {HINT}.")
    return at.timestamp()


def _trimmed(source: Stream, begin: float, end: float) -> list[TrackWindow]:
    """Each track with the segments whose numbers the pictures, or else any track, have in that time."""
    windows = [window for window in source.windows.values() if window.listed]
    leads = [window for window in windows if window.track.kind is Kind.VIDEO] or windows
    listed = (one for window in leads for one in window.listed)
    numbers = {one.number for one in listed if begin < one.at + one.duration and one.at < end}
    found = []
    for window in windows:
        entries = [deepcopy(one) for one in window.listed if one.number in numbers]
        while entries and entries[-1].gap:
            entries.pop()
        while entries and entries[0].gap:
            entries.pop(0)
        if entries:
            found.append(_of(window, entries))
    return found


def _of(window: TrackWindow, entries: list[Entry]) -> TrackWindow:
    made = replace(window, listed=type(window.listed)(entries), gone=type(window.gone)())
    made.init, made.next_number = entries[-1].init, entries[-1].number + 1
    made.track = window.track_of(entries[-1])
    made.next_i_frame = entries[-1].first_i_frame + max(1, len(entries[-1].i_frames))
    return made
