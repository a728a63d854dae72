"""A node of several processes answers as one, whichever of them a connection comes to, and whichever of them dies."""

import asyncio
import json
import os
import random
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cdnkit.policy.rules.profile import RFC9111
from cdnkit.policy.rules.service import Behavior, Geo, Service
from cdnkit.replay import read_trace, replay_node
from cdnkit.serving import PortInUse
from cdnkit.serving.authority import Authority
from cdnkit.settings.edge import Node
from edge.record_files import lives_of
from edge.services import Hosted
from edge.workers import crew
from edge.workers.worker import STATE_S, TOLD_S
from tests.kit.http import ask
from tests.kit.http2 import Client, http2
from tests.kit.late import GUARD_S
from tests.kit.local_ca import over_tls
from tests.kit.node import running_node
from tests.kit.node_process import NodeProcess
from tests.kit.origin import running_origin
from tests.kit.workers import alive, connections, kill, pids_end, runs, still_clock, until, workers_find_tests
from tests.real.edge.test_front import PATHS, answers, fill, of_the_law

COUNT = 20
MATCH = ['If-None-Match: "1"', "X: y"]


def test_each_process_answers_hits_itself_after_one_that_was_passed_on() -> None:
    async def run() -> None:
        async with running_origin() as origin:
            fill(origin)
            origin.says("/keyed", b"k" * 100_000, cache_control="max-age=60", surrogate_key="k")
            async with running_node(origin.url, workers=3) as node, connections(node, 2 * COUNT) as clients:
                await clients[0].get("/big")
                for _ in range(4):
                    for client in clients:
                        assert (await client.get("/a"))[2] == b"hello"
                        status, fields, body = await client.get("/keyed", "Range: bytes=99990-")
                        assert (status, body) == (206, b"k" * 10)
                        assert (await client.get("/a", 'If-None-Match: "1"'))[0] == 304
                        status, fields, body = await client.get("/big", method="HEAD")
                        assert (status, fields["content-length"], body) == (200, "300000", b"")
                assert Counter(one.target for one in origin.asked) == {"/a": 1, "/keyed": 1, "/big": 1}
                await asyncio.sleep(STATE_S + 0.1)
                for worker in await alive(node):
                    assert worker["hits"] > 30
                    assert worker["copies"] == 3
                    assert worker["restarts"] == 0

    asyncio.run(run())


PURGES: list[dict[str, Any]] = [
    {"url": "/a"}, {"url": "/a", "soft": True}, {"surrogate_key": "all"}, {"prefix": "/"}, {"everything": True},
]  # fmt: skip


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long), pytest.param(3, marks=pytest.mark.long)])
@pytest.mark.parametrize("workers", [2, 3])
def test_once_a_purge_is_acknowledged_no_process_answers_with_what_it_purged(seed: int, workers: int) -> None:
    """Not 50 ms later: never."""
    chance = random.Random(seed)

    async def run() -> None:
        version = 0

        async def versioned(_: Any, writer: asyncio.StreamWriter) -> None:
            body = b"%d" % version
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\ncache-control: max-age=600\r\nsurrogate-key: all\r\n\r\n%b"
                % (len(body), body)
            )

        async with running_origin() as origin:
            origin.does("/a", versioned)
            async with running_node(origin.url, workers=workers) as node, connections(node, COUNT) as clients:
                for _ in range(40):
                    for client in chance.choices(clients, k=chance.randrange(1, 3 * COUNT)):
                        assert (await client.get("/a"))[2] == b"%d" % version
                    version += 1
                    assert (await node.purge(**chance.choice(PURGES)))["status"] == 200
                await asyncio.sleep(STATE_S + 0.1)
                assert all(worker["hits"] > 50 for worker in await alive(node)), "and it is worth its while"

    asyncio.run(run())


@pytest.mark.parametrize("seeds", [range(40), pytest.param(range(60, 600), marks=pytest.mark.long)])
def test_two_processes_and_one_give_the_same_answers(
    seeds: range, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers, records, and what the origin is asked."""
    workers_find_tests(monkeypatch)
    rules = (Behavior(path="/no*", geo=Geo(deny=("KP",), unknown="allow")), Behavior(path="*"))
    options: dict[str, Any] = {"clock": still_clock, "limits": {"idle": "2s"}}

    async def run() -> None:
        async with running_origin() as origin, running_origin() as other:
            fill(origin)
            fill(other)
            async with (
                running_node(origin.url, *rules, records=tmp_path / "two.jsonl", workers=2, **options) as two,
                running_node(other.url, *rules, records=tmp_path / "one.jsonl", **options) as one,
            ):
                for seed in seeds:
                    assert await answers(two, seed) == await answers(one, seed), seed
                chance = random.Random(seeds.start)
                async with connections(two, COUNT) as twos, connections(one, COUNT) as ones:
                    for n in chance.choices(range(COUNT), k=20 * COUNT):
                        target, fields = (
                            chance.choice([path for path in PATHS if path != "/chunked"]),
                            chance.choice([[], ["Range: bytes=0-1"], MATCH]),
                        )
                        wanted = await ones[n].get(target, *fields)
                        assert await twos[n].get(target, *fields) == wanted, (target, fields)
                await asyncio.sleep(STATE_S + 0.1)
                assert (await alive(two))[0]["hits"] > 3 * COUNT
            assert [(one.method, one.target) for one in origin.asked] == [
                (one.method, one.target) for one in other.asked
            ]

    asyncio.run(run())
    assert recorded_in(*tmp_path.glob("two*")) == recorded_in(*tmp_path.glob("one*"))


def recorded_in(*files: Path) -> Counter[str]:
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    told = [of_the_law(line) for line in lines]
    for line in told:  # a worker learns late which fields Vary has named
        line["headers"] = [field for field in line.get("headers", ()) if field[0] != "a-language"]
    return Counter(map(repr, told))


def test_the_records_of_all_processes_are_one_trace(tmp_path: Path) -> None:
    """The replay agrees with every one of them, and each upstream request is the one that it was."""

    async def run() -> None:
        async with running_origin() as origin:
            fill(origin)
            origin.says("/short", b"s", cache_control="max-age=1", etag='"s"')
            async with running_node(origin.url, records=tmp_path / "fra.jsonl", workers=2) as node:
                chance = random.Random(5)
                async with connections(node, COUNT) as clients:
                    for round_ in range(30):
                        for client in clients:
                            target = chance.choice(["/a", "/big", "/short", "/vary", "/no-store", f"/none?{round_}"])
                            await client.get(target, *chance.choice([[], ['If-None-Match: "1"'], ["Range: bytes=0-1"]]))
                        if not round_ % 7:
                            await node.purge(url="/a")
                        await asyncio.sleep(0.05)
                await node.stop()

    asyncio.run(run())
    (life,) = lives_of(tmp_path.glob("*.jsonl"))
    assert [path.name for path in life.all_files] == ["fra.jsonl", "fra.worker-2.jsonl"]
    assert life.workers[0][0].read_bytes().count(b"\n") > 50
    trace = read_trace(*life.files, workers=life.workers)
    assert len(trace.elsewhere) > 10
    replayed = replay_node(trace, Service(name="fra", behaviors=(Behavior(path="*"),)), RFC9111)
    assert replayed.requests == 30 * COUNT
    assert [str(one) for one in replayed.differences] == []


def test_a_worker_that_is_killed_comes_back_and_refuses_nobody_meanwhile() -> None:
    async def run() -> None:
        async with running_origin() as origin:
            fill(origin)
            async with running_node(origin.url, workers=2) as node:
                for _ in range(2):
                    (before,) = await alive(node)
                    kill(before["pid"], signal.SIGKILL)
                    async with connections(node, COUNT) as clients:
                        for client in clients:
                            assert (await client.get("/a"))[2] == b"hello"
                    (after,) = await alive(node)
                    assert after["pid"] != before["pid"]
                    assert after["restarts"] == before["restarts"] + 1
                    assert (await node.health())["troubles"] == {}

    asyncio.run(run())


def test_a_worker_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "HUNG_S", 3.0)
    monkeypatch.setattr(crew, "LOOK_S", 0.1)

    async def run() -> None:
        async with running_origin() as origin:
            fill(origin)
            async with running_node(origin.url, workers=2) as node:
                (before,) = await alive(node)
                kill(before["pid"], signal.SIGSTOP)
                async with connections(node, COUNT) as clients:
                    for client in clients:
                        assert (await client.get("/a"))[2] == b"hello"
                (after,) = await alive(node)
                assert after["pid"] != before["pid"]
                assert not runs(before["pid"])

    asyncio.run(run())


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_workers_end_with_their_lead(how: str) -> None:
    async def run() -> None:
        async with running_origin() as origin:
            fill(origin)
            node = await NodeProcess.start(origin.url, workers=3)
            pids = [worker["pid"] for worker in (await node.health())["workers"]]
            assert len(pids) == 2
            assert all(map(runs, pids))
            await getattr(node, how)()
            await until(pids_end(pids))

    asyncio.run(run())


def test_a_worker_drains_at_sigterm_and_another_takes_its_place() -> None:
    async def run() -> None:
        async with running_origin() as origin:
            fill(origin)
            async with running_node(origin.url, workers=2) as node:
                (before,) = await alive(node)
                kill(before["pid"], signal.SIGTERM)
                await until(pids_end([before["pid"]]))
                (after,) = await alive(node)
                assert after["restarts"] == 1

    asyncio.run(run())


def test_a_port_that_is_taken_is_found_though_workers_share_theirs() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, workers=2) as node:
            for workers in (1, 2):
                with pytest.raises(PortInUse, match="node fra: listen"):
                    async with running_node(origin.url, workers=workers, listen=node.url.removeprefix("http://")):
                        pass

    asyncio.run(run())


def test_a_body_that_comes_is_read_by_clients_of_all_processes_while_it_comes() -> None:
    """One fill; and a client that leaves at a worker is no reason to end it for the others."""

    async def run() -> None:
        may_end = asyncio.Event()

        async def slow(_: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-length: 200000\r\ncache-control: max-age=60\r\n\r\n" + b"x" * 100_000
            )
            await writer.drain()
            await may_end.wait()
            writer.write(b"y" * 100_000)

        async with running_origin() as origin:
            origin.does("/slow", slow)
            async with running_node(origin.url, workers=2) as node, connections(node, COUNT) as clients:
                asked = [asyncio.create_task(client.get("/slow")) for client in clients]
                await until(lambda: len(origin.asked) > 0)
                await asyncio.sleep(0.2)
                clients[0].writer.close()
                may_end.set()
                async with asyncio.timeout(GUARD_S):
                    got = await asyncio.gather(*asked, return_exceptions=True)
                whole = (b"x" * 100_000) + b"y" * 100_000
                assert [one[2] == whole for one in got[1:] if not isinstance(one, BaseException)] == [True] * (
                    COUNT - 1
                )
                assert len(origin.asked) == 1

    asyncio.run(run())


def test_workers_serve_each_host_its_own_over_tls_and_http2_too(authority: Authority, tmp_path: Path) -> None:
    async def run() -> list[dict[str, Any]]:
        async with running_origin() as pages, running_origin() as images:
            for origin, body in ((pages, b"page"), (images, b"image" * 30_000)):
                origin.says("/a", body, cache_control="max-age=60")
            hosted = Hosted("images", ("img.test",), Service(behaviors=(Behavior(path="*"),)), RFC9111, (images.url,))
            node_runs = running_node(
                pages.url, hosted=[hosted], workers=2, listen_tls="127.0.0.1:0", records=tmp_path / "fra.jsonl"
            )
            async with node_runs as node:
                port = int(str(node.ready["https"]).rpartition(":")[2])
                for _ in range(COUNT):
                    reader, writer = await over_tls(port, authority, "h2", "http/1.1")
                    async with http2(node.url) as clear:
                        two = Client(reader, writer)
                        two.h2.initiate_connection()
                        for client, host in (
                            (clear, "img.test"),
                            (clear, "a.test"),
                            (two, "cdn.localhost"),
                            (clear, "img.test"),
                        ):
                            stream = await client.ask("/a", authority=host)
                            await client.until(stream)
                            wanted = b"image" * 30_000 if host == "img.test" else b"page"
                            assert (stream.status, bytes(stream.body), stream.whole) == (200, wanted, True)
                    writer.close()
                assert (pages.count["/a"], images.count["/a"]) == (1, 1)
                await asyncio.sleep(STATE_S + 0.1)
                return await alive(node)

    (worker,) = asyncio.run(run())
    assert worker["hits"] > COUNT
    assert worker["copies"] == 2
    for name in ("fra", "fra+images"):
        (life,) = lives_of(tmp_path.glob(f"{name}.*"))
        replayed = replay_node(read_trace(*life.files, workers=life.workers), Service(name="fra"), RFC9111)
        assert replayed.requests == 2 * COUNT
        assert [str(one) for one in replayed.differences] == []


def test_workers_map_the_files_of_a_disk_store(tmp_path: Path) -> None:
    async def run() -> None:
        async with running_origin() as origin:
            fill(origin)
            disk = {"path": str(tmp_path / "cache"), "size": "1GiB"}
            for life in range(2):
                async with running_node(origin.url, workers=2, disk=disk) as node, connections(node, COUNT) as clients:
                    await clients[0].get("/big")
                    await asyncio.sleep(0.3)  # it is written
                    for client in 2 * clients:
                        assert (await client.get("/big"))[2] == b"x" * 300_000
                    await asyncio.sleep(STATE_S + 0.1)
                    (worker,) = await alive(node)
                    assert worker["hits"] >= 2
                    if life:
                        await node.purge(url="/big")
                        assert (await clients[3].get("/big"))[2] == b"x" * 300_000
                assert origin.count["/big"] == 1 + life

    asyncio.run(run())


def test_what_workers_answer_with_is_the_last_to_be_evicted() -> None:
    """The lead learns of their hits: what nobody asks it for is used all the same."""

    async def run() -> None:
        async with running_origin() as origin:
            origin.says("/hot", b"h", cache_control="max-age=60")
            for number in range(40):
                origin.says(f"/{number}", b"x" * 90_000, cache_control="max-age=60")
            room = {"memory": "1MiB", "largest": "512KiB"}
            async with running_node(origin.url, workers=2, **room) as node, connections(node, COUNT) as clients:
                for number in range(40):
                    for client in clients:
                        await client.get("/hot")
                    await asyncio.sleep(2 * TOLD_S)
                    await clients[0].get(f"/{number}")
                assert origin.count["/hot"] == 1

    asyncio.run(run())


WRONG = [
    ({"workers": 2, "front": False}, "workers is 2; wanted front = true"),
    ({"workers": 0}, "greater than or equal to 1"),
    ({"workers": 65}, "less than or equal to 64"),
]


@pytest.mark.parametrize(("settings", "complaint"), WRONG)
def test_settings_that_cannot_be(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Node.model_validate({"name": "fra", **settings})


def test_where_the_kernel_spreads_no_connections_one_worker_is_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert Node(name="fra").workers == 1
    with pytest.raises(ValueError, match="only Linux spreads connections over processes"):
        Node(name="fra", workers=2)


ENDINGS = [(signal.SIGTERM, 0), (signal.SIGINT, 130)]


@pytest.mark.parametrize(("number", "status"), ENDINGS)
def test_a_node_in_the_foreground_ends_as_one(number: signal.Signals, status: int, tmp_path: Path) -> None:
    """As a terminal does it at Ctrl-C: all of the group gets the signal, once."""
    (tmp_path / "cdn.toml").write_text(
        '[[behavior]]\npath = "*"\n[[node]]\nname = "fra"\nworkers = 2\nlisten = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\n'
    )

    async def run() -> None:
        async with running_origin() as origin:
            fill(origin)
            command = [Path(sys.executable).with_name("cdnlab"), "edge", "--config", tmp_path / "cdn.toml", "--json"]
            edge = await asyncio.create_subprocess_exec(
                *command, "--origin", origin.url, "--records", tmp_path / "fra.jsonl",
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True,
            )  # fmt: skip
            assert edge.stdout is not None
            ready = json.loads(await edge.stdout.readline())
            health = json.loads((await ask(ready["admin"], "/healthz")).body)
            for _ in range(COUNT):
                assert (await ask(ready["url"], "/a")).body == b"hello"
            os.killpg(edge.pid, number)
            async with asyncio.timeout(GUARD_S):
                _, complaints = await edge.communicate()
            assert (edge.returncode, complaints) == (status, b"")
            await until(pids_end([worker["pid"] for worker in health["workers"]]))

    asyncio.run(run())
    lines = [line for path in tmp_path.glob("fra*.jsonl") for line in path.read_text().splitlines()]
    assert len([line for line in lines if json.loads(line)["kind"] == "request"]) == COUNT
