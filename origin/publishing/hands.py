"""Stores what tracks have in hand, and takes it up again after a restart (`origin/live/hand.py`).

    {stream}/{track}/hand-{generation}-{count}.bin    a line of JSON, the init section, fragments

A file is written before an encoder is told 200, and before a part is listed. Without parts, and with one request for as
long as an encoder runs, that is once, at its end.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from origin.errors import BadMedia, StorageFailed
from origin.hls.playlist import init_name
from origin.live.recovered import InHand, recover
from origin.live.session import Session
from origin.live.stream import Stream
from origin.media.fragments import Fragment, FragmentReader
from origin.media.tracks import InitSection
from origin.storage.backlog import Backlog

log = logging.getLogger("origin")

PREFIX = "hand-"


class Hands:
    """Of one origin's streams. `largest`: bytes of a box."""

    def __init__(self, storage: Backlog, largest: int) -> None:
        self._storage = storage
        self._largest = largest

    async def store(self, stream: Stream, track: str, *, secret: bool) -> None:
        """Stores what is in hand of a track. `StorageFailed`: there is no room for it.

        `secret`: what is published is encrypted, and this is not.
        """
        session = _session_of(stream, track)
        if session is None or not session.hand.count or session.generation.anchor is None or session.index is None:
            return
        hand = session.hand
        name, count = hand.next_file(session.generation.id), hand.count
        data = _head(session) + session.init.data + hand.fresh
        await self._storage.publish(f"{stream.name}/{track}/{name}", data, secret=secret)
        hand.stored(name, count)

    async def clean(self, stream: Stream, track: str) -> None:
        """Once the track's state is stored: removes the files that it makes superfluous."""
        session = _session_of(stream, track)
        if session is not None and session.hand.over and not self._storage.waits(f"{stream.name}/{track}"):
            over, session.hand.over = session.hand.over, []
            await self._storage.delete([f"{stream.name}/{track}/{name}" for name in over])

    async def find(self, there: Iterable[str]) -> dict[str, dict[str, InHand]]:
        """What an earlier run had in hand, by stream and track; `there`: names of all files."""
        found: dict[str, dict[str, InHand]] = {}
        names: dict[tuple[str, str], list[str]] = {}
        for name in sorted(there):
            match name.split("/"):
                case [stream, track, file] if file.startswith(PREFIX) and not stream.startswith("."):
                    names.setdefault((stream, track), []).append(name)
        for (stream, track), files in names.items():
            try:
                found.setdefault(stream, {})[track] = await self._read(files)
            except (StorageFailed, BadMedia, ValueError, KeyError, TypeError) as error:
                log.error("%s/%s: what was in hand cannot be read: %r", stream, track, error)
        return found

    async def _read(self, files: Iterable[str]) -> InHand:
        """The files of one track; those of its last generation count, and what is in two of them counts once."""
        fragments: dict[int, Fragment] = {}
        numbers: dict[int, int] = {}
        values: dict[str, Any] = {}
        init: InitSection | None = None
        for file in files:
            line, _, data = (await self._storage.read(file) or b"").partition(b"\n")
            before, values = values, json.loads(line)
            if before and values["generation"] != before["generation"]:
                fragments.clear()
                numbers.clear()
            reader = FragmentReader(self._largest)
            for one in reader.feed(data):
                if isinstance(one, InitSection):
                    init = one
                else:
                    fragments.setdefault(one.start, one)
                    numbers.setdefault(one.start, int(values["number"]))
        if init is None:
            raise ValueError("no init section")
        return _in_hand(init, [fragments[at] for at in sorted(fragments)], numbers, values)

    async def idle(self, stream: Stream, track: str, values: Mapping[str, Any]) -> InHand | None:
        """A track that was fed, and of which no file is in hand; None: nobody knows its init section as it came.

        `values`: what its state says of the session. `StorageFailed`.
        """
        name = f"{stream.name}/{track}/{init_name(stream.windows[track].init)}"
        found = list(FragmentReader(self._largest).feed(await self._storage.read(name) or b""))
        if len(found) != 1 or not isinstance(found[0], InitSection):
            return None
        return _in_hand(found[0], [], {}, {**values, "discontinuity": None, "parts": []})

    def recover(self, stream: Stream, found: Mapping[str, InHand], now: float) -> None:
        """Numbers what an earlier run had in hand; whoever drains the stream then publishes it."""
        for wrong in recover(stream, found, now):
            log.error("%s", wrong)

    async def forget(self, there: Iterable[str]) -> None:
        """Removes the files of an earlier run: what they have is published, and stored."""
        names = [name.rpartition("/") for name in there]
        gone = [f"{folder}/{file}" for folder, _, file in names if file.startswith(PREFIX)]
        await self._storage.delete([name for name in gone if not self._storage.waits(name.rpartition("/")[0])])


def _session_of(stream: Stream, track: str) -> Session | None:
    return stream.generation.sessions.get(track) if stream.generation is not None else None


def _head(session: Session) -> bytes:
    generation = session.generation
    assert generation.anchor is not None and session.index is not None
    wall, media = generation.anchor
    values = {
        "generation": generation.id,
        "base": generation.base,
        "number": generation.base + session.index,
        "discontinuity": generation.discontinuity,
        "anchor": [wall, *media.as_integer_ratio()],
        "parts": session.hand.parts,
    }
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


def _in_hand(init: InitSection, fragments: list[Fragment], numbers: dict[int, int], values: dict[str, Any]) -> InHand:
    """KeyError, TypeError, ValueError: the values are not those of `_head`."""
    wall, above, below = values["anchor"]
    discontinuity = values["discontinuity"]
    return InHand(
        init,
        fragments,
        int(values["generation"]),
        int(values["base"]),
        numbers,
        None if discontinuity is None else int(discontinuity),
        (float(wall), Fraction(above, below)),
        [int(end) for end in values["parts"]],
    )
