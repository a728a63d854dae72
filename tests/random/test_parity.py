"""Live and replay agree on every line: real nodes on real sockets, then their logs through fresh machines."""

import asyncio
import random
from pathlib import Path

import pytest

from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.outcomes import Outcome
from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.service import Behavior, Geo, Service, Ttl
from cdnkit.policy.rules.tokens import Fastly
from cdnkit.policy.token import FastlyToken
from cdnkit.replay import read_trace, replay_node
from cdnkit.vendors import PROFILES
from tests.kit.http import ask
from tests.kit.node import Running, running_node
from tests.kit.origin import Asked, response, running_origin

pytestmark = pytest.mark.long

SECRET = "c2VjcmV0IG9mIHRoZSB0ZXN0cw=="
RULES = (
    Behavior(path="/guarded/*", token="viewer"),
    Behavior(path="*.m3u8", ttl=Ttl(max="200ms"), stale_while_revalidate="100ms", stale_if_error="1s"),
    Behavior(path="/pass/*", cache=False),
    Behavior(path="/sliced*", slice="4KiB"),
    Behavior(path="*", geo=Geo(deny=("KP",), unknown="allow")),
)
SETTINGS = {"tokens": {"viewer": Fastly(key=SECRET, propagate="query")}}


async def misbehaving(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """An origin with moods: cacheable or not, varying, failing, breaking off; by chance, as a busy one would."""
    mood = random.random()
    await asyncio.sleep(random.random() * 0.01)
    if mood < 0.05:
        writer.transport.abort()
    elif mood < 0.1:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\ncache-control: max-age=60\r\n\r\nshort")
        await writer.drain()
        writer.close()
    elif mood < 0.15:
        writer.write(response(b"in trouble", 503))
    elif "sliced" in asked.target and "range" in asked.headers and mood < 0.97:
        first, last = (int(text) for text in asked.headers.first("range").removeprefix("bytes=").split("-"))
        fields = {"cache_control": "max-age=1", "etag": random.choice(['"v"'] * 9 + ['"w"'])}
        part = bytes(10_000)[first : last + 1]
        fields["content_range"] = f"bytes {first}-{first + len(part) - 1}/10000"
        writer.write(response(part, 206, **fields))
    elif asked.method == "POST":
        writer.write(response(b"", 201, location=random.choice(["/seg1.m4s", "/elsewhere"])))
    elif "range" in asked.headers and "," not in str(asked.headers.first("range")) and mood < 0.9:
        first, _, last = asked.headers.first("range").removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last or 999), 999) + 1
        fields = {"cache_control": "max-age=1", "etag": '"v"', "content_range": f"bytes {start}-{stop - 1}/1000"}
        writer.write(response(bytes(stop - start), 206, asked.method, **fields))
    elif asked.headers.first("if-none-match") == '"v"' and mood < 0.7:
        writer.write(response(b"", 304, etag='"v"', cache_control="max-age=0.1"))
    else:
        control = random.choice(["max-age=1", "max-age=0", "private", "max-age=60", "no-cache"])
        vary = {"vary": "X-Device"} if "vary" in asked.target else {}
        body = bytes(1000) if "part" in asked.target else random.randbytes(random.randrange(5000))
        fields = {"cache_control": control, "etag": '"v"', "surrogate_key": "all", **vary}
        if random.random() < 0.1:
            fields["cdn_cache_control"] = random.choice(["max-age=5", "no-store"])
        writer.write(response(body, 200, asked.method, **fields))


async def viewer(node: Running, number: int) -> None:
    chance = random.Random(number)
    for _ in range(25):
        path = chance.choice(
            [
                "/live.m3u8",
                "/seg1.m4s",
                "/seg2.m4s",
                "/vary.bin",
                "/pass/x",
                "/guarded/y",
                "/guarded/p.m3u8",
                "/lost",
                "/part.bin",
                "/sliced.mp4",
            ]
        )
        fields = {"cdnlab_client_ip": chance.choice(["203.0.113.5", "198.51.100.5"])}
        if chance.random() < 0.2:
            fields["range"] = chance.choice(["bytes=0-99", "bytes=100-199", "bytes=0-9, 500-600", "bytes=50-"])
        method = chance.choices(["GET", "HEAD", "POST"], [90, 6, 4])[0]
        if chance.random() < 0.2:
            fields["if_none_match"] = '"v"'
        if chance.random() < 0.1:
            fields["cache_control"] = "no-cache"
        if chance.random() < 0.3:
            fields["accept_encoding"] = chance.choice(["gzip", "br, gzip", "identity"])
        if "vary" in path:
            fields["x_device"] = chance.choice(["tv", "phone"])
        if path.startswith("/guarded") and chance.random() < 0.7:
            path += "?token=" + FastlyToken(SECRET).sign(path, 4_000_000_000)
        impatient = chance.random() < 0.05
        try:
            async with asyncio.timeout(0.005 if impatient else 30):
                await ask(node.url, path, method=method, body=b"x" if method == "POST" else None, **fields)
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            pass
        if chance.random() < 0.05:
            orders = [
                {"everything": True}, {"surrogate_key": "all"}, {"surrogate_keys": ["none", "all"]},
                {"prefix": "/seg"}, {"url": "/seg1.m4s"},
            ]  # fmt: skip
            await node.purge(**chance.choice(orders))
            await node.purge(surrogate_key="all", soft=True)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES.keys())
def test_every_line_of_a_live_run_is_the_same_in_the_replay(tmp_path: Path, profile: Profile) -> None:
    async def run() -> None:
        async with running_origin() as origin:
            for path in (
                "/live.m3u8",
                "/seg1.m4s",
                "/seg2.m4s",
                "/vary.bin",
                "/pass/x",
                "/guarded/y",
                "/guarded/p.m3u8",
                "/part.bin",
                "/sliced.mp4",
            ):
                origin.does(path, misbehaving)
            shield_settings = {"gate": False, **SETTINGS}
            async with running_node(
                origin.url,
                *RULES,
                name="shield",
                profile=profile,
                records=tmp_path / "shield.jsonl",
                service=shield_settings,
                memory="40KiB",
                largest="30KiB",
            ) as shield, running_node(
                shield.url, *RULES, name="fra", profile=profile, records=tmp_path / "fra.jsonl", service=SETTINGS,
                countries={"203.0.113.0/24": "KP"}, memory="20KiB", largest="15KiB",
            ) as fra:  # fmt: skip
                await asyncio.gather(*(viewer(fra, number) for number in range(16)))

    random.seed(7)
    asyncio.run(run())
    for name, room, largest, gate in (("shield", 40, 30, False), ("fra", 20, 15, True)):
        service = Service(
            name=name,
            behaviors=RULES,
            room=f"{room}KiB",
            largest=f"{largest}KiB",
            gate=gate,
            **SETTINGS,  # type: ignore[arg-type]
        )
        replayed = replay_node(read_trace(tmp_path / f"{name}.jsonl"), service, profile)
        assert replayed.requests > 100
        assert not replayed.differences, "\n".join(map(str, replayed.differences[:20]))
        assert {Outcome.HIT, Outcome.MISS, Outcome.PASS} <= set(replayed.outcomes)
        if gate:  # viewers come at the same instant; one edge asks its shield one question at a time
            assert Outcome.COLLAPSED in replayed.outcomes


def test_a_machine_that_decides_otherwise_is_found_out(tmp_path: Path) -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, records=tmp_path / "fra.jsonl") as node:
            origin.says("/a", b"x", cache_control="max-age=60")
            for _ in range(3):
                await node.get("/a")

    asyncio.run(run())
    shorter = Service(name="fra", behaviors=(Behavior(path="*", ttl=Ttl(max="0s")),))
    assert EdgeMachine(shorter).service.behaviors[0].ttl.max == 0
    replayed = replay_node(read_trace(tmp_path / "fra.jsonl"), shorter, RFC9111)
    assert len(replayed.differences) == 2
