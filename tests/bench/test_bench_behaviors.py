"""What many behaviors cost: at the start of a node, and for a path that it has not seen."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from cdnkit.policy import Behavior
from cdnkit.policy.rules.matching import Matcher, shadowed


def several(count: int) -> list[Behavior]:
    """Each for a folder and an ending, and the one that is asked for behind all of them."""
    return [*(Behavior(path=f"/b{n}/*/x.ts") for n in range(count - 1)), Behavior(path="/o/*")]


@pytest.mark.parametrize("count", [75, 1000])
def test_what_the_start_takes(benchmark: BenchmarkFixture, count: int) -> None:
    benchmark.group = f"the start with {count} behaviors"
    behaviors = several(count)

    def start() -> None:
        assert shadowed(behaviors) == []
        Matcher(behaviors, behaviors[0])

    benchmark.pedantic(start, rounds=3 if count > 75 else 20)


@pytest.mark.parametrize("count", [75, 1000])
def test_a_path_that_is_new(benchmark: BenchmarkFixture, count: int) -> None:
    benchmark.group = "a new path"
    matcher, numbers = Matcher(several(count), Behavior(path="*")), iter(range(10**9))
    benchmark(lambda: matcher.match(f"/o/{next(numbers)}"))
    assert matcher.match("/o/a").path == "/o/*"
