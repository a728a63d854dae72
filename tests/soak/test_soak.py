"""The short soak: every fault once. The long one is `make soak`."""

import asyncio
from pathlib import Path

import pytest
from rich.console import Console

from tests.soak.run import soak


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_short_soak(tmp_path: Path) -> None:
    soaked = asyncio.run(soak(20.0, tmp_path, Console(quiet=True)))
    assert not soaked.complaints, "\n".join([*soaked.complaints[:20], *soaked.notes])
    assert len(soaked.answers) > 300
