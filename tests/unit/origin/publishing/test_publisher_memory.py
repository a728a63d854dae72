"""Memory is flat: what a stream holds after fifteen minutes is what it holds after twenty."""

import asyncio
import gc
import multiprocessing
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from pathlib import Path

import pytest

from cdnkit.settings.origin import Origin
from origin.live.feeds import Sender
from origin.live.reception import REMEMBERED, Way
from origin.media.fragments import Fragment, FragmentReader
from origin.media.tracks import InitSection
from origin.publishing.publisher import Publisher
from tests.kit.looped import LoopedTrack
from tests.random.ingest.bodies import fragments, header

NOW = 1_800_000_000.0
FULL_S = 900
"""Every table is full by then, but one: REMEMBERED fragments of half a second, 256 numbers of 2 s, the window and what
lingers. Dictionaries take what they need for that a while later."""
MORE_S = 300
CUT_BYTES = 150
"""A Fraction and two numbers: of each cut of the pictures, `Timeline` remembers the end, at most 8,192 of them."""


@pytest.mark.long
def held_by_a_stream(tmp_path: Path, part: float | None) -> list[int]:
    """Bytes that are held when all tables are full, and some time later."""
    assert FULL_S > 1.5 * REMEMBERED / 2 and FULL_S > 1.5 * 256 * 2
    now = NOW
    publisher = Publisher(Origin(storage=tmp_path, segment=2.0, part=part, window=20.0, memory=1), lambda: now)

    async def nowhere(name: str, data: bytes, *, secret: bool = False) -> None:
        """It is about memory."""

    publisher.storage.publish = nowhere  # type: ignore[method-assign, assignment]
    held: list[int] = []

    async def run() -> None:
        nonlocal now
        stream = publisher.stream("live")
        tracks = [LoopedTrack(path, header(path) + b"".join(fragments(path))) for path in ("v.cmfv", "a.cmfa")]
        readers = {track.name: FragmentReader(2**20) for track in tracks}
        senders: dict[str, Sender] = {}
        for track in tracks:
            stream.posts[track.name[0]] = 1
            (init,) = readers[track.name].feed(track.header)
            assert isinstance(init, InitSection)
            senders[track.name] = stream.feeds.expect(Sender(track.name[0], init, Way.ENDLESS, lambda: None, now))
        sources = [(track, track.pieces(Fraction(6), Fraction(1, 2))) for track in tracks]
        while len(held) < 2:
            for track, source in sources:
                piece = next(source)
                now = NOW + float(piece.end)
                (fragment,) = readers[track.name].feed(piece.data)
                assert isinstance(fragment, Fragment)
                assert stream.feeds.push(senders[track.name], fragment, now)
                await publisher.drain(stream)
            if now >= NOW + FULL_S + MORE_S * len(held):
                gc.collect()
                held.append(tracemalloc.get_traced_memory()[0])
        account = stream.accounts["v"]
        assert account.refused == account.repeated == 0 and account.published > 25 * (FULL_S + MORE_S) - 100

    tracemalloc.start()
    try:
        asyncio.run(run())
    finally:
        tracemalloc.stop()
    return held


@pytest.mark.timeout(180)
@pytest.mark.parametrize("part", [None, 0.5], ids=["whole", "parts"])
def test_what_a_stream_holds_is_flat(tmp_path: Path, part: float | None) -> None:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:  # nothing of other tests is in it
        before, after = alone.submit(held_by_a_stream, tmp_path, part).result()
    assert before < 1.25 * 2**20, "for two tracks, without their segments"
    assert after - before < MORE_S / 2 * CUT_BYTES + 2**14, (before, after)
