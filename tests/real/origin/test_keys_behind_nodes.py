"""Keys through an edge and a shield: behind the token, and in no store, whatever the lifetimes of a behavior are."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from cdnkit.policy.rules.service import Ttl
from cdnkit.policy.rules.tokens import Fastly
from cdnkit.policy.token import FastlyToken
from cdnkit.vendors import PROFILES
from cdnlab.settings.low_latency import MEDIA_BEHAVIORS
from tests.kit.http import ask
from tests.kit.live_origin import Running
from tests.kit.node import Running as Node
from tests.kit.node import running_node
from tests.real.origin.test_mpegts import decoded, publish

pytestmark = pytest.mark.live

SECRET = base64.b64encode(b"viewers of paid streams").decode()
TOKENS = {"tokens": {"viewer": Fastly(key=SECRET, propagate="query")}}
END = 2_000_000_000


@dataclass
class Lab:
    edge: Node
    shield: Node

    def seen(self, path: str) -> int:
        """How many requests for a path the origin got."""
        return sum(one["kind"] == "fetch" and one["url"].startswith(path) for one in self.shield.records())


@asynccontextmanager
async def running_lab(origin: Running, folder: Path, profile: str, ttl: Ttl) -> AsyncIterator[Lab]:
    """The behaviors of a file that has none, with a token and, where responses are stored, with these lifetimes."""
    behaviors = [one.model_copy(update={"ttl": ttl} if one.cache else {}) for one in MEDIA_BEHAVIORS]
    guarded = [one.model_copy(update={"token": "viewer"}) for one in behaviors]
    rules = PROFILES[profile]
    async with AsyncExitStack() as stack:
        shield = await stack.enter_async_context(
            running_node(origin.url, *behaviors, name="shield", profile=rules, records=folder / "shield.jsonl")
        )
        edge = await stack.enter_async_context(running_node(shield.url, *guarded, profile=rules, service=TOKENS))
        yield Lab(edge, shield)


@pytest.mark.parametrize("profile", ["rfc9111", "cloudfront", "fastly"])
def test_each_viewer_gets_the_key_from_the_origin_and_nobody_else_does(
    origins: Callable[..., Running], encoded: dict[str, bytes], tmp_path: Path, profile: str
) -> None:
    origin = origins(encryption=({"method": "AES-128"},))
    publish(origin, encoded)
    media = "/live/180p/media.m3u8"

    async def run() -> None:
        async with running_lab(origin, tmp_path, profile, Ttl(min=10.0, default=60.0)) as lab:
            keys = []
            for end in (END, END + 1):  # two viewers
                playlist = await lab.edge.get(f"{media}?token={FastlyToken(SECRET).sign(media, end)}")
                found = re.search(r'URI="\.\.(/key-[^"]+)"', playlist.body.decode())
                assert found is not None and "?token=" in found[1]
                keys.append(f"/live{found[1]}")
            bare = keys[0].partition("?")[0]
            assert (await lab.edge.get(bare)).status == 403
            assert (await lab.edge.get(f"{bare}?token={END}_{'0' * 64}")).status == 403
        assert lab.seen(bare) == 0, "the origin has not been asked"
        async with running_lab(origin, tmp_path / "again", profile, Ttl(min=10.0, default=60.0)) as lab:
            replies = await asyncio.gather(*(lab.edge.get(key) for key in keys))
            replies.append(await lab.edge.get(keys[0]))
            assert {one.status for one in replies} == {200}
            assert [len(one.body) for one in replies] == [16] * 3
            assert all("no-store" in (one["cache-control"] or "") for one in replies)
        assert lab.seen(bare) == 3, "as many as viewers asked"

    asyncio.run(run())


@pytest.mark.parametrize("profile", ["rfc9111", "cloudfront", "fastly"])
def test_a_license_request_goes_through(
    origins: Callable[..., Running], encoded: dict[str, bytes], tmp_path: Path, profile: str
) -> None:
    origin = origins(encryption=({"method": "SAMPLE-AES"},))
    publish(origin, encoded)
    path = "/live/license.key"

    async def run() -> None:
        async with running_lab(origin, tmp_path, profile, Ttl(min=10.0, default=60.0)) as lab:
            known = json.loads(origin.get("live/license.key").body)["keys"][0]
            body = json.dumps({"kids": [known["kid"]], "type": "temporary"}).encode()
            assert (await ask(lab.edge.url, path, method="POST", body=body)).status == 403
            signed = f"{path}?token={FastlyToken(SECRET).sign(path, END)}"
            for _ in range(2):
                reply = await ask(lab.edge.url, signed, method="POST", body=body)
                assert (reply.status, json.loads(reply.body)["keys"]) == (200, [known])
                assert json.loads((await lab.edge.get(signed)).body)["keys"] == [known]
        assert lab.seen(path) == 4

    asyncio.run(run())


@pytest.mark.parametrize("method", ["AES-128", "SAMPLE-AES"])
def test_ffmpeg_plays_what_an_edge_gives_to_a_token(
    origins: Callable[..., Running], encoded: dict[str, bytes], ffmpeg: str, tmp_path: Path, method: str
) -> None:
    origin = origins(encryption=({"method": method},))
    publish(origin, encoded)
    (tmp_path / "clear.mp4").write_bytes(encoded["180p.cmfv"])
    media = "/live/180p/media.m3u8"

    async def run() -> list[str]:
        async with running_lab(origin, tmp_path, "cloudfront", Ttl(default=60.0)) as lab:
            url = f"{lab.edge.url}{media}?token={FastlyToken(SECRET).sign(media, END)}"
            return [frame for _, frame in await asyncio.to_thread(decoded, ffmpeg, url)]

    assert asyncio.run(run()) == [frame for _, frame in decoded(ffmpeg, tmp_path / "clear.mp4")]
