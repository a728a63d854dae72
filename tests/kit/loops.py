"""A test on both event loops: a node runs on uvloop where it can, on asyncio's own where it must."""

import asyncio
from collections.abc import Iterator

import pytest
import uvloop


@pytest.fixture(params=["asyncio", "uvloop"], autouse=True)
def event_loop_of(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "uvloop":
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    yield request.param
    asyncio.set_event_loop_policy(None)


@pytest.fixture(autouse=True, name="event_loop_of")
def uvloop_alone() -> Iterator[str]:
    """For a module that imports it, in place of its folder's: uvloop, as nodes run."""
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    yield "uvloop"
    asyncio.set_event_loop_policy(None)


one_loop = pytest.mark.parametrize("event_loop_of", ["uvloop"], indirect=True)
"""Of a test whose nodes and viewers are processes of their own, or whose subject has no loop: it runs once."""


@pytest.fixture
def half(event_loop_of: str) -> slice:
    """Of many examples of one law: every other one on each loop."""
    return slice(int(event_loop_of == "uvloop"), None, 2)
