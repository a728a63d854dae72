"""`cdnlab edge` by itself, without a name: several in a row, and in a circle."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from cdnlab.client.viewer import ask
from cdnlab.settings.alone import edge_settings
from tests.kit.late import GUARD_S
from tests.kit.ports import free_port

pytestmark = pytest.mark.live


@contextmanager
def edge(*options: str) -> Iterator[str]:
    """Its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cdnlab", "edge", "--json", *options], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.communicate(timeout=GUARD_S)


def test_two_in_a_row_are_two_and_a_circle_is_found() -> None:
    ports = [free_port(), free_port()]
    listens = [f"127.0.0.1:{port}" for port in ports]
    with ExitStack() as running:
        inner = running.enter_context(edge("--listen", listens[0], "--origin", f"http://{listens[1]}"))
        with edge("--listen", "127.0.0.1:0", "--origin", inner) as outer:
            answer = ask(f"{outer}/a")
        # Both were passed: the failure is that nobody is behind them yet.
        assert answer.status == 502 and len(answer.headers["cache-status"].split(", ")) == 2, answer
        closing = running.enter_context(edge("--listen", listens[1], "--origin", inner))
        answer = ask(f"{closing}/a")
        assert answer.status == 508
        assert f"the request has passed edge-{ports[1]}-" in answer.text()


def test_an_edge_without_a_name_has_the_same_one_each_time_at_its_address() -> None:
    def name(listen: str | None) -> str:
        alone = edge_settings(
            origin="http://127.0.0.1:1", listen=listen, admin=None, profile=None, config=None, node=None
        )
        return alone.node.name

    assert name(None) == name("127.0.0.1:8080")
    assert len({name("127.0.0.1:8080"), name("0.0.0.0:8080"), name("[::1]:8080"), name("127.0.0.1:8081")}) == 4
    assert name("127.0.0.1:8080").startswith("edge-8080-")
