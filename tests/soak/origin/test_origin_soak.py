"""The short ones. The long ones are `make soak-origin` and `make republish`."""

import asyncio
from pathlib import Path

import pytest

from tests.soak.origin.republish import MOST_CPU, republish
from tests.soak.origin.run import soak


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_short_soak(tmp_path: Path) -> None:
    soaked = asyncio.run(soak(tmp_path, 60.0, seed=3))
    assert not soaked.complaints, "\n".join([*soaked.complaints[:20], *soaked.notes])
    assert soaked.polls > 1000


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_fifty_streams_are_published_in_real_time(tmp_path: Path) -> None:
    """By one core with a margin, and every sample of them."""
    found = asyncio.run(republish(tmp_path, streams=50, seconds=20))
    assert not found.complaints, found.lines()
    assert found.segments == 50 * 5 * 10
    assert found.cores < MOST_CPU, found.lines()
