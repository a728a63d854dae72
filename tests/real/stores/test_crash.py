"""kill -9 in mid-fill, again and again, on one folder: no wrong hit, no partial hit, and the stored rest is served.

Every object says in its bytes which version it is. Versions go up just before a purge, so a reply of an older version
after the purge was acknowledged is one that should have been gone. What the node has stored is asked for with
`only-if-cached`, so that the origin cannot help out.
"""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.kit.http import Reply
from tests.kit.node_process import NodeProcess
from tests.kit.origin import Asked, running_origin

PATHS = [f"/{n}" for n in range(60)]
SETTINGS = {"memory": "4MiB", "largest": "2MiB"}


def body_of(path: str, version: int) -> bytes:
    """Up to 600 kB that no other path and version has."""
    dice = random.Random(f"{path} {version}")
    return f"{path} {version} ".encode() + dice.randbytes(dice.choice([10, 3000, 70_000, 600_000]))


def kind_of(path: str) -> str:
    """A surrogate key that a third of the objects share."""
    return f"kind{int(path[1:]) % 3}"


class Crashes:
    """The world around the node: its origin's versions, what is known to be on disk, what has been purged."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.dice = random.Random(seed)
        self.folder = folder
        self.version = dict.fromkeys(PATHS, 1)
        self.oldest = dict.fromkeys(PATHS, 1)
        """The oldest version that may still be served."""
        self.bodies = 0
        self.sending = asyncio.Event()
        """Set while the origin has begun a body and not ended it."""
        self.on_disk: dict[str, int] = {}
        """Path -> version that was stored whole when a purge was acknowledged: it must survive any kill."""
        self.counts: Counter[str] = Counter()
        self.moment = ""
        """When to kill: "any", or at once after what `happened` is told of."""
        self.now = asyncio.Event()

    async def origin_says(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        """Slowly, in pieces: there is a middle to be killed in."""
        path = asked.target
        body = body_of(path, self.version[path])
        length = f"content-length: {len(body)}\r\n" if len(body) % 2 else "transfer-encoding: chunked\r\n"
        writer.write(
            f"HTTP/1.1 200 OK\r\ncache-control: max-age=86400\r\nsurrogate-key: k{path} {kind_of(path)}\r\n{length}\r\n".encode()
        )
        self.bodies += 1
        self.sending.set()
        try:
            for start in range(0, len(body), 30_000):
                piece = body[start : start + 30_000]
                writer.write(piece if len(body) % 2 else b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
                await asyncio.sleep(0.001)
            if not len(body) % 2:
                writer.write(b"0\r\n\r\n")
        finally:
            self.bodies -= 1
            if not self.bodies:
                self.sending.clear()

    def check(self, path: str, reply: Reply, *, oldest: int) -> int:
        """A whole reply is some version, all of it, and none that was purged before it was asked for."""
        version = int(reply.body.split(b" ", 2)[1])
        assert reply.body == body_of(path, version), f"{path}: wrong bytes"
        assert oldest <= version <= self.version[path], f"{path}: version {version} was purged, {oldest} is the oldest"
        return version

    async def traffic(self, node: NodeProcess) -> None:
        """One viewer, until the node is gone."""
        while True:
            path = self.dice.choice(PATHS)
            oldest = self.oldest[path]
            reply = await node.get(path)
            if reply.whole:
                self.check(path, reply, oldest=oldest)
                self.counts["replies"] += 1
                if len(reply.body) > 100_000:
                    self.happened("a large body came")  # and is being written now

    async def operator(self, node: NodeProcess) -> None:
        """Publishes anew and purges, until the node is gone."""
        while True:
            await asyncio.sleep(self.dice.uniform(0, 0.03))
            path = self.dice.choice(PATHS)
            many = self.dice.random() < 0.1
            narrow = self.dice.choice([{"url": path}, {"surrogate_key": f"k{path}"}])
            order = {"surrogate_key": kind_of(path)} if many else narrow
            new = {}
            for one in [one for one in PATHS if kind_of(one) == kind_of(path)] if many else [path]:
                new[one] = self.version[one] = self.version[one] + 1
                self.on_disk.pop(one, None)
            assert await node.purge(**order) == 200
            self.oldest |= new
            self.counts["purges"] += 1
            if many:
                self.happened("a purge was acknowledged")

    async def auditor(self, node: NodeProcess) -> None:
        """Notes what is stored whole; a purge that comes back says that all before it is on disk."""
        while True:
            await asyncio.sleep(0.05)
            stored = {}
            for path in self.dice.sample(PATHS, 15):
                version = self.version[path]
                reply = await node.get(path, cache_control="only-if-cached")
                if reply.status == 200 and reply.whole and self.check(path, reply, oldest=1) == version:
                    stored[path] = version
            assert await node.purge(surrogate_key="nobody-has-this") == 200
            self.on_disk |= {path: v for path, v in stored.items() if self.version[path] == v}

    def happened(self, what: str) -> None:
        if what == self.moment and self.bodies:
            self.now.set()

    async def life(self, parent: str, *, killed: bool) -> None:
        node = await NodeProcess.start(parent, disk={"path": str(self.folder), "size": "64MiB"}, **SETTINGS)
        try:
            await self.inspect(node)
            if not killed:
                return
            crowd = [
                self.traffic(node),
                self.traffic(node),
                self.traffic(node),
                self.operator(node),
                self.auditor(node),
            ]
            tasks = [asyncio.create_task(one) for one in crowd]
            await asyncio.sleep(self.dice.uniform(0.1, 0.5))
            self.moment = self.dice.choice(["any", "a large body came", "a purge was acknowledged"])
            await (self.sending if self.moment == "any" else self.now).wait()
            self.counts["killed in mid-fill"] += 1
            await node.kill()
            self.now.clear()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if not isinstance(ended, OSError | asyncio.IncompleteReadError):
                    raise ended  # what was wrong before the kill
        finally:
            if node.process.returncode is None:
                await node.stop()

    async def inspect(self, node: NodeProcess) -> None:
        """What an earlier life left: each is right or absent, and what was on disk for certain is there."""
        for path in PATHS:
            reply = await node.get(path, cache_control="only-if-cached")
            assert reply.whole and reply.status in (200, 504), f"{path}: {reply.status}, whole: {reply.whole}"
            if reply.status == 200:
                self.check(path, reply, oldest=self.oldest[path])
                self.counts["recovered"] += 1
            if path in self.on_disk:
                assert reply.status == 200, f"{path} was on disk and is not served"
                self.counts["certain"] += 1

    async def run(self, times: int) -> None:
        async with running_origin() as origin:
            for path in PATHS:
                origin.does(path, self.origin_says)
            for _ in range(times):
                await self.life(origin.url, killed=True)
            await self.life(origin.url, killed=False)


def crash(times: int, seed: int, folder: Path) -> Counter[str]:
    print(f"seed {seed}")
    crashes = Crashes(seed, folder)
    asyncio.run(crashes.run(times))
    print(f"killed {times} times: {dict(crashes.counts)}")
    assert crashes.counts["killed in mid-fill"] == times
    assert crashes.counts["recovered"] > 5 * times and crashes.counts["certain"] > times, "hardly anything was stored"
    return crashes.counts


@pytest.mark.long
@pytest.mark.live
def test_ten_kills_in_mid_fill(tmp_path: Path) -> None:
    crash(10, 1, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_hundred_kills_in_mid_fill(tmp_path: Path) -> None:
    crash(100, random.randrange(10**6), tmp_path)
