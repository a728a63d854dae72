"""What a purge costs among a hundred stored responses, and among a million: nothing is looked through.

A purged response is stored again between two rounds, so that the number of those stored stays what it was.
"""

from collections.abc import Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from cdnkit.policy import EdgeMachine, Fetch, Headers, PurgeKind, PurgeOrder, RequestHead, ResponseHead, Service

NOW = 1_795_000_000.0
IN_A_FOLDER = 10
FIELDS = [("cache-control", "max-age=31536000"), ("content-length", "1000")]


def store(edge: EdgeMachine, n: int) -> None:
    path = f"/live/{n // IN_A_FOLDER}/seg-{n % IN_A_FOLDER}.m4s"
    plan = edge.on_request(RequestHead("GET", "http", "h", path, None, Headers()), NOW)
    assert isinstance(plan, Fetch)
    edge.on_response(plan, ResponseHead(200, Headers([*FIELDS, ("surrogate-key", f"live one-{n}")])), NOW)
    edge.on_body_end(plan, 1000, NOW)


@pytest.fixture(scope="module", params=[100, 10_000, 1_000_000], ids="{:,} stored".format)
def edge(request: pytest.FixtureRequest) -> Iterator[EdgeMachine]:
    edge = EdgeMachine(Service(name="fra", room=2**40))
    for n in range(request.param):
        store(edge, n)
    yield edge


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "kind", [PurgeKind.URL, PurgeKind.SURROGATE_KEYS, PurgeKind.PREFIX], ids=lambda kind: kind.value
)
def test_a_purge(benchmark: BenchmarkFixture, edge: EdgeMachine, kind: PurgeKind) -> None:
    """Of one response by URL and by key; of a folder with ten of them by prefix."""
    benchmark.group = f"purge by {kind.value}"
    stored, at = len(edge.index), iter(range(10**9))
    taken = IN_A_FOLDER if kind is PurgeKind.PREFIX else 1

    def order() -> tuple[tuple[PurgeOrder, float], dict[str, object]]:
        for n in range(*purged):
            store(edge, n)
        folder = next(at) * 7919 % (stored // IN_A_FOLDER)
        purged[:] = [folder * IN_A_FOLDER, folder * IN_A_FOLDER + taken]
        value = {
            PurgeKind.URL: f"/live/{folder}/seg-0.m4s", PurgeKind.PREFIX: f"/live/{folder}/",
        }.get(kind, f"one-{folder * IN_A_FOLDER}")  # fmt: skip
        return (PurgeOrder(kind, value), NOW), {}

    purged = [0, 0]
    done = benchmark.pedantic(edge.on_purge, setup=order, rounds=1000)
    assert done.count == taken
    for n in range(*purged):
        store(edge, n)
    assert len(edge.index) == stored


@pytest.mark.timeout(600)
def test_a_purge_of_everything(benchmark: BenchmarkFixture, edge: EdgeMachine) -> None:
    """The last of a size: there is one round, for afterwards there is nothing."""
    benchmark.group = "purge of everything"
    stored = len(edge.index)
    done = benchmark.pedantic(edge.on_purge, args=(PurgeOrder(PurgeKind.EVERYTHING), NOW), rounds=1)
    assert done.count == stored and len(edge.index) == 0


@pytest.mark.timeout(600)
def test_a_miss_while_the_former_generation_leaves(benchmark: BenchmarkFixture, edge: EdgeMachine) -> None:
    """From request to body end. Its slowest round is what a purge of everything costs one of those after it."""
    benchmark.group = "a miss after a purge of everything"
    edge.on_purge(PurgeOrder(PurgeKind.EVERYTHING), NOW)
    numbers = iter(range(10**9))
    benchmark.pedantic(lambda: store(edge, next(numbers)), rounds=20_000)
