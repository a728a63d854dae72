"""`cdnlab purge` as a process, over real nodes: its lines, its exit statuses, Ctrl-C."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cdnlab.errors import BadUsage
from cdnlab.lab.run_folder import RunFolder
from cdnlab.tasks.purge import Progress, find_log, purge_order
from edge.purges.progress import Standing
from tests.kit.late import GUARD_S, Late, judged
from tests.kit.node import Running, running_node
from tests.kit.origin import Origin, running_origin
from tests.kit.redis_server import needs_redis, running_redis
from tests.kit.relay import running_relay

Told = tuple[int, str, str]
"""Exit status, standard output, standard error."""


class Lab:
    """A shield, an edge behind it, and the command."""

    def __init__(self, folder: Path, origin: Origin, shield: Running, fra: Running) -> None:
        self.folder, self.origin, self.shield, self.fra = folder, origin, shield, fra

    async def begin(self, *words: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cdnlab", "purge", *words, "--purge-log", str(self.folder / "purges.sqlite3"),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def purge(self, *words: str) -> Told:
        return await told(await self.begin(*words))


async def told(process: asyncio.subprocess.Process) -> Told:
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def lab(test: Callable[[Lab], Awaitable[None]], folder: Path, *, delay: float = 0.0) -> None:
    log = str(folder / "purges.sqlite3")

    async def run() -> None:
        async with (
            running_origin() as origin,
            running_node(origin.url, name="shield", purge_log=log) as shield,
            running_node(shield.url, name="fra", purge_log=log, purge_delay=delay) as fra,
        ):
            origin.says("/a", b"v1", cache_control="max-age=600", surrogate_key="a")
            await test(Lab(folder, origin, shield, fra))

    asyncio.run(run())


@pytest.mark.long
def test_a_line_for_each_node_in_the_order_in_which_they_went(tmp_path: Path) -> None:
    async def test(lab: Lab) -> None:
        await lab.fra.get("/a")
        status, out, err = await lab.purge(f"{lab.fra.url}/a")
        assert (status, err) == (0, "")
        lines = [re.fullmatch(r"(\w+) +(\d+) purged  \d+ ms", line) for line in out.splitlines()]
        assert [line and line.groups() for line in lines] == [("shield", "1"), ("fra", "1")]
        await lab.fra.get("/a")
        assert lab.origin.count["/a"] == 2
        status, out, _ = await lab.purge("--key", "none", "--key", "a", "--soft", "--json", "--node", "fra")
        found = json.loads(out)
        assert (status, list(found)) == (0, ["fra"]) and (found["fra"]["state"], found["fra"]["purged"]) == ("done", 1)
        await lab.fra.get("/a")
        assert lab.origin.count["/a"] == 2  # the shield still has it
        status, out, _ = await lab.purge("--key", "none", "--key", "a", "--wait")
        assert status == 0 and [line.split()[:2] for line in out.splitlines()] == [["shield", "1"], ["fra", "1"]]

    lab(test, tmp_path)


@asynccontextmanager
async def cluster(folder: Path, purge_log: str, *nodes: Running, **services: list[str]) -> AsyncIterator[None]:
    """As `cdnlab up` writes it down, of nodes that run here."""
    run = RunFolder.new(folder / "runs")
    about = [
        {"name": node.ready["ready"], "admin": node.admin, "url": node.url, "role": "edge", "parent": "", "https": None}
        for node in nodes
    ]
    run.write("cluster.json", {"pid": os.getpid(), "nodes": about, "purge_log": purge_log, "services": services})
    yield


async def purge(folder: Path, *words: str | bytes) -> Told:
    """By the cluster that runs."""
    return await told(
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cdnlab", "purge", *words, "--runs", str(folder / "runs"),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )
    )  # fmt: skip


@pytest.mark.long
def test_a_surrogate_key_that_nothing_has_is_said_to_be_one_and_what_looks_like_it(tmp_path: Path) -> None:
    log = str(tmp_path / "purges.sqlite3")

    async def run() -> None:
        async with (
            running_origin() as origin,
            running_node(origin.url, purge_log=log) as fra,
            cluster(tmp_path, log, fra, default=[]),
        ):
            origin.says("/a", b"v1", cache_control="max-age=600", surrogate_key="live live/480p")
            await fra.get("/a")
            said = "nothing was stored under the surrogate key 'lvie'. Did you mean 'live'?\n"
            status, out, err = await purge(tmp_path, "--key", "lvie", "--wait")
            assert (status, out.split()[:2], err) == (0, ["fra", "0"], said)
            status, out, err = await purge(tmp_path, "--key", "lvie", "--admin", fra.admin)
            assert (status, out.split()[:2], err) == (0, ["fra", "0"], said)
            status, out, err = await purge(tmp_path, "--key", "quite-another")
            assert (status, err) == (0, "nothing was stored under the surrogate key 'quite-another'.\n")
            assert (await purge(tmp_path, "--key", "lvie", "--json"))[2] == ""
            status, out, err = await purge(tmp_path, "--key", "live", "--wait")
            assert (status, out.split()[:2], err) == (0, ["fra", "1"], "")

    asyncio.run(run())


@pytest.mark.long
@needs_redis
def test_a_node_that_serves_and_does_not_follow_is_named_with_its_trouble(tmp_path: Path) -> None:
    """Cut off from the log; and one whose row somebody has taken away is waited for all the same."""

    async def run() -> None:
        async with (
            running_origin() as origin,
            running_redis(tmp_path) as server,
            running_relay(f"http://127.0.0.1:{server.port}") as wire,
            running_node(origin.url, name="nyc", purge_log=server.url) as nyc,
            running_node(origin.url, name="fra", purge_log=wire.url.replace("http", "redis")) as fra,
            cluster(tmp_path, server.url, nyc, fra, default=[]),
        ):
            wire.cut()
            async with asyncio.timeout(GUARD_S):
                while not (await fra.health())["troubles"]:  # noqa: ASYNC110  # another task
                    await asyncio.sleep(0.01)
            await server.says("HDEL", "{cdnlab:purges}:followers", "fra")
            status, out, _ = await purge(tmp_path, "--all", "--wait", "--timeout", "1s")
            assert status == 3 and "fra serves, and has not taken the order: the log of purges at redis://" in out, out
            status, out, _ = await purge(tmp_path, "--all", "--json")
            assert (status, json.loads(out)["fra"]["state"]) == (3, "not-following")
            wire.mend()
            status, out, _ = await purge(tmp_path, "--all", "--wait")
            assert (status, len(out.splitlines())) == (0, 2)

    asyncio.run(run())


def test_a_node_that_cannot_read_the_order_is_named_and_the_status_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    standing = {"nyc": Standing(taken=True, done=True), "fra": Standing(taken=True, done=True, unread=True)}
    for waited in (False, True):
        progress = Progress(soft=False, as_json=False)
        progress.update(standing)
        assert progress.end(waited=waited) == 3
        assert capsys.readouterr().out.splitlines()[1] == "fra could not read the order, so it purged everything it had"
    progress = Progress(soft=False, as_json=True)
    progress.update(standing)
    assert progress.end(waited=True) == 3
    assert json.loads(capsys.readouterr().out)["fra"]["state"] == "unread"


def test_a_host_that_no_service_has_is_no_order(tmp_path: Path) -> None:
    run = RunFolder.new(tmp_path)
    node = {"name": "fra", "admin": "", "url": "", "role": "edge", "parent": "origin", "https": None}
    services = {"default": ["www.test"], "images": ["img.test"]}
    run.write("cluster.json", {"pid": os.getpid(), "nodes": [node], "purge_log": "somewhere", "services": services})
    for typed in ("http://www.test/a", "http://IMG.test:8081/a", "/a", "http://127.0.0.1:8081/a"):
        for what in ({"url": typed}, {"prefix": typed}):
            assert find_log(None, None, what, tmp_path)[0] == "somewhere"
    for what in ({"url": "http://other.test/a?token=s3cr3t"}, {"prefix": "http://other.test/a?token=s3cr3t"}):
        with pytest.raises(BadUsage, match=r"the host 'other\.test': nothing.*Hosts: www\.test, img\.test") as error:
            find_log(None, None, what, tmp_path)
        assert "s3cr3t" not in str(error.value)


TYPED = [  # what a person types, what a browser asks for then
    ("/\udcff", "/%FF"),  # an octet that is no UTF-8, as the command line brings it
    ("/a b", "/a%20b"),
    ("/ü?q=ü", "/%C3%BC?q=%C3%BC"),
    ("/a%20b", "/a%20b"),
    ("http://127.0.0.1:8081/a#there", "http://127.0.0.1:8081/a"),
    ("/a[1]|{b}?c=d&e=%25;*~'()", "/a[1]|{b}?c=d&e=%25;*~'()"),  # browsers encode some, curl none
]


@pytest.mark.parametrize(("typed", "asked"), TYPED)
def test_what_is_typed_is_purged_as_it_is_asked_for(typed: str, asked: str) -> None:
    assert purge_order(url=typed) == {"url": asked, "soft": False}
    assert purge_order(prefix=typed) == {"prefix": asked, "soft": False}


def test_a_service_that_does_not_run_is_no_order(tmp_path: Path) -> None:
    run = RunFolder.new(tmp_path)
    node = {"name": "fra", "admin": "", "url": "", "role": "edge", "parent": "origin", "https": None}
    services = {"default": [], "images": ["img.example.com"]}
    run.write("cluster.json", {"pid": os.getpid(), "nodes": [node], "purge_log": "somewhere", "services": services})
    found = find_log(None, None, {"url": "/a", "service": "images"}, tmp_path)
    assert (found[0], [one.name for one in found[1]]) == ("somewhere", ["fra"])
    with pytest.raises(BadUsage, match=r"no service 'image' is running\. Did you mean 'images'"):
        find_log(None, None, {"url": "/a", "service": "image"}, tmp_path)


@pytest.mark.long
def test_a_node_that_is_slow_and_one_that_is_down(tmp_path: Path) -> None:
    async def test(lab: Lab, delay: float) -> None:
        for more in ([], ["--wait", "--timeout", "500ms"]):  # it has taken it: that is enough without --wait
            status, out, _ = await lab.purge("--all", *more)
            if "done" not in out:
                raise Late(out)
            assert status == (3 if more else 0)
            assert out.splitlines()[1] == "fra    has taken the order, and is not done yet"
        status, out, _ = await lab.purge("--all", "--wait", "--json")
        assert status == 0 and json.loads(out)["fra"]["seconds"] >= delay
        await lab.shield.stop()
        status, out, _ = await lab.purge("--all", "--json")
        assert (status, json.loads(out)["shield"]) == (3, {"state": "away", "purged": 0, "seconds": None})
        status, out, _ = await lab.purge("--all", "--wait", "--timeout", f"{2 * delay + 1.1:.1f}s")
        if "done" in out:
            raise Late(out)
        assert status == 3 and re.fullmatch(
            r"fra +0 purged  \d+ ms\nshield is away: will catch up before it serves\n", out
        )  # it went without its shield

    def attempt(delay: float) -> None:
        (folder := tmp_path / f"{delay}").mkdir()
        lab(lambda one: test(one, delay), folder, delay=delay)

    judged(attempt, 1.2)


@pytest.mark.long
def test_ctrl_c_ends_the_waiting_and_not_the_order(tmp_path: Path) -> None:
    async def test(lab: Lab) -> None:
        await lab.fra.get("/a")
        process = await lab.begin("/a", "--wait")
        assert process.stdout is not None
        await process.stdout.readline()  # the shield is done
        process.send_signal(signal.SIGINT)
        status, _, err = await told(process)
        if status == 0:
            raise Late("the edge was done before anybody could press Ctrl-C")
        assert status == 130 and err.startswith("the order stays in the log: the nodes still carry it out\n")
        assert (await lab.purge("--key", "none", "--wait"))[0] == 0  # behind it
        await lab.fra.get("/a")
        assert lab.origin.count["/a"] == 2

    def attempt(delay: float) -> None:
        (folder := tmp_path / f"{delay}").mkdir()
        lab(test, folder, delay=delay)

    judged(attempt, 1.2)


@pytest.mark.long
def test_what_cannot_be_ordered_is_said_in_a_sentence(tmp_path: Path) -> None:
    async def run(*words: str | bytes) -> Told:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cdnlab", "purge", *words,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        return await told(process)

    (tmp_path / "notes").write_text("no log of orders " * 100)
    for words, status, said in [
        (("--all", "--purge-log", str(tmp_path / "new")), 2, "--purge-log: no such file"),
        (("--all", "--purge-log", str(tmp_path / "notes")), 2, "purges: found"),
        (("--all", "--purge-log", "redis://127.0.0.1:1/0"), 1, "at redis://127.0.0.1:1/0 does not answer"),
        (("--all", "--admin", "http://127.0.0.1:1"), 1, "http://127.0.0.1:1"),
        (("--all", "--wait", "--timeout", "soon"), 2, "--timeout: found 'soon', wanted a duration"),
        (("--all", "--runs", str(tmp_path)), 2, "no cluster is running"),
        ((b"/\xff", "--runs", str(tmp_path)), 2, "no cluster is running"),
        ((b"\xff",), 2, "URL: found '\\udcff', wanted a URL or a path"),
        (("--key", b"\xff"), 2, "--key: found '\\udcff', wanted visible ASCII characters"),
        (("--all", "--service", b"\xff", "--runs", str(tmp_path)), 2, "no cluster is running"),
        (("/a", "--service", b"\xff", "--admin", "http://127.0.0.1:1"), 1, "http://127.0.0.1:1"),
        (("--all", "--purge-log", b"\xff"), 2, "no such file"),
        (("http://[::1/a", "--admin", "http://127.0.0.1:1"), 2, "wanted a URL or a path"),
    ]:
        found, out, err = asyncio.run(run(*words))
        assert (found, out) == (status, "") and said in err and "Traceback" not in err, (words, found, err)
