"""An origin that starts takes up the streams that an earlier run left in its storage, however that run ended.

What a track's state lists is offered again. A segment that is listed and is not there is a gap. What the run had in
hand becomes a segment. Files that no state lists were written and never listed, because the run was killed between the
two: they go.

An origin whose storage failed may have listed segments that nothing in storage tells of. Their numbers are not given to
others: an encoder that begins anew does so behind as many gaps as there has been time for segments. One that goes on
where it was makes the same segments of the same media, under the same numbers.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from origin.errors import BadMedia, StorageFailed
from origin.hls.playlist import init_name
from origin.live.stream import MOST_GAPS, Stream
from origin.live.window import TrackWindow
from origin.publishing.files import STATE
from origin.publishing.hands import PREFIX

if TYPE_CHECKING:
    from origin.publishing.publisher import Publisher

log = logging.getLogger("origin")


async def resume(publisher: "Publisher") -> None:
    """Takes up all streams. `StorageFailed`: the storage cannot be used."""
    storage, now = publisher.storage, publisher.clock()
    there = await storage.list("")
    await publisher.steering.resume()
    saved_at: dict[str, float] = {}
    fed: list[tuple[Stream, str, Mapping[str, Any]]] = []
    for name, track in sorted(_tracks(there)):
        stream = publisher.stream(name)
        try:
            values = json.loads(await storage.read(f"{name}/{track}/{STATE}") or b"")
            stream.resume(track, values, now)
            saved_at[name] = max(saved_at.get(name, 0.0), float(values.get("saved_at", now)))
            if values.get("session") and publisher.settings.encryption_of(name) is None:
                fed.append((stream, track, values["session"]))
            if "dash" in values:  # an older version saved nothing of it
                publisher.manifests.resume(stream, values["dash"])
        except (StorageFailed, ValueError, KeyError, TypeError, AttributeError) as error:
            log.error("%s/%s/%s: cannot be read (%r); the track begins anew", name, track, STATE, error)
    in_hand = await publisher.hands.find(there)
    for name in in_hand:
        publisher.stream(name)
    for stream, track, session in fed:
        if track not in (tracks := in_hand.setdefault(stream.name, {})):
            try:
                if (idle := await publisher.hands.idle(stream, track, session)) is not None:
                    tracks[track] = idle
            except (StorageFailed, BadMedia, ValueError, KeyError, TypeError) as error:
                log.error("%s/%s: its encoder begins anew: %r", stream.name, track, error)
    for stream in list(publisher.streams.values()):
        if not stream.windows and stream.name not in in_hand:
            del publisher.streams[stream.name]
            continue
        if storage.store.faltered and not stream.ended:
            passed = min(MOST_GAPS, int(max(0.0, now - saved_at.get(stream.name, now)) / stream.length))
            stream.next_number += passed
            stream.listed_until += passed * stream.length
        await resume_stream(publisher, stream, there)
        publisher.hands.recover(stream, in_hand.get(stream.name, {}), now)
        await publisher.drain(stream)
    await publisher.hands.forget(there)
    await publisher.protection.clean(publisher.streams)


async def resume_stream(publisher: "Publisher", stream: Stream, there: Mapping[str, int]) -> None:
    """Serves what a stream's state lists. `there`: sizes of its files in storage, by name."""
    await publisher.protection.resume(stream.name)
    await publisher.dates.resume(stream.name)
    for window in stream.windows.values():
        await _offer_saved(publisher, stream, window, there)
        publisher.listing.relist(stream, window)
    publisher.manifests.settle(stream)
    for window in stream.windows.values():
        await publisher.save(stream, window.name)
    publisher.listing.relist_stream(stream)
    log.info("%s: resumed at media sequence number %d", stream.name, stream.next_number)


async def _offer_saved(publisher: "Publisher", stream: Stream, window: TrackWindow, there: Mapping[str, int]) -> None:
    """`there`: sizes of the files in storage, by name."""
    folder = f"{stream.name}/{window.name}"
    catalog, protection, storage = publisher.catalog, publisher.protection, publisher.storage
    for init in window.inits:
        if data := await storage.read(f"{folder}/{init_name(init)}"):
            catalog.offer_init(stream.name, window.name, window.track, init, data, stored=True)
    for entry in window.fetchable():
        if entry.gap:
            continue
        begins = catalog.get(f"{folder}/{init_name(entry.init)}") is not None
        opens = protection.has(stream.name, entry.key)
        if opens and begins and there.get(f"{folder}/{entry.name}") == entry.size:
            catalog.offer_segment(stream.name, window.name, window.track, entry, None, entry.at)
        else:
            missing = "missing from storage" if opens else "its key is missing"
            log.error("%s/%s: %s; listed as a gap", folder, entry.name, missing)
            entry.gap = True
            entry.key = entry.key if opens else ""
    # Files that were written and never listed: the origin was killed between the two.
    names = {STATE, *(entry.name for entry in window.fetchable()), *(init_name(init) for init in window.inits)}
    known = {f"{folder}/{name}" for name in names}
    gone = (name for name in there if name.startswith(f"{folder}/") and name not in known)
    await storage.delete([name for name in gone if not name.startswith(f"{folder}/{PREFIX}")])


def _tracks(there: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(stream, track) of every track that has a state among these files."""
    for name in there:
        match name.split("/"):
            case [stream, track, file] if file == STATE and not stream.startswith("."):
                yield stream, track
