"""RFC 8216, 2nd edition, draft -22, 6.2.5.2 and 6.2.6: requests that are held. In virtual time, without sockets."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from cdnkit.hls import IFrame
from origin import Origin
from origin.live.parts import Part
from origin.live.stream import Stream
from origin.live.window import Entry, TrackWindow
from origin.media.tracks import Kind, Track
from origin.publishing.held import Found, Held, Unmet
from origin.publishing.publisher import Publisher
from origin.publishing.responses import Resource
from origin.publishing.waiting import Bells, Waited, left
from tests.kit.virtual_time import run_virtually

VIDEO = Track(Kind.VIDEO, 1, 12_800, "avc1.64001f", width=640, height=360)
MEDIA = "live/360p/media.m3u8"
TARGET = 4


async def stays() -> Message:
    """A client that stays."""
    await asyncio.Event().wait()
    raise AssertionError


class Lab:
    """A publisher with one track; segments and parts appear when the test says so."""

    def __init__(self, folder: Path) -> None:
        self.publisher = Publisher(Origin(storage=folder, segment=4.0, part=0.5), lambda: 1_800_000_000.0)
        self.held = Held(self.publisher)
        self.stream = self.publisher.streams["live"] = Stream(
            "live", length=4.0, target=TARGET, largest=2**20, part=0.5
        )
        self.window = self.stream.windows["360p"] = TrackWindow("360p", VIDEO, "aa")
        self.stream.posts["360p"] = 1
        for number in range(4):
            self.segment(number)

    def segment(self, number: int) -> None:
        self.window.add(Entry(number, 7, 0, 4.0 * number, 4.0, 4.0 * number, 10, "aa"), target=TARGET)
        self.publisher.listing.relist(self.stream, self.window)

    def part(self, index: int) -> None:
        number = self.window.next_number
        part = Part(number, index, 7, 0, "aa", 4.0 * number, 0.5, index == 0, 4)
        self.publisher.catalog.offer_part("live", "360p", VIDEO, part, b"part", 24.0)
        self.window.parts.add(part)
        self.window.parts.expect(number, 7, 4.0)
        self.publisher.listing.relist(self.stream, self.window)

    def ask(
        self, query: str = "", path: str = MEDIA, receive: Callable[[], Awaitable[Message]] = stays
    ) -> "asyncio.Task[Found]":
        return asyncio.create_task(self.held.find(path, query, receive))


def play(tmp_path: Path, script: Callable[[Lab], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        return await script(Lab(tmp_path))

    return run_virtually(run())


def text(found: Found) -> str:
    assert isinstance(found, Resource) and found.body is not None
    return found.body.decode()


def test_6_2_5_2_a_blocking_request_is_answered_with_the_whole_playlist_when_the_segment_is_listed(
    tmp_path: Path,
) -> None:
    async def script(lab: Lab) -> None:
        asked = lab.ask("_HLS_msn=4")
        await asyncio.sleep(1)
        lab.part(0)
        await asyncio.sleep(1)
        assert not asked.done(), "a part of it does not do"
        lab.segment(4)
        found = text(await asked)
        assert found.count("#EXTINF") == 5 and "#EXT-X-SKIP" not in found

    play(tmp_path, script)


def test_6_2_5_2_or_when_the_part_is_or_a_later_one(tmp_path: Path) -> None:
    async def script(lab: Lab) -> None:
        asked = [lab.ask(f"_HLS_msn=4&_HLS_part={n}") for n in range(3)]
        await asyncio.sleep(1)
        for n in range(3):
            assert [one.done() for one in asked] == [at < n for at in range(3)]
            lab.part(n)
            await asyncio.sleep(0.1)
            assert f"part-7-4-{n}.m4s" in text(await asked[n])
        late = lab.ask("_HLS_msn=4&_HLS_part=0")
        assert "part-7-4-2.m4s" in text(await late), "the playlist as it is"

    play(tmp_path, script)


def test_6_2_5_2_after_three_target_durations_the_answer_is_503(tmp_path: Path) -> None:
    async def script(lab: Lab) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        asked = lab.ask("_HLS_msn=5&_HLS_part=0")
        await asyncio.sleep(5)
        lab.part(0)  # it is not what was asked for, and buys no time
        found = await asked
        assert isinstance(found, Unmet) and found.status == 503
        assert loop.time() - began == pytest.approx(3 * TARGET)
        assert lab.publisher.listing.bells.count == 0

    play(tmp_path, script)


def test_6_2_5_2_refusals_are_immediate(tmp_path: Path) -> None:
    async def script(lab: Lab) -> None:
        for query in ("_HLS_part=1", "_HLS_msn=6", "_HLS_msn=4&_HLS_part=99", "_HLS_msn=x"):
            found = await lab.ask(query)
            assert isinstance(found, Unmet) and found.status == 400, query
            assert found.lifetime == 4 * TARGET, "appendix B.1"
        assert asyncio.get_running_loop().time() == 0

    play(tmp_path, script)


def test_6_2_5_2_the_end_of_the_stream_answers_whoever_waits(tmp_path: Path) -> None:
    async def script(lab: Lab) -> None:
        asked = [lab.ask("_HLS_msn=5"), lab.ask("_HLS_msn=4&_HLS_part=2")]
        await asyncio.sleep(1)
        lab.stream.ended = True
        lab.publisher.listing.relist(lab.stream, lab.window)
        for one in asked:
            assert text(await one).endswith("#EXT-X-ENDLIST\n")
        assert "#EXT-X-ENDLIST" in text(await lab.ask("_HLS_msn=10000&_HLS_skip=YES")), "directives are ignored then"

    play(tmp_path, script)


def test_6_2_6_a_request_for_the_hinted_part_is_held_and_answered_whole(tmp_path: Path) -> None:
    async def script(lab: Lab) -> None:
        lab.part(0)
        asked = lab.ask(path="live/360p/part-7-4-1.m4s")
        await asyncio.sleep(1)
        assert not asked.done()
        lab.part(1)
        assert text(await asked) == "part"

    play(tmp_path, script)


def test_6_2_6_a_hint_that_is_abandoned_gets_404_and_so_does_what_is_not_hinted(tmp_path: Path) -> None:
    async def script(lab: Lab) -> None:
        for index in range(7):
            lab.part(index)
        assert lab.window.parts.hint == "part-7-4-7.m4s"
        asked = lab.ask(path="live/360p/part-7-4-7.m4s")
        await asyncio.sleep(0)
        lab.segment(4)  # a key frame came early
        lab.part(0)
        found = await asked
        assert isinstance(found, Unmet) and found.status == 404 and found.lifetime == TARGET
        for name in ("part-7-5-2.m4s", "part-8-5-1.m4s", "part-.m4s", "part-7-5-1.m4s.x"):
            found = await lab.ask(path=f"live/360p/{name}")
            assert isinstance(found, Unmet) and found.status == 404, name
        assert asyncio.get_running_loop().time() == 0

    play(tmp_path, script)


def test_6_2_6_a_hint_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    async def script(lab: Lab) -> None:
        lab.part(0)
        found = await lab.ask(path="live/360p/part-7-4-1.m4s")
        assert isinstance(found, Unmet) and found.status == 404
        assert asyncio.get_running_loop().time() == pytest.approx(3 * TARGET)

    play(tmp_path, script)


def test_appendix_b_1_lifetimes(tmp_path: Path) -> None:
    async def script(lab: Lab) -> None:
        lab.part(0)
        for query, lifetime in [
            ("", TARGET / 2),
            ("_HLS_skip=YES", TARGET / 2),
            ("_HLS_msn=4&_HLS_part=0", 6 * TARGET),
            ("_HLS_msn=2", 6 * TARGET),
        ]:
            found = await lab.ask(query)
            assert isinstance(found, Resource) and found.lifetime == lifetime, query
        part = await lab.ask(path="live/360p/part-7-4-0.m4s")
        assert isinstance(part, Resource) and part.lifetime == 6 * TARGET
        missing = await lab.ask("_HLS_msn=4", path="live/720p/media.m3u8")
        assert isinstance(missing, Unmet) and (missing.status, missing.lifetime) == (404, 4 * TARGET)
        assert await lab.ask("", path="live/720p/media.m3u8") is None

    play(tmp_path, script)


def test_a_client_that_leaves_waits_no_longer(tmp_path: Path) -> None:
    async def script(lab: Lab) -> None:
        messages = [{"type": "http.request"}, {"type": "http.disconnect"}]

        async def leaves() -> Message:
            await asyncio.sleep(1)
            return messages.pop(0)

        asked = lab.ask("_HLS_msn=5", receive=leaves)
        await asyncio.sleep(1.5)
        assert lab.publisher.listing.bells.count == 1
        found = await asked
        assert isinstance(found, Unmet)
        assert asyncio.get_running_loop().time() == pytest.approx(2)
        assert lab.publisher.listing.bells.count == 0 and not lab.publisher.listing.bells._waiting

    play(tmp_path, script)


def test_no_more_wait_than_there_is_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("origin.publishing.held.MOST_WAITING", 100)

    async def script(lab: Lab) -> None:
        asked = [lab.ask("_HLS_msn=4&_HLS_part=0") for _ in range(101)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        refused = await asked[100]
        assert isinstance(refused, Unmet) and refused.status == 503
        assert sum(one.done() for one in asked) == 1
        lab.part(0)
        assert {text(await one) for one in asked[:100]} == {text(await lab.ask())}, "the rest got the one playlist"
        assert lab.publisher.listing.bells.count == 0

    play(tmp_path, script)


def test_a_track_that_is_forgotten_is_waited_for_by_nobody(tmp_path: Path) -> None:
    async def script(lab: Lab) -> None:
        lab.part(0)
        asked = [lab.ask("_HLS_msn=5"), lab.ask(path="live/360p/part-7-4-1.m4s")]
        await asyncio.sleep(1)
        del lab.publisher.streams["live"]
        lab.publisher.catalog.withdraw(MEDIA)
        lab.publisher.listing.bells.ring(MEDIA)
        playlist, part = [await one for one in asked]
        assert isinstance(playlist, Unmet) and playlist.status == 404
        assert part is None

    play(tmp_path, script)


def test_two_thousand_waiters_wake_in_one_turn_of_the_loop() -> None:
    async def run() -> tuple[int, float]:
        bells, woken = Bells(), 0
        ours = asyncio.create_task(left(stays))

        async def wait() -> None:
            nonlocal woken
            assert await bells.wait("a", ours, 60.0) is Waited.RUNG
            woken += 1

        tasks = [asyncio.create_task(wait()) for _ in range(2000)]
        await asyncio.sleep(0.1)
        began = time.process_time()
        bells.ring("a")
        for _ in range(4):  # the future, the wait, the task
            await asyncio.sleep(0)
        took = time.process_time() - began
        await asyncio.gather(*tasks)
        ours.cancel()
        return woken, took

    woken, took = run_virtually(run())
    assert woken == 2000
    assert took < 0.5


def test_6_2_5_2_a_blocking_request_for_an_i_frame_playlist_is_about_its_own_numbers(tmp_path: Path) -> None:
    path = "live/360p/iframes.m3u8"

    def segment(lab: Lab, number: int) -> None:
        entry = Entry(number, 7, 0, 4.0 * number, 4.0, 4.0 * number, 10, "aa")
        entry.i_frames = (IFrame(0, 5, 2.0), IFrame(5, 5, 2.0))
        lab.window.add(entry, target=TARGET)
        lab.publisher.listing.relist(lab.stream, lab.window)

    async def script(lab: Lab) -> None:
        assert await lab.ask("_HLS_msn=3", path) == Unmet(404, "not here.", 16.0)
        segment(lab, 4)  # four segments before it have no key frames that are known: gaps 0 to 3
        assert "#EXT-X-MEDIA-SEQUENCE:0\n" in text(await lab.ask("", path))
        at_once = await lab.ask("_HLS_msn=5&_HLS_skip=YES", path)
        assert text(at_once).endswith("#EXT-X-BYTERANGE:5@5\nseg-7-4.m4s\n")
        assert isinstance(at_once, Resource) and at_once.lifetime == 24.0
        waits, further, too_far = (lab.ask(f"_HLS_msn={number}", path) for number in (6, 7, 8))
        await asyncio.sleep(1)
        assert isinstance(await too_far, Unmet) and (await too_far).status == 400  # type: ignore[union-attr]
        lab.part(0)  # wakes it, and is none of its own
        await asyncio.sleep(1)
        assert not waits.done() and not further.done()
        segment(lab, 5)
        assert text(await waits) == text(await further)
        assert text(await waits).count("#EXT-X-BYTERANGE") == 4
        late = lab.ask("_HLS_msn=8", path)
        assert isinstance(await late, Unmet) and (await late).status == 503  # type: ignore[union-attr]

    play(tmp_path, script)
