"""The arithmetic of a simulated wire: rows worked out by hand, and what holds for any traffic."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdnkit.policy.upstream.link import FIRST_RTO_S, LEAST_RTO_S, PACKET_BYTES, Link, Wire

MBIT = 1_000_000.0


def link(wire: Wire, seed: int = 1) -> Link:
    return Link(wire, Random(seed))


def test_latency_alone() -> None:
    up, down = link(Wire(latency=0.02)).lanes()
    assert up.arrives(1, 100.0) == down.arrives(10**9, 100.0) == 100.02


def test_bandwidth_is_shared_by_lanes_and_not_by_directions() -> None:
    wire = link(Wire(latency=0.5, bandwidth=8 * MBIT))  # a megabyte a second
    (up, down), (_, other) = wire.lanes(), wire.lanes()
    assert down.arrives(1_000_000, 10.0) == pytest.approx(11.5)
    assert other.arrives(500_000, 10.0) == pytest.approx(12.0)  # behind the first
    assert down.arrives(500_000, 10.2) == pytest.approx(12.5)
    assert up.arrives(1_000_000, 10.0) == pytest.approx(11.5)
    assert other.arrives(100_000, 20.0) == pytest.approx(20.6)  # idle time is not saved up


def test_a_connection_is_a_round_trip_and_another_with_tls() -> None:
    assert link(Wire(latency=0.02)).connects_in(tls=False) == pytest.approx(0.04)
    assert link(Wire(latency=0.02)).connects_in(tls=True) == pytest.approx(0.08)
    assert link(Wire(latency=0.02, loss=1.0)).connects_in(tls=False) == pytest.approx(0.04 + 2 * FIRST_RTO_S)


class Dice(Random):
    """Falls as it is told."""

    def __init__(self, *falls: float) -> None:
        super().__init__()
        self.falls = list(falls)

    def random(self) -> float:
        return self.falls.pop(0)


def test_a_lost_packet_stalls_its_own_lane_alone() -> None:
    wire = Link(Wire(latency=0.02, loss=0.01), Dice(0.995, 0.5, 0.5, 0.5))
    (_, lane), (_, other) = wire.lanes(), wire.lanes()
    assert lane.arrives(PACKET_BYTES, 1.0) == pytest.approx(1.02 + LEAST_RTO_S)
    assert other.arrives(PACKET_BYTES, 1.0) == pytest.approx(1.02)
    assert lane.arrives(PACKET_BYTES, 1.1) == pytest.approx(1.02 + LEAST_RTO_S)  # what comes behind waits for it
    assert lane.arrives(PACKET_BYTES, 1.3) == pytest.approx(1.32)


def test_a_time_out_is_a_round_trip_at_least() -> None:
    (_, lane) = Link(Wire(latency=0.3, loss=1.0), Dice(0.5)).lanes()
    assert lane.arrives(1, 1.0) == pytest.approx(1.0 + 0.3 + 0.6)


@pytest.mark.parametrize(("packets", "share"), [(1, 0.1), (10, 0.651), (50, 0.995)])
def test_the_more_packets_the_likelier_one_is_lost(packets: int, share: float) -> None:
    wire = link(Wire(loss=0.1))
    stalls = sum(wire.stall(packets * PACKET_BYTES) > 0 for _ in range(4000)) / 4000
    assert stalls == pytest.approx(share, abs=0.03)


def test_the_same_seed_is_the_same_run() -> None:
    wire = Wire(0.02, 0.005, MBIT, 0.05)
    runs = [[lane.arrives(size, 1.0) for size in range(1, 5000, 100)] for lane in (link(wire).lanes()[1] for _ in "ab")]
    assert runs[0] == runs[1]
    assert runs[0] != [link(wire, 2).lanes()[1].arrives(size, 1.0) for size in range(1, 5000, 100)]


TRAFFIC = st.lists(st.tuples(st.floats(0, 0.5), st.integers(0, 3), st.integers(1, 100_000)), min_size=1, max_size=60)
WIRES = st.builds(
    Wire,
    latency=st.floats(0, 0.3), jitter=st.floats(0, 0.3), bandwidth=st.sampled_from([64_000.0, MBIT, 100 * MBIT]),
    loss=st.sampled_from([0.0, 0.01, 0.5]),
)  # fmt: skip


@given(WIRES, TRAFFIC, st.integers(0, 9))
def test_whatever_is_sent_arrives_in_order_and_no_faster_than_the_wire(
    wire: Wire, traffic: list[tuple[float, int, int]], seed: int
) -> None:
    one = link(wire, seed)
    lanes = [one.lanes()[1] for _ in range(4)]
    last = [0.0] * 4
    arrivals: list[tuple[float, int]] = []
    now = 50.0
    for pause, which, size in traffic:
        now += pause
        at = lanes[which].arrives(size, now)
        least = size * 8 / wire.bandwidth + max(0.0, wire.latency - wire.jitter)
        assert at >= now + least - 1e-6  # none before it could have been sent
        assert at >= last[which]  # order kept
        last[which] = at
        arrivals.append((at, size))
    # Sent at `began` at the earliest, arrived by `at`: never more than the bandwidth carries in between.
    began = 50.0 + traffic[0][0]
    arrivals.sort()
    total = 0
    for at, size in arrivals:
        total += size
        assert total * 8 <= wire.bandwidth * (at - began) + 1e-3


@given(st.lists(st.tuples(st.floats(0, 0.2), st.integers(1, 50_000)), min_size=2, max_size=50))
def test_between_any_two_arrivals_no_more_than_the_bandwidth_and_one_piece(traffic: list[tuple[float, int]]) -> None:
    wire = Wire(latency=0.1, bandwidth=MBIT)
    (_, lane) = link(wire).lanes()
    now, arrived = 0.0, []
    for pause, size in traffic:
        now += pause
        arrived.append((lane.arrives(size, now), size))
    for first in range(len(arrived)):
        total = 0
        for at, size in arrived[first + 1 :]:
            total += size
            assert total * 8 <= MBIT * (at - arrived[first][0]) + 1e-3
