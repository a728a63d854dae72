"""Origin groups, time-outs and attempts: what the vendors' pages say, as decisions and over real sockets."""

import asyncio
import socket
from contextlib import ExitStack

import pytest

from cdnkit.policy.http.messages import Headers, RequestHead
from cdnkit.policy.outcomes import Failure
from cdnkit.policy.plan import Fetch, PurgeKind, PurgeOrder, Refuse, Serve
from cdnkit.policy.rules.profile import RFC9111, Profile, Waits
from cdnkit.policy.upstream.failover import fails_over
from cdnkit.settings.edge import Failover, HealthCheck, Timeouts
from cdnkit.vendors import CLOUDFRONT, FASTLY
from edge.errors import UpstreamFailed
from edge.upstream import Upstream
from tests.kit.hurry import hurry
from tests.kit.machine import NOW, filled, node
from tests.kit.machine import dated as says
from tests.kit.machine import get as ask
from tests.kit.origin import Asked, running_origin

NAMED = frozenset({403, 404, 503})

ROWS = [  # method, what came of the primary, is the secondary asked?
    ("GET", 503, True),
    ("HEAD", 404, True),
    ("OPTIONS", 403, True),
    ("GET", 500, False),  # not named by this group
    ("GET", 200, False),
    ("POST", 503, False),
    ("PUT", Failure.CONNECT, False),
    ("GET", Failure.CONNECT, True),
    ("GET", Failure.NAME, True),
    ("GET", Failure.CONNECT_TIMEOUT, True),
    ("GET", Failure.FIRST_BYTE_TIMEOUT, True),
    ("GET", Failure.ABANDONED, False),  # nobody waits any more
]


@pytest.mark.parametrize(("method", "came", "expected"), ROWS)
def test_who_is_asked_next(method: str, came: int | Failure, expected: bool) -> None:
    assert fails_over(method, came, NAMED) is expected


@pytest.mark.parametrize("came", [503, Failure.FIRST_BYTE_TIMEOUT])
def test_a_request_with_a_body_cannot_be_sent_twice(came: int | Failure) -> None:
    assert not fails_over("OPTIONS", came, NAMED, body=True)


@pytest.mark.parametrize("status", [400, 403, 404, 416, 500, 502, 503, 504])
def test_statuses_that_may_be_named(status: int) -> None:
    assert fails_over("GET", status, frozenset(Failover(statuses=(status,)).statuses))


def test_others_are_refused() -> None:
    with pytest.raises(ValueError, match="not 418"):
        Failover(statuses=(418, 503))


def test_waits() -> None:
    """CustomOriginConfig's defaults; the defaults of a Fastly backend."""
    assert CLOUDFRONT.waits == Waits(connect=10, first_byte=30, between_bytes=30, attempts=3, retry_reads=True)
    assert FASTLY.waits == Waits(connect=1, first_byte=15, between_bytes=10, attempts=1)


def test_health_checks_left_as_they_are_are_fastlys() -> None:
    """ "healthcheck" of the Terraform provider: check_interval 5000 ms, window 5, threshold 3, initial 3."""
    check = HealthCheck(path="/")
    assert (check.interval, check.window, check.threshold, check.initial) == (5.0, 5, 3, 3)


def test_what_the_settings_leave_out_the_profile_says() -> None:
    assert Timeouts().waits(CLOUDFRONT.waits) == CLOUDFRONT.waits
    assert Timeouts(connect="3s", attempts=2).waits(CLOUDFRONT.waits) == Waits(3, 30, 30, 2, True)  # type: ignore[arg-type]
    assert Timeouts(retry_reads=False).waits(CLOUDFRONT.waits) == Waits(10, 30, 30, 3, False)


SILENT, STALLS, BLOCKED = "takes the request and says nothing", "stalls in the body", "takes no connection"

ON_THE_WIRE = [  # profile, method, what the parent does, what came of it, after seconds, requests it saw
    (CLOUDFRONT, "GET", SILENT, Failure.FIRST_BYTE_TIMEOUT, 90, 3),
    (CLOUDFRONT, "HEAD", SILENT, Failure.FIRST_BYTE_TIMEOUT, 90, 3),
    (CLOUDFRONT, "OPTIONS", SILENT, Failure.FIRST_BYTE_TIMEOUT, 30, 1),
    (CLOUDFRONT, "POST", SILENT, Failure.FIRST_BYTE_TIMEOUT, 30, 1),
    (CLOUDFRONT, "GET", STALLS, Failure.BETWEEN_BYTES_TIMEOUT, 30, 1),
    (CLOUDFRONT, "GET", BLOCKED, Failure.CONNECT_TIMEOUT, 30, 0),  # 10 s, three times
    (CLOUDFRONT, "POST", BLOCKED, Failure.CONNECT_TIMEOUT, 30, 0),
    (FASTLY, "GET", SILENT, Failure.FIRST_BYTE_TIMEOUT, 15, 1),
    (FASTLY, "GET", STALLS, Failure.BETWEEN_BYTES_TIMEOUT, 10, 1),
    (FASTLY, "GET", BLOCKED, Failure.CONNECT_TIMEOUT, 1, 0),
    (RFC9111, "GET", SILENT, Failure.FIRST_BYTE_TIMEOUT, 15, 1),
]


@pytest.mark.parametrize(("profile", "method", "parent", "expected", "after", "seen"), ON_THE_WIRE)
def test_how_long_and_how_often_over_real_sockets(
    profile: Profile, method: str, parent: str, expected: Failure, after: float, seen: int
) -> None:
    async def run() -> tuple[Failure, float, int]:
        async with running_origin() as origin:
            over = asyncio.Event()

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                if parent is STALLS:
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello")
                await over.wait()

            origin.does("/a", script)
            with ExitStack() as stack:
                url = blocked(stack) if parent is BLOCKED else origin.url
                upstream = Upstream(url, Timeouts().waits(profile.waits), 4)
                began = asyncio.get_running_loop().time()
                try:
                    exchange = await upstream.exchange(RequestHead(method, "http", "h", "/a", None, Headers()))
                    async for _ in exchange.chunks():
                        pass
                except UpstreamFailed as failed:
                    why = failed.why
                took = asyncio.get_running_loop().time() - began
                await upstream.close()
            over.set()
            return why, took, origin.count["/a"]

    why, took, asked = hurry(run())
    assert (why, asked) == (expected, seen)
    assert took == pytest.approx(after, abs=0.1)


def blocked(stack: ExitStack) -> str:
    """A port whose queue of connections is full: the kernel drops what else comes."""
    listener = stack.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    for _ in range(4):
        client = stack.enter_context(socket.socket())
        client.setblocking(False)
        client.connect_ex(listener.getsockname())
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("name", ["origin.invalid", "a" * 64 + ".example"], ids=["unknown", "no name"])
def test_a_name_that_does_not_resolve_is_a_failure_of_its_own(name: str) -> None:
    """RFC 6761 section 6.4: "invalid" is never delegated; RFC 1035 section 2.3.4: a label has at most 63 octets."""

    async def run() -> Failure:
        upstream = Upstream(f"http://{name}", CLOUDFRONT.waits, 1)
        try:
            await upstream.exchange(RequestHead("GET", "http", "h", "/a", None, Headers()))
        except UpstreamFailed as failed:
            return failed.why
        finally:
            await upstream.close()
        raise AssertionError("answered")

    assert asyncio.run(run()) is Failure.NAME


def test_a_parent_that_is_back_at_the_third_attempt_is_reached() -> None:
    async def run() -> None:
        async with running_origin() as origin:
            over = asyncio.Event()

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                if origin.count["/a"] < 3:
                    await over.wait()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")

            origin.does("/a", script)
            upstream = Upstream(origin.url, CLOUDFRONT.waits, 1)
            exchange = await upstream.exchange(RequestHead("GET", "http", "h", "/a", None, Headers()))
            assert b"".join([chunk async for chunk in exchange.chunks()]) == b"hello"
            exchange.close()
            assert upstream.open_connections == 1  # those that were given up are gone
            over.set()
            await upstream.close()

    hurry(run())


STALE = [  # profile, Cache-Control, seconds after, how the parent fails, what the viewer gets
    # Fastly, "Staleness and revalidation": an unhealthy backend, inside stale-if-error or stale-while-revalidate: stale
    (FASTLY, "max-age=10, stale-if-error=60", 69, Failure.SICK, 200),
    (FASTLY, "max-age=10, stale-if-error=60", 71, Failure.SICK, 503),
    (FASTLY, "max-age=10, stale-while-revalidate=60", 69, Failure.SICK, 200),
    (FASTLY, "max-age=10", 11, Failure.SICK, 503),
    (FASTLY, "max-age=10, must-revalidate, stale-if-error=60", 11, Failure.SICK, 503),
    # ... but a fetch that fails is no unhealthy backend
    (FASTLY, "max-age=10, stale-if-error=60", 11, Failure.RESET, 503),
    # the standard knows no sick origin: one that is not asked is one that does not answer (RFC 9111 §4.2.4)
    (RFC9111, "max-age=10", 10_000, Failure.SICK, 200),
    (RFC9111, "max-age=10, must-revalidate", 11, Failure.SICK, 503),
    (RFC9111, "max-age=10, stale-if-error=60", 71, Failure.SICK, 503),
]


@pytest.mark.parametrize(("profile", "said", "after", "why", "status"), STALE)
def test_stale_in_place_of_a_sick_origin(profile: Profile, said: str, after: float, why: Failure, status: int) -> None:
    edge = node(profile)
    filled(edge, says(200, cache_control=said))
    plan = edge.on_request(ask(), NOW + after)
    if isinstance(plan, Fetch):
        answer = edge.on_failure(plan, why, NOW + after).answers[plan.ticket]
        assert isinstance(answer, Serve | Refuse)
        assert answer.status == status
    else:
        assert isinstance(plan, Serve) and plan.status == status  # stale at once, refreshed behind


def test_a_soft_purge_moves_the_window_with_the_others() -> None:
    edge = node(FASTLY)
    filled(edge, says(200, cache_control="max-age=1000, stale-if-error=60"))
    edge.on_purge(PurgeOrder(PurgeKind.EVERYTHING, soft=True), NOW + 10)
    for after, kind in ((69, Serve), (71, Refuse)):
        plan = edge.on_request(ask(), NOW + after)
        assert isinstance(plan, Fetch)
        assert isinstance(edge.on_failure(plan, Failure.SICK, NOW + after).answers[plan.ticket], kind)
