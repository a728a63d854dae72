"""When what does not answer is left alone: scripts of calls, each at an instant, on the limit and beside it."""

import pytest

from edge.stores.breaker import Breaker

SCRIPTS: list[tuple[str, list[tuple[float, str, bool]]]] = [
    # (at, what happens, what is answered): may it call; did that close it; did that open it
    ("well", [(0, "call", True), (0, "good", False), (1, "call", True)]),
    ("opens once, with the third failure", [(0, "bad", False), (0, "bad", False), (0, "bad", True), (0, "bad", False)]),
    ("a good one between", [(0, "bad", False), (0, "bad", False), (0, "good", False), (0, "bad", False), (0, "call", True)]),
    ("two are too few", [(0, "bad", False), (0, "bad", False), (0, "call", True)]),
    ("rests for five seconds", [*[(1, "bad", at == 2) for at in range(3)], (1, "call", False), (5.9, "call", False), (6, "call", True)]),
    ("one at a time after that", [*[(0, "bad", at == 2) for at in range(3)], (5, "call", True), (5, "call", False), (9.9, "call", False), (10, "call", True)]),
    ("closes when that is good", [*[(0, "bad", at == 2) for at in range(3)], (5, "call", True), (5, "good", True), (5, "call", True), (5, "good", False)]),
    ("rests again when it is not", [*[(0, "bad", at == 2) for at in range(3)], (5, "call", True), (6, "bad", False), (10.9, "call", False), (11, "call", True)]),
]  # fmt: skip


@pytest.mark.parametrize("script", [script for _, script in SCRIPTS], ids=[name for name, _ in SCRIPTS])
def test_what_a_breaker_lets_through(script: list[tuple[float, str, bool]]) -> None:
    breaker = Breaker()
    for step, (now, what, answered) in enumerate(script):
        match what:
            case "call":
                assert breaker.lets_through(now) is answered, step
            case "good":
                assert breaker.succeeded() is answered, step
            case "bad":
                assert breaker.failed(now) is answered, step
