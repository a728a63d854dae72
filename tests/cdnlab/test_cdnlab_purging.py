"""`cdnlab purge` as a process, over real nodes: its lines, its exit statuses, Ctrl-C."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from cdnlab.errors import BadUsage
from cdnlab.purging import find_log, purge_order
from cdnlab.runfolder import RunFolder
from tests.kit.node import Running, running_node
from tests.kit.origin import Origin, running_origin

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


TYPED = [  # what a person types, what a browser asks for then
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
    assert find_log(None, None, "images", tmp_path) == ("somewhere", ["fra"])
    with pytest.raises(BadUsage, match=r"no service 'image' runs\. Did you mean 'images'"):
        find_log(None, None, "image", tmp_path)


def test_a_node_that_is_slow_and_one_that_is_down(tmp_path: Path) -> None:
    async def test(lab: Lab) -> None:
        status, out, _ = await lab.purge("--all")  # it has taken it: that is enough without --wait
        assert status == 0 and out.splitlines()[1] == "fra    has taken it, and is not done yet"
        status, out, _ = await lab.purge("--all", "--wait", "--timeout", "500ms")
        assert status == 3 and out.splitlines()[1] == "fra    has taken it, and is not done yet"
        status, out, _ = await lab.purge("--all", "--wait", "--json")
        assert status == 0 and json.loads(out)["fra"]["seconds"] >= 1.2
        await lab.shield.stop()
        status, out, _ = await lab.purge("--all", "--json")
        assert (status, json.loads(out)["shield"]) == (3, {"state": "away", "purged": 0, "seconds": None})
        status, out, _ = await lab.purge("--all", "--wait", "--timeout", "3.5s")
        assert status == 3 and re.fullmatch(
            r"fra +0 purged  \d+ ms\nshield is away: will catch up before it serves\n", out
        )  # it went without its shield

    lab(test, tmp_path, delay=1.2)


def test_ctrl_c_ends_the_waiting_and_not_the_order(tmp_path: Path) -> None:
    async def test(lab: Lab) -> None:
        await lab.fra.get("/a")
        process = await lab.begin("/a", "--wait")
        assert process.stdout is not None
        await process.stdout.readline()  # the shield is done
        process.send_signal(signal.SIGINT)
        status, _, err = await told(process)
        assert status == 130 and err.startswith("the order stands: the nodes carry it out all the same\n")
        assert (await lab.purge("--key", "none", "--wait"))[0] == 0  # behind it
        await lab.fra.get("/a")
        assert lab.origin.count["/a"] == 2

    lab(test, tmp_path, delay=1.2)


def test_what_cannot_be_ordered_is_said_in_a_sentence(tmp_path: Path) -> None:
    async def run(*words: str) -> Told:
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
    ]:
        found, out, err = asyncio.run(run(*words))
        assert (found, out) == (status, "") and said in err and "Traceback" not in err, (words, found, err)
