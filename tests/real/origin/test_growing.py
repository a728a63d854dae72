"""Segments that are served while they grow: over sockets, alone and behind two cache tiers."""

import asyncio
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from cdnlab.settings.low_latency import MEDIA_BEHAVIORS
from tests.kit import ll_player
from tests.kit.http import ask
from tests.kit.http2 import http2
from tests.kit.late import GUARD_S
from tests.kit.live_origin import Feeder, Running, encoder_command, pieces, until
from tests.kit.node import running_node
from tests.kit.streaming import streaming

PART = 0.5
SEGMENT = 2.0


@dataclass
class Fed:
    """An origin whose encoder is the test: a fragment of each track, half a second, when it says so."""

    origin: Running
    feeders: dict[str, Feeder]
    left: dict[str, list[bytes]]

    def send(self, count: int = 1) -> None:
        for name, feeder in self.feeders.items():
            for _ in range(count):
                feeder.send(self.left[name].pop(0))

    def break_off(self) -> None:
        for feeder in self.feeders.values():
            feeder.break_off()

    def playlist(self) -> ll_player.LowLatencyPlaylist:
        return ll_player.read(self.origin.get("live/180p/media.m3u8").text)

    def url(self, ahead: int = 0) -> str:
        """The segment in hand, or one behind it."""
        generation = self.playlist().hint.split("-")[1]
        return f"/live/180p/seg-{generation}-{self.playlist().next_msn + ahead}.m4s"

    def waiting(self) -> int:
        return int(json.loads(self.origin.get("").text)["waiting"])


@pytest.fixture(scope="module")
def encoded(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Ten seconds of two tracks, with a key frame every two seconds."""
    folder = tmp_path_factory.mktemp("encoded")
    paths = {"180p": folder / "180p.cmfv", "audio-64k": folder / "audio-64k.cmfa"}
    for path in paths.values():
        path.touch()
    command = encoder_command(ffmpeg, {t: f"file:{p}" for t, p in paths.items()}, seconds=10, gop=60)
    subprocess.run(command, check=True, timeout=60, stdin=subprocess.DEVNULL)
    return {path.name: path.read_bytes() for path in paths.values()}


@pytest.fixture
def fed(origins: Callable[..., Running], encoded: dict[str, bytes]) -> Iterator[Fed]:
    """A segment is listed, and two parts of the next one."""
    with ExitStack() as stack:
        origin = origins(part=PART, segment=SEGMENT, storage_memory=0)
        feeders = {name: Feeder(origin, f"live/{name}") for name in encoded}
        for feeder in feeders.values():
            stack.callback(feeder.break_off)
        one = Fed(origin, feeders, {name: pieces(data) for name, data in encoded.items()})
        one.send(1 + 4 + 2)
        until(lambda: origin.get("live/180p/media.m3u8").status == 200)
        until(lambda: one.playlist().next_part == (1, 2))
        yield one


def sizes(fed: Fed, number: int = 1) -> list[int]:
    parts = [part for part in fed.playlist().parts if part.msn == number]
    return [len(fed.origin.get(f"live/180p/{part.uri}").body) for part in parts]


def test_the_segment_in_hand_comes_part_by_part_and_is_the_segment(fed: Fed) -> None:
    async def run() -> None:
        target = fed.url()
        async with streaming(fed.origin.url, target) as got:
            assert (got.status, got.fields["transfer-encoding"]) == (200, "chunked")
            assert got.fields["cache-control"] == "public, max-age=12", "six target durations, and not immutable"
            assert got.fields["content-type"] == "video/mp4"
            assert got.fields["surrogate-key"] == "live live/180p segment"
            assert got.fields["access-control-allow-origin"] == "*"
            assert not {"etag", "last-modified", "content-length", "accept-ranges"} & got.fields.keys()
            size = sum(sizes(fed))
            await got.has(size)
            assert len(got.body) == size and not got.over, "what there is comes at once, and no more"
            fed.send()
            await got.has(size + 1)
            assert not got.over
            fed.send(2)
            await got.end()
            assert got.whole
        whole = fed.origin.get(target[1:])
        assert whole.body == got.body, "the bytes of the segment"
        assert whole.headers["cache-control"] == "public, max-age=31536000, immutable" and whole.headers["etag"]
        assert fed.waiting() == 0

    asyncio.run(run())


def test_a_segment_that_has_not_begun_is_held_until_its_first_part_and_others_are_refused(fed: Fed) -> None:
    async def run() -> None:
        next_one, behind = fed.url(1), fed.url(2)
        refused = await ask(fed.origin.url, behind)
        assert (refused.status, refused["cache-control"]) == (404, "public, max-age=1")
        assert refused.body == f"{behind}: not here, and neither in hand nor next.\n".encode()
        assert (await ask(fed.origin.url, "/live/180p/seg-1-2.m4s")).status == 404, "of another encoder"
        held = asyncio.create_task(read_some(fed.origin.url, next_one))
        await asyncio.to_thread(until, lambda: fed.waiting() == 1)
        fed.send(2)
        await asyncio.sleep(0.2)
        assert not held.done(), "the one in hand is not complete"
        fed.send(1)
        assert (await held).startswith(b"\0\0"), "and the first part of the next one came"
        await asyncio.to_thread(until, lambda: fed.waiting() == 0)

    async def read_some(url: str, target: str) -> bytes:
        async with streaming(url, target) as got:
            await got.has(1)
            return bytes(got.body)

    asyncio.run(run())


def test_head_and_ranges_of_what_grows(fed: Fed) -> None:
    async def run() -> None:
        target = fed.url()
        head = await ask(fed.origin.url, target, method="HEAD")
        assert head.status == 200 and head["content-length"] is None and head["etag"] is None
        ranged = asyncio.create_task(ask(fed.origin.url, target, range="bytes=0-9", if_none_match="*"))
        await asyncio.to_thread(until, lambda: fed.waiting() == 1)
        fed.send(3)
        reply = await ranged
        assert reply.status == 200 and len(reply.body) > 10, "ranges of what has no end yet are ignored"

    asyncio.run(run())


def test_an_encoder_that_dies_completes_the_segment_short(fed: Fed) -> None:
    async def run() -> None:
        target = fed.url()
        async with streaming(fed.origin.url, target) as got:
            await got.has(1)
            fed.break_off()
            async with asyncio.timeout(GUARD_S):
                await got.end()
            assert got.whole
            assert fed.origin.get(target[1:]).body == got.body

    asyncio.run(run())


def test_a_response_that_cannot_be_completed_ends_with_its_connection(fed: Fed, tmp_path: Any) -> None:
    """Neither the origin nor two tiers give it out as whole, and none of them keeps it."""

    async def run() -> None:
        async with AsyncExitStack() as stack:
            shield = await stack.enter_async_context(running_node(fed.origin.url, *MEDIA_BEHAVIORS, name="shield"))
            edge = await stack.enter_async_context(running_node(shield.url, *MEDIA_BEHAVIORS, name="fra"))
            target = fed.url()
            got = [await stack.enter_async_context(streaming(one.url, target)) for one in (fed.origin, shield, edge)]
            for one in got:
                await one.has(1)
            # The storage fails: the segment is listed as a gap.
            folder = tmp_path / "media" / "live" / "180p"
            folder.rename(tmp_path / "away")
            folder.write_bytes(b"")
            fed.send(3)
            for one in got:
                await one.end()
                assert one.broken and not one.whole
            for node in (shield, edge):
                after = await node.get(target)
                assert after.status == 404

    asyncio.run(run())


def test_ten_viewers_behind_two_tiers_get_each_part_as_it_comes_by_one_request(fed: Fed, tmp_path: Any) -> None:
    async def run() -> None:
        async with AsyncExitStack() as stack:
            records = tmp_path / "shield.jsonl"
            shield = await stack.enter_async_context(
                running_node(fed.origin.url, *MEDIA_BEHAVIORS, name="shield", records=records)
            )
            edge = await stack.enter_async_context(running_node(shield.url, *MEDIA_BEHAVIORS, name="fra"))
            loop, target = asyncio.get_running_loop(), fed.url()
            viewers = [await stack.enter_async_context(streaming(edge.url, target)) for _ in range(10)]
            due = sum(sizes(fed))
            await asyncio.gather(*(one.has(due) for one in viewers))
            assert {len(one.body) for one in viewers} == {due}
            began = loop.time()
            fed.send()
            await asyncio.gather(*(one.has(due + 1) for one in viewers))
            took = loop.time() - began
            assert took < PART, "through both tiers within a part's duration"
            late = await stack.enter_async_context(streaming(edge.url, target))
            await late.has(len(viewers[0].body))
            assert late.body == viewers[0].body and not late.over, "one that joins gets what there is, at once"
            assert "collapsed" in late.fields["cache-status"] or "hit" in late.fields["cache-status"]
            fed.send(2)
            for one in (*viewers, late):
                await one.end()
                assert one.whole
            assert len({one.body for one in (*viewers, late)}) == 1
            whole = fed.origin.get(target[1:])
            assert whole.body == late.body
            again = await edge.get(target)
            assert again.body == late.body and "fra; hit" in (again["cache-status"] or "")
            assert again["cache-control"] == "public, max-age=12"
            await shield.stop()
            fetched = [one for one in shield.records() if one.get("kind") == "fetch"]
            assert len([one for one in fetched if one["url"].endswith(target)]) == 1, fetched[:1]

    asyncio.run(run())


def test_a_next_segment_that_is_held_is_one_request_for_all_viewers(fed: Fed) -> None:
    async def run() -> None:
        async with AsyncExitStack() as stack:
            shield = await stack.enter_async_context(running_node(fed.origin.url, *MEDIA_BEHAVIORS, name="shield"))
            edge = await stack.enter_async_context(running_node(shield.url, *MEDIA_BEHAVIORS, name="fra"))
            target, got = fed.url(1), []

            async def watch() -> None:
                async with streaming(edge.url, target) as one:
                    got.append(one)
                    await one.has(1)

            viewers = [asyncio.create_task(watch()) for _ in range(10)]
            await asyncio.to_thread(until, lambda: fed.waiting() == 1)
            fed.send(3)
            await asyncio.wait_for(asyncio.gather(*viewers), GUARD_S)
            assert {one.status for one in got} == {200} and len(got) == 10

    asyncio.run(run())


def test_the_origin_stops_although_segments_grow(fed: Fed) -> None:
    async def run() -> None:
        async with streaming(fed.origin.url, fed.url()) as got:
            await got.has(1)
            await asyncio.to_thread(fed.origin.stop)
            await got.end()
            assert got.whole, "what the encoders had sent is stored, and is the segment"

    asyncio.run(run())


def test_over_http_2_it_comes_in_data_frames_and_breaks_off_with_a_reset(fed: Fed, tmp_path: Any) -> None:
    async def run() -> None:
        async with http2(fed.origin.url) as client:
            target, size = fed.url(), sum(sizes(fed))
            whole = await client.ask(target)
            await client.until(whole, or_when=lambda: len(whole.body) >= size)
            assert len(whole.body) == size and not whole.over
            fed.send(4)  # the last two of the segment, and two of the next one
            await client.until(whole)
            assert whole.whole and bytes(whole.body) == fed.origin.get(target[1:]).body
            broken = await client.ask(fed.url())
            await client.until(broken, or_when=lambda: bool(broken.body))
            folder = tmp_path / "media" / "live" / "180p"
            folder.rename(tmp_path / "away")
            folder.write_bytes(b"")
            fed.send(3)
            await client.until(broken)
            assert broken.reset is not None and not broken.whole

    asyncio.run(run())


def test_parts_and_segments_say_how_long_they_took(fed: Fed) -> None:
    began = time.time()
    part = fed.playlist().parts[-1]
    whole = next(line for line in fed.origin.get("live/180p/media.m3u8").text.splitlines() if line.startswith("seg-"))
    for name in (part.uri, whole):
        took = fed.origin.get(f"live/180p/{name}").headers["server-timing"]
        match = re.fullmatch(r'origin;dur=([0-9.]+);desc="received ([0-9.]+)"', took)
        assert match is not None and 0 <= float(match[1]) < 30_000
        assert began - 60 < float(match[2]) <= began
    assert "server-timing" not in fed.origin.get("live/180p/media.m3u8").headers
