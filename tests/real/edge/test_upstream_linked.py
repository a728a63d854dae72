"""The simulated wire on real sockets: it changes when things come, and nothing else."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from cdnkit.policy.outcomes import Failure
from cdnkit.policy.rules.profile import Waits
from cdnkit.policy.upstream.link import FIRST_RTO_S, Link, Wire
from cdnkit.settings.edge import Link as LinkSettings
from edge.upstream import Upstream
from tests.kit.h2_parent import BIG, running_hypercorn
from tests.kit.hurry import hurry
from tests.kit.node import running_node
from tests.kit.origin import running_origin
from tests.kit.upstream import QUICK, ask, asking, pieces
from tests.real.edge import test_upstream as plain
from tests.real.edge import test_upstream_http2 as http2
from tests.real.edge import test_upstream_pool as pool

pytestmark = pytest.mark.long

PATIENT = Waits(connect=60, first_byte=600, between_bytes=600)
KBIT, MBIT = 1e3, 1e6


def a_link(**wire: float) -> Link:
    return Link(Wire(**wire), Random(20261125))


@pytest.fixture
def wired(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every upstream has a short wire of its own."""
    made = Upstream.__init__

    def with_link(self: Upstream, *arguments: Any, **more: Any) -> None:
        made(self, *arguments, **more, link=a_link(latency=0.001, jitter=0.001, bandwidth=1000 * MBIT))

    monkeypatch.setattr(Upstream, "__init__", with_link)


@pytest.mark.usefixtures("wired")
@pytest.mark.parametrize(("raw", "expected", "body", "kept"), plain.ANSWERS[:24])
def test_an_answer_is_what_it_says(raw: bytes, expected: int | Failure, body: bytes, kept: bool) -> None:
    plain.test_an_answer_is_what_it_says(raw, expected, body, kept)


@pytest.mark.usefixtures("wired")
@pytest.mark.parametrize(("raw", "failure", "body"), plain.ENDS)
def test_a_closed_connection_is_heard_of_behind_the_last_byte(raw: bytes, failure: Failure | None, body: bytes) -> None:
    plain.test_a_connection_that_closes_ends_only_what_has_no_other_end(raw, failure, body)


@pytest.mark.usefixtures("wired")
@pytest.mark.parametrize(
    "test",
    [
        plain.test_interim_responses_come_in_order_with_all_their_fields_while_the_final_one_is_awaited,
        pool.test_a_body_that_stands_still_is_given_up_but_not_one_whose_reader_does,
        pool.test_a_slow_reader_holds_the_parent_back,
        pool.test_a_kept_connection_that_the_parent_closes_or_writes_to_is_never_used,
        pool.test_a_request_body_is_streamed_with_its_length_or_chunked,
        pool.test_an_answer_that_comes_before_the_body_is_sent_is_read_and_the_body_abandoned,
        pool.test_a_parent_that_does_not_read_the_request_is_given_up,
        pool.test_close_fails_what_is_under_way_and_leaves_no_connection,
        http2.test_many_exchanges_share_one_connection,
        http2.test_bodies_both_ways_hints_head_and_304,
        http2.test_a_slow_reader_stops_his_own_stream_only,
        http2.test_a_connection_that_dies_fails_all_its_streams_and_the_next_opens_another,
        http2.test_cancelled_exchanges_leave_no_stream_and_the_connection_rests_only_so_long,
    ],
    ids=lambda test: test.__name__.removeprefix("test_"),
)
def test_what_holds_without_a_wire_holds_with_one(test: Callable[[], None]) -> None:
    test()


def seconds() -> float:
    return asyncio.get_running_loop().time()


def test_a_first_fetch_is_two_round_trips_and_the_next_one_is_one() -> None:
    async def run() -> None:
        async with running_origin() as origin:
            origin.says("/a", b"hello")
            upstream = Upstream(origin.url, PATIENT, 4, link=a_link(latency=10.0))
            for expected in (40, 20):
                began = seconds()
                assert (await ask(upstream, asking())).body == b"hello"
                assert expected <= seconds() - began < expected + 1
            await upstream.close()

    hurry(run())


@pytest.mark.parametrize("http", ["1.1", "2"])
def test_bandwidth_is_shared_by_all_who_fetch(http: Any) -> None:
    """2 x 4 MiB over 4 Mbit/s: 16.8 s, whether on connections of their own or on one."""

    async def run() -> None:
        async with running_hypercorn() as url:
            upstream = Upstream(url, PATIENT, 4, http=http, link=a_link(latency=0.1, bandwidth=4 * MBIT))
            began = seconds()
            seen = await asyncio.gather(*(ask(upstream, asking("/big")) for _ in range(2)))
            took = seconds() - began
            assert [one.body == BIG for one in seen] == [True] * 2
            assert 16.7 < took < 19
            await upstream.close()

    hurry(run())


def test_a_long_wire_is_filled() -> None:
    """4 MiB over 16 Mbit/s and a second each way: what is under way at once is no less than the wire holds."""

    async def run() -> None:
        async with running_hypercorn() as url:
            upstream = Upstream(url, PATIENT, 1, link=a_link(latency=1.0, bandwidth=16 * MBIT))
            began = seconds()
            assert (await ask(upstream, asking("/big"))).body == BIG
            assert 6.0 < seconds() - began < 7.5  # four to connect and ask, two to send it
            await upstream.close()

    hurry(run())


def test_a_body_towards_the_parent_takes_its_time_too() -> None:
    async def run() -> None:
        async with running_hypercorn() as url:
            upstream = Upstream(url, PATIENT, 1, link=a_link(bandwidth=800 * KBIT))
            began = seconds()
            echo = await ask(upstream, asking("/echo", "POST"), pieces(*[bytes(50_000)] * 10))
            assert len(echo.body) == 500_000
            assert 10 < seconds() - began < 11  # five seconds there, five back
            await upstream.close()

    hurry(run())


def test_a_lost_packet_costs_a_time_out_and_a_connection_may_fail_by_it() -> None:
    async def run() -> None:
        async with running_origin() as origin:
            origin.says("/a", b"hello")
            upstream = Upstream(origin.url, PATIENT, 1, link=a_link(loss=1.0))
            began = seconds()
            assert (await ask(upstream, asking())).body == b"hello"
            assert 2 * FIRST_RTO_S + 0.4 <= seconds() - began < 2 * FIRST_RTO_S + 0.6
            await upstream.close()
            hurried = Upstream(origin.url, Waits(connect=1.9, first_byte=9, between_bytes=9), 1, link=a_link(loss=1.0))
            assert (await ask(hurried, asking())).failure is Failure.CONNECT_TIMEOUT
            await hurried.close()

    hurry(run())


def test_tls_is_a_round_trip_more(certificate: Path) -> None:
    async def run() -> None:
        async with running_hypercorn(certificate) as url:
            tls = ssl.create_default_context(cafile=str(certificate))
            upstream = Upstream(url, QUICK, 1, http="auto", tls=tls, link=a_link(latency=0.05))
            began = seconds()
            assert (await ask(upstream, asking("/a"))).headers.first("http") == "2"
            assert 0.3 <= seconds() - began < 0.8
            await upstream.close()

    asyncio.run(run())


def test_a_node_has_one_by_its_settings_and_none_without() -> None:
    assert LinkSettings().new("fra") is None
    made = LinkSettings.model_validate({"latency": "20ms", "jitter": "5ms", "bandwidth": "1Gbit", "loss": "0.1%"}).new(
        "fra"
    )
    assert made is not None and made.wire == Wire(0.02, 0.005, 1e9, 0.001)

    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, link={"latency": "50ms"}) as node:
            origin.says("/a", b"hello", cache_control="max-age=60")
            began = seconds()
            assert (await node.get("/a")).body == b"hello"
            assert seconds() - began > 0.2
            began = seconds()
            await node.get("/a")
            assert seconds() - began < 0.1  # a hit crosses no wire

    asyncio.run(run())
