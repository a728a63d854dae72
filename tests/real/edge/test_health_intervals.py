"""How often a parent's health is checked: by the interval, counted from a check's beginning; never in a tight loop."""

import asyncio
import logging

import pytest

from cdnkit.policy.rules.profile import RFC9111
from cdnkit.settings.edge import Node
from edge.background import Background
from edge.serve import parents_of
from tests.kit.hurry import hurry
from tests.kit.origin import Asked, response, running_origin

ROWS = [  # the answer takes   its status   then checks begin at                        and the parent is
    (0.0, 200, [0.0, 10.0, 20.0, 30.0, 40.0, 50.0], "well"),
    (3.0, 200, [0.0, 10.0, 20.0, 30.0, 40.0, 50.0], "well"),  # from its beginning
    (3.0, 500, [0.0, 10.0, 20.0, 30.0, 40.0, 50.0], "sick"),  # a bad answer is no reason to hurry
    (60.0, 200, [0.0, 15.0, 30.0, 45.0], "sick"),  # longer than `timeout`, which is longer than the interval
]


@pytest.mark.parametrize(("takes", "status", "at", "then"), ROWS)
def test_how_often_a_parent_is_checked(takes: float, status: int, at: list[float], then: str) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        began: list[float] = []
        async with running_origin() as origin:

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                began.append(round(loop.time(), 3))
                await asyncio.sleep(takes)
                writer.write(response(b"", status))

            origin.does("/up", script)
            check = {"path": "/up", "interval": "10s", "timeout": "15s"}
            node = Node.model_validate({"name": "fra", "health": {"check": check}})
            background = Background(logging.getLogger("cdnlab.edge"), "fra")
            parents = parents_of(node, RFC9111.waits, [origin.url], background)
            await asyncio.sleep(58.0)
            assert began == at
            assert parents.sick() == ([origin.url] if then == "sick" else [])
            await background.close()
            await parents.close()
            await asyncio.sleep(30.0)
            assert began == at, "it goes on after closing"

    hurry(run())
