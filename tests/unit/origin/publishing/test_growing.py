"""Segments that grow, in virtual time: how long they are waited for, and how they end."""

import asyncio
from pathlib import Path

import pytest

from origin.media.tracks import InitSection
from origin.publishing.growing import MOST_SILENT_S, Growing, NotCompleted, find_growing
from origin.publishing.held import Unmet
from origin.publishing.waiting import MOST_WAITING
from tests.unit.origin.publishing.test_held import TARGET, VIDEO, Lab, play, stays

HAND = "live/360p/seg-7-4.m4s"


def lab_of(lab: Lab) -> Lab:
    """Its encoder runs."""
    lab.stream.begin("360p", InitSection(b"", VIDEO), 7.0, lambda: None)
    assert lab.stream.generation is not None and lab.stream.generation.id == 7
    return lab


def test_a_response_without_a_part_for_8_s_breaks_off_and_each_part_buys_as_long(tmp_path: Path) -> None:
    async def script(lab: Lab) -> None:
        lab.part(0)
        loop, found = asyncio.get_running_loop(), await find_growing(lab_of(lab).publisher, HAND, stays)
        assert isinstance(found, Growing)
        pieces = found.pieces()
        assert await anext(pieces) == b"part"
        loop.call_later(6, lab.part, 1)
        assert await anext(pieces) == b"part"
        began = loop.time()
        with pytest.raises(NotCompleted, match="nothing new for 8 s"):
            await anext(pieces)
        assert loop.time() - began == pytest.approx(MOST_SILENT_S)
        found.wait.close()
        assert lab.publisher.listing.bells.count == 0

    play(tmp_path, script)


def test_one_that_does_not_begin_is_held_for_three_target_durations(tmp_path: Path) -> None:
    async def script(lab: Lab) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        found = await find_growing(lab_of(lab).publisher, HAND, stays)
        assert isinstance(found, Unmet) and found.status == 503
        assert loop.time() - began == pytest.approx(3 * TARGET)
        assert lab.publisher.listing.bells.count == 0

    play(tmp_path, script)


def test_it_shares_its_room_with_all_that_wait(tmp_path: Path) -> None:
    async def script(lab: Lab) -> None:
        lab_of(lab).publisher.listing.bells.count = MOST_WAITING
        found = await find_growing(lab.publisher, HAND, stays)
        assert isinstance(found, Unmet) and (found.status, found.lifetime) == (503, 1.0)

    play(tmp_path, script)


@pytest.mark.parametrize(
    "path", ["live/360p/seg-7-6.m4s", "live/360p/seg-6-4.m4s", "live/none/seg-7-4.m4s", "live/360p/x"]
)
def test_any_other_is_not_waited_for(tmp_path: Path, path: str) -> None:
    async def script(lab: Lab) -> None:
        began = asyncio.get_running_loop().time()
        found = await find_growing(lab_of(lab).publisher, path, stays)
        assert found is None or (isinstance(found, Unmet) and found.status == 404)
        assert asyncio.get_running_loop().time() == pytest.approx(began, abs=0.01)

    play(tmp_path, script)
