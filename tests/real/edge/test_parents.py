"""Several parents over real sockets: who is asked, what becomes of an answer that is not kept, what a record says."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from cdnkit.policy.outcomes import Failure
from cdnkit.policy.rules.profile import RFC9111
from cdnkit.policy.rules.service import Behavior, Service
from cdnkit.policy.upstream.health import Ejection, Health
from cdnkit.replay import read_trace, replay_node
from cdnkit.vendors import FASTLY
from edge.errors import UpstreamFailed
from edge.parents import Parent, Parents
from edge.upstream import Upstream
from tests.kit.http import ask as ask_node
from tests.kit.hurry import hurry
from tests.kit.late import GUARD_S
from tests.kit.node import Running, running_node
from tests.kit.origin import Asked, running_origin
from tests.kit.upstream import OK, QUICK, SILENT, ask, asking, pieces, sends, until

STATUSES = frozenset({404, 500, 503})


def group(*upstreams: Upstream) -> Parents:
    return Parents([Parent(upstream) for upstream in upstreams], STATUSES)


@pytest.fixture
def nobody() -> Iterator[str]:
    """A URL at which every connection is refused."""
    with closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


ROWS = [  # what the primary does, method, what the asker sees, was the secondary asked?
    (b"HTTP/1.1 503 No\r\ncontent-length: 2\r\n\r\nno", "GET", (200, b"second"), True),
    (b"HTTP/1.1 404 No\r\ncontent-length: 2\r\n\r\nno", "GET", (200, b"second"), True),
    (b"HTTP/1.1 404 No\r\ncontent-length: 2\r\n\r\n", "HEAD", (200, b""), True),
    (b"HTTP/1.1 502 No\r\ncontent-length: 2\r\n\r\nno", "GET", (502, b"no"), False),  # not named
    (b"HTTP/1.1 503 No\r\ncontent-length: 2\r\n\r\nno", "POST", (503, b"no"), False),
    (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst", "GET", (200, b"first"), False),
    (b"no HTTP at all\r\n\r\n", "GET", (200, b"second"), True),
    (b"", "GET", (200, b"second"), True),  # silence
    (b"", "DELETE", Failure.FIRST_BYTE_TIMEOUT, False),
    (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfi", "GET", Failure.BETWEEN_BYTES_TIMEOUT, False),  # too late
]


@pytest.mark.parametrize(("answer", "method", "expected", "second"), ROWS)
def test_who_answers(answer: bytes, method: str, expected: tuple[int, bytes] | Failure, second: bool) -> None:
    async def run() -> None:
        async with running_origin() as primary, running_origin() as secondary:
            sends(primary, answer)
            secondary.says("/a", b"second")
            waits = replace(QUICK, between_bytes=0.05) if answer else SILENT
            parents = group(Upstream(primary.url, waits, 1), Upstream(secondary.url, QUICK, 1))
            for _ in range(2):  # the primary is tried first for each request anew
                seen = await ask(parents, asking(method=method))
                assert (seen.failure or (seen.status, seen.body)) == expected
            assert primary.count["/a"] == 2
            assert secondary.count["/a"] == (2 if second else 0)
            await parents.close()

    asyncio.run(run())


def test_the_last_ones_word_is_what_is_told(nobody: str) -> None:
    async def run() -> None:
        async with running_origin() as primary:
            primary.says("/a", b"no", 503)
            there, gone = Upstream(primary.url, QUICK, 1), Upstream(nobody, QUICK, 1)
            assert (await ask(group(there, gone), asking())).failure is Failure.CONNECT
            seen = await ask(group(gone, there), asking())
            assert (seen.status, seen.body) == (503, b"no")
            with pytest.raises(UpstreamFailed):
                await group(gone, there).exchange(asking(method="OPTIONS"), pieces(b"x"))
            await there.close()

    asyncio.run(run())


@pytest.mark.parametrize(("rest", "kept"), [(b"whole", 1), (b"", 0)])
def test_an_answer_thrown_away_leaves_its_connection_kept_or_closed(rest: bytes, kept: int) -> None:
    async def run() -> None:
        async with running_origin() as primary, running_origin() as secondary:
            sends(primary, b"HTTP/1.1 503 No\r\ncontent-length: 5\r\n\r\n" + rest)
            secondary.says("/a", b"second")
            first = Upstream(primary.url, QUICK, 1, keep_alive=60)
            parents = group(first, Upstream(secondary.url, QUICK, 1))
            for _ in range(3):  # one place: it is free again each time
                assert (await ask(parents, asking())).body == b"second"
                await asyncio.sleep(0)
                assert first.open_connections == kept
            await parents.close()

    asyncio.run(run())


def test_a_node_with_a_second_origin_is_replayed_and_its_records_say_who_answered(tmp_path: Path) -> None:
    records = tmp_path / "fra.jsonl"

    async def run() -> tuple[str, str]:
        async with running_origin() as primary, running_origin() as secondary:
            primary.says("/a", b"first", cache_control="max-age=60")
            primary.says("/b", b"no", 500)
            secondary.says("/b", b"second", cache_control="max-age=60")
            async with running_node(
                primary.url, records=records, others=[secondary.url], failover={"to": [secondary.url]}
            ) as node:
                assert [(await node.get(path)).body for path in ("/a", "/b", "/b")] == [b"first", b"second", b"second"]
                assert (await ask_node(node.url, "/b", method="POST", body=b"x")).status == 500
            return primary.url, secondary.url

    first, second = asyncio.run(run())
    lines = [json.loads(line) for line in records.read_text().splitlines()]
    assert [line["parent"] for line in lines if line["kind"] == "fetch"] == [first, second, first]
    service = Service(name="fra", behaviors=(Behavior(path="*"),))
    assert replay_node(read_trace(records), service, RFC9111).differences == []


def test_a_sick_parent_is_left_alone_and_one_probe_returns_it() -> None:
    async def run() -> None:
        async with running_origin() as primary, running_origin() as secondary:
            primary.says("/a", b"no", 503)
            secondary.says("/a", b"second")
            made = [
                Parent(Upstream(url, QUICK, 4), Health(Ejection(failures=2, within=60, rest=30)))
                for url in (primary.url, secondary.url)
            ]
            parents = Parents(made, frozenset({503}))
            for _ in range(5):
                assert (await ask(parents, asking())).body == b"second"
            assert (primary.count["/a"], parents.sick()) == (2, [primary.url])
            await asyncio.sleep(30)
            assert (await ask(parents, asking())).body == b"second"  # the probe fails over like any request
            assert (primary.count["/a"], parents.sick()) == (3, [primary.url])
            await asyncio.sleep(30)
            go = asyncio.Event()

            async def slowly(asked: Asked, writer: asyncio.StreamWriter) -> None:
                await go.wait()
                writer.write(OK + b"content-length: 5\r\n\r\nfirst")

            primary.does("/a", slowly)
            probe = asyncio.create_task(ask(parents, asking()))
            await until(lambda: primary.count["/a"] == 4)
            assert (await ask(parents, asking())).body == b"second"  # while the probe is out
            go.set()
            assert (await probe).body == b"first"
            assert (await ask(parents, asking())).body == b"first"
            assert parents.sick() == []
            await parents.close()

    hurry(run())


def test_a_probe_whose_asker_leaves_is_made_by_the_next() -> None:
    async def run() -> None:
        async with running_origin() as origin:
            over = asyncio.Event()
            origin.says("/a", b"no", 503)
            one = Parent(Upstream(origin.url, QUICK, 4), Health(Ejection(failures=1, within=60, rest=30)))
            parents = Parents([one])
            assert (await ask(parents, asking())).status == 503
            seen = await ask(parents, asking())
            assert (seen.failure, seen.detail) == (Failure.SICK, f"left alone: {origin.url}")
            await asyncio.sleep(30)

            async def never(asked: Asked, writer: asyncio.StreamWriter) -> None:
                await over.wait()

            origin.does("/a", never)
            probe = asyncio.create_task(ask(parents, asking()))
            await until(lambda: origin.count["/a"] == 2)
            probe.cancel()
            await asyncio.gather(probe, return_exceptions=True)
            origin.says("/a", b"well")
            assert (await ask(parents, asking())).body == b"well"
            over.set()
            await parents.close()

    hurry(run())


async def told_sick(node: Running, urls: list[str]) -> None:
    async with asyncio.timeout(GUARD_S):
        while (await node.health())["sick_parents"] != urls:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def test_health_checks_of_a_node_and_stale_at_once_while_its_origin_is_sick() -> None:
    """Fastly, "Staleness and revalidation": an unhealthy backend, still inside stale-if-error: stale, at once."""

    async def run() -> None:
        async with running_origin() as origin:
            origin.says("/a", b"kept", cache_control="max-age=0, stale-if-error=3600")
            origin.says("/up", b"")
            health = {"check": {"path": "/up", "interval": "100ms", "timeout": "10s"}}
            secret = {"X-Origin-Verify": "s3cret"}  # without which an origin may refuse a check, too
            async with running_node(origin.url, profile=FASTLY, health=health, parent_headers=secret) as node:
                assert (await node.get("/a")).body == b"kept"
                assert origin.asked[0].headers.first("user-agent") == "cdnlab health check"
                assert [asked.headers.all("x-origin-verify") for asked in origin.asked[:2]] == [["s3cret"]] * 2
                assert (await node.health())["sick_parents"] == []
                origin.says("/up", b"", 500)
                await told_sick(node, [origin.url])
                stale = await node.get("/a")
                assert (stale.status, stale.body) == (200, b"kept")
                fresh = await node.get("/b")
                assert fresh.status == 503 and b"Backend is unhealthy" in fresh.body
                assert (origin.count["/a"], origin.count["/b"]) == (1, 0)
                origin.says("/up", b"")
                await told_sick(node, [])
                assert (await node.get("/b")).status == 404

    asyncio.run(run())
