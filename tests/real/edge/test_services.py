"""Several services on one node, over real sockets: chosen by host, with caches, purges, records of their own."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.service import Behavior, Service
from cdnkit.replay import read_trace, replay_node
from cdnkit.replay.trace import Requested
from cdnkit.serving.authority import Authority
from cdnkit.vendors import CLOUDFRONT, FASTLY
from edge.purges.log import PurgeLog, open_log
from edge.purges.progress import put
from edge.serve import records_of
from edge.services import Hosted
from tests.kit.http import Reply, ask, read_reply
from tests.kit.http2 import Client
from tests.kit.late import GUARD_S
from tests.kit.local_ca import over_tls
from tests.kit.node import Running, running_node
from tests.kit.origin import Origin, running_origin

IMAGES = ("img.test", "*.img.test")


FRESH = {"cache_control": "max-age=60", "surrogate_key": "k"}


@asynccontextmanager
async def two(
    *behaviors: Behavior,
    profile: Profile = RFC9111,
    hostnames: tuple[str, ...] = (),
    origin_of_images: str | None = None,
    fields: dict[str, str] | None = None,
    **settings: Any,
) -> AsyncIterator[tuple[Running, Origin, Origin]]:
    """A node with a service of any host, and one of images; each has an origin of its own with another body at /a."""
    async with running_origin() as pages, running_origin() as images:
        pages.says("/a", b"page", **FRESH)
        images.says("/a", b"image", **FRESH)
        service = Service(behaviors=behaviors or (Behavior(path="*"),), parent_headers=fields or {})
        hosted = Hosted("images", IMAGES, service, RFC9111, (origin_of_images or images.url,))
        async with running_node(pages.url, profile=profile, hosted=[hosted], hostnames=hostnames, **settings) as node:
            yield node, pages, images


async def at(node: Running, host: str, path: str = "/a", **more: Any) -> Reply:
    return await ask(node.url, path, host=host, **more)


def test_the_host_says_whose_body_comes_and_each_is_fetched_once(tmp_path: Path) -> None:
    records = tmp_path / "fra.jsonl"

    async def run() -> None:
        async with two(records=records) as (node, pages, images):
            bodies = [(await at(node, host)).body for host in ("www.test", "img.test", "x.img.test:80", "IMG.test")]
            assert bodies == [b"page", b"image", b"image", b"image"]
            assert (await node.get("/a")).body == b"page"
            assert (pages.count["/a"], images.count["/a"]) == (1, 1)
            health = await node.health()
            assert health["stored_responses"] == health["services"]["images"]["stored_responses"] == 1
            # Two services have half of the room each.
            assert health["room_bytes"] == health["services"]["images"]["room_bytes"] == 256 * 2**20

    asyncio.run(run())
    for service, count in (("default", 2), ("images", 3)):
        trace = read_trace(records_of(records, service))
        replayed = replay_node(trace, Service(name="fra", room=256 * 2**20), RFC9111)
        assert (replayed.requests, replayed.differences) == (count, [])


PURGES = [  # order, bodies that are fetched anew: (page, image)
    ({"url": "http://img.test/a"}, (0, 1)),
    ({"url": "https://IMG.test:8441/a"}, (0, 1)),  # scheme and port are no part of a name
    ({"url": "http://127.0.0.1:8081/a"}, (1, 1)),  # nobody's by name: more is taken than was meant, never less
    ({"url": "/a"}, (1, 1)),
    ({"url": "/a", "service": "default"}, (1, 0)),
    ({"prefix": "http://a.img.test/"}, (0, 1)),
    ({"prefix": "/"}, (1, 1)),
    ({"surrogate_key": "k"}, (1, 1)),
    ({"surrogate_key": "k", "service": "images"}, (0, 1)),
    ({"everything": True}, (1, 1)),
]


@pytest.mark.parametrize(("order", "again"), PURGES, ids=[json.dumps(order) for order, _ in PURGES])
def test_a_purge_reaches_the_service_that_it_names(order: dict[str, Any], again: tuple[int, int]) -> None:
    async def run() -> None:
        async with two() as (node, pages, images):
            for _ in range(2):
                await asyncio.gather(at(node, "www.test"), at(node, "img.test"))
                if (pages.count["/a"], images.count["/a"]) == (1, 1):
                    assert (await node.purge(**order))["purged"] == sum(again)
            assert (pages.count["/a"] - 1, images.count["/a"] - 1) == again

    asyncio.run(run())


def test_a_purge_for_a_host_that_is_nobodys_takes_nothing_and_says_so() -> None:
    """Where every service has names. An address is the node's own: whoever typed it may have meant any."""

    async def run() -> None:
        async with two(hostnames=("www.test",)) as (node, pages, images):
            for host in ("www.test", "img.test"):
                await at(node, host)
            for named in ("url", "prefix"):
                told = await node.purge(**{named: "http://other.test/a"})
                wanted = f"purge: {named}: found 'http://other.test/a', and no service here has that host"
                assert told == {"status": 400, "error": wanted}
            assert (await node.health())["stored_responses"] == 1
            for typed in ("http://127.0.0.1:8081/a", "http://localhost/a", "http://[::1]/a"):
                assert (await node.purge(url=typed))["purged"] == 2
                await asyncio.gather(at(node, "www.test"), at(node, "img.test"))
            assert (pages.count["/a"], images.count["/a"]) == (4, 4)

    asyncio.run(run())


def test_an_order_for_a_service_that_is_not_there_is_refused() -> None:
    async def run() -> dict[str, Any]:
        async with two() as (node, _, _):
            return await node.purge(url="/a", service="video")

    told = asyncio.run(run())
    assert told == {"status": 400, "error": "purge: service: found 'video', wanted one of default, images"}


def test_a_purge_request_purges_one_service_on_every_node(tmp_path: Path) -> None:
    log = str(tmp_path / "purges")

    async def run() -> None:
        async with (
            two(profile=FASTLY, purge_log=log) as (node, pages, images),
            two(profile=FASTLY, purge_log=log, name="nyc") as (other, others_pages, others_images),
        ):
            for one in (node, other):
                await asyncio.gather(at(one, "www.test"), at(one, "img.test"))
            assert (await at(node, "www.test", method="PURGE")).status == 200
            async with asyncio.timeout(GUARD_S):
                while others_pages.count["/a"] < 2:
                    await at(other, "www.test")
            await asyncio.gather(*(at(one, "img.test") for one in (node, other)))
            await at(node, "www.test")
            assert (pages.count["/a"], images.count["/a"], others_images.count["/a"]) == (2, 1, 1)

    asyncio.run(run())


def test_what_was_ordered_meanwhile_is_carried_out_of_every_service_before_it_serves(tmp_path: Path) -> None:
    log = str(tmp_path / "purges")
    disk = {"path": str(tmp_path / "cache"), "size": "1GiB"}

    async def run() -> None:
        async with running_origin() as pages, running_origin() as images:
            pages.says("/a", b"page", **FRESH)
            images.says("/a", b"image", **FRESH)
            hosted = Hosted("images", IMAGES, Service(), RFC9111, (images.url,))
            for turn in range(3):
                async with running_node(pages.url, hosted=[hosted], disk=disk, purge_log=log) as node:
                    await asyncio.gather(at(node, "www.test"), at(node, "img.test"))
                    assert (pages.count["/a"], images.count["/a"]) == (1, 1 + turn)
                async with closing(open_log(log)) as away:
                    await put(away, [{"surrogate_key": "k", "soft": False, "service": "images"}])

    asyncio.run(run())


@asynccontextmanager
async def closing(log: PurgeLog) -> AsyncIterator[PurgeLog]:
    yield log
    await log.close()


UNKNOWN = [  # profile, status, what its page says
    (RFC9111, 421, b"421 host: no service here has 'other.test'"),
    (CLOUDFRONT, 403, b"The request could not be satisfied"),
    (FASTLY, 500, b"unknown domain: other.test"),
]


@pytest.mark.parametrize(("profile", "status", "says"), UNKNOWN, ids=lambda value: getattr(value, "name", None))
def test_a_host_that_nobody_has_also_where_the_path_is_stored(
    profile: Profile, status: int, says: bytes, tmp_path: Path
) -> None:
    records = tmp_path / "fra.jsonl"

    async def run() -> None:
        async with two(profile=profile, hostnames=("www.test",), records=records) as (node, pages, _):
            assert (await at(node, "www.test")).body == b"page"
            refused = await at(node, "other.test")
            assert (refused.status, says in refused.body) == (status, True)
            assert (await node.get("/a")).status == status  # by its address, which is not among the names
            assert pages.count["/a"] == 1
            told = json.loads((await ask(node.admin, "/explain?url=http://other.test/a")).body)
            assert told["gate"]["reason"] == "host: no service here has 'other.test'"
            told = json.loads((await ask(node.admin, "/explain?url=http://img.test/a")).body)
            assert (told["service"], told["gate"]["refused"]) == ("images", None)
            # A path alone is asked of the first service.
            told = json.loads((await ask(node.admin, "/explain?url=/a")).body)
            assert (told["service"], told["gate"]["refused"], len(told["stored"])) == (
                "default",
                None,
                profile != FASTLY,
            )

    asyncio.run(run())
    service = Service(name="fra", profile=profile.name, room=256 * 2**20)  # type: ignore[arg-type]
    assert replay_node(read_trace(records), service, profile).differences == []


def test_over_tls_a_connection_is_for_the_hosts_of_its_certificate(authority: Authority, tmp_path: Path) -> None:
    records = tmp_path / "fra.jsonl"

    async def over_http1(port: int, host: str) -> Reply:
        reader, writer = await over_tls(port, authority, "http/1.1")  # with SNI cdn.localhost
        writer.write(f"GET /a HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
        reply = await read_reply(reader)
        writer.close()
        return reply

    async def run() -> None:
        async with two(records=records, listen_tls="127.0.0.1:0") as (node, _, images):
            port = int(node.ready["https"].rpartition(":")[2])
            assert (await over_http1(port, "cdn.localhost")).body == b"page"
            assert (await over_http1(port, f"localhost:{port}")).body == b"page"  # of the same certificate
            assert (await over_http1(port, "img.test")).status == 421
            reader, writer = await over_tls(port, authority, "h2")
            client = Client(reader, writer)
            client.h2.initiate_connection()
            streams = [await client.ask("/a", authority=host) for host in ("cdn.localhost", "img.test")]
            await client.until(*streams)
            assert [one.status for one in streams] == [200, 421]
            writer.close()
            assert images.count["/a"] == 0

    asyncio.run(run())
    trace = read_trace(records_of(records, "images"))
    refused = [line for line in trace.events if isinstance(line, Requested)]
    assert [(line.status, line.reason) for line in refused] == [(421, "host: this connection is for cdn.localhost")] * 2
    assert replay_node(trace, Service(name="fra", room=256 * 2**20), RFC9111).differences == []


def test_a_shield_is_told_the_service_by_its_edge_and_by_no_viewer() -> None:
    async def run() -> None:
        as_shield = Service(gate=False)
        async with running_origin() as pages, running_origin() as images:
            pages.says("/a", b"page", **FRESH)
            images.says("/a", b"image", **FRESH)
            shielded = Hosted("images", IMAGES, as_shield, RFC9111, (images.url,))
            async with running_node(
                pages.url, name="shield", service={"gate": False}, hosted=[shielded], hostnames=("www.test",)
            ) as shield:
                fields = {"CDNLab-Service": "images"}
                async with two(origin_of_images=shield.url, fields=fields) as (edge, _, _):
                    assert (await at(edge, "img.test")).body == b"image"
                    assert (await at(edge, "www.test", **{"cdnlab-service": "images"})).body == b"page"
                    assert "cdnlab-service" not in images.asked[-1].headers  # it ends at the shield
                assert images.count["/a"] == 1

    asyncio.run(run())


def test_each_has_its_part_of_the_disk_and_finds_it_again(tmp_path: Path) -> None:
    async def run() -> None:
        disk = {"path": str(tmp_path / "cache"), "size": "1GiB"}
        async with running_origin() as pages, running_origin() as images:
            pages.says("/a", b"page", **FRESH)
            images.says("/a", b"image", **FRESH)
            hosted = Hosted("images", IMAGES, Service(), RFC9111, (images.url,))
            for _ in range(2):
                async with running_node(pages.url, hosted=[hosted], disk=disk) as node:
                    assert [(await at(node, host)).body for host in ("www.test", "img.test")] == [b"page", b"image"]
            assert (pages.count["/a"], images.count["/a"]) == (1, 1)

    asyncio.run(run())
