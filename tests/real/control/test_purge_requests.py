"""PURGE where viewers come: who may, what goes, and that it is an ordinary method where nobody may."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.vendors import CLOUDFRONT, FASTLY
from tests.kit.http import ask
from tests.kit.node import running_node
from tests.kit.origin import running_origin

TOKEN = {"purge_requests": "token", "purge_token": "s3cr3t"}

WHO = [  # profile, service, fields, status, how often the origin is asked for the object then
    (FASTLY, {}, {}, 200, 2),  # open by default
    (FASTLY, {"purge_requests": "nobody"}, {}, 404, 1),  # a pass to the origin, which has no such method
    (FASTLY, TOKEN, {}, 401, 1),
    (FASTLY, TOKEN, {"fastly_key": "wrong"}, 401, 1),
    (FASTLY, TOKEN, {"fastly_key": "s3cr3t"}, 200, 2),
    (FASTLY, {"purge_requests": "token"}, {"fastly_key": ""}, 401, 1),  # nobody holds a token that is not there
    (RFC9111, {"purge_requests": "everybody"}, {}, 200, 2),
    (CLOUDFRONT, {"purge_requests": "everybody"}, {}, 200, 2),
]


@pytest.mark.parametrize(("profile", "service", "fields", "status", "then"), WHO)
def test_who_may_purge(
    profile: Profile, service: dict[str, Any], fields: dict[str, str], status: int, then: int
) -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, profile=profile, service=service) as node:

            async def script(asked: Any, writer: asyncio.StreamWriter) -> None:
                known = b"200 OK" if asked.method == "GET" else b"404 Not Found"
                writer.write(b"HTTP/1.1 " + known + b"\r\ncache-control: max-age=600\r\ncontent-length: 1\r\n\r\nx")

            origin.does("/a", script)
            await node.get("/a")
            purged = await ask(node.url, "/a", method="PURGE", **fields)
            assert purged.status == status
            if status == 200:
                assert json.loads(purged.body)["status"] == "ok"
            await node.get("/a")
            assert [asked.method for asked in origin.asked].count("GET") == then

    asyncio.run(run())


def test_without_a_word_it_is_no_purge_with_the_other_profiles() -> None:
    async def run(profile: Profile) -> None:
        async with running_origin() as origin, running_node(origin.url, profile=profile) as node:
            origin.says("/a", b"v1", cache_control="max-age=600")
            await ask(node.url, "/a", method="PURGE")
            assert [asked.method for asked in origin.asked] == ["PURGE"]

    for profile in (RFC9111, CLOUDFRONT):
        asyncio.run(run(profile))


def test_soft_and_with_its_query() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, profile=FASTLY) as node:
            origin.says("/a", b"v1", cache_control="max-age=600", etag='"1"')
            for target in ("/a?x=1", "/a?x=2"):
                await node.get(target)
            await ask(node.url, "/a?x=1", method="PURGE", fastly_soft_purge="0")
            for target in ("/a?x=1", "/a?x=2"):
                await node.get(target)
            assert origin.count == {"/a?x=1": 2, "/a?x=2": 1}
            assert origin.asked[-1].headers.first("if-none-match") == '"1"'

    asyncio.run(run())


def test_what_is_asked_for_after_the_answer_is_new_though_a_shield_had_it_too(tmp_path: Path) -> None:
    log = str(tmp_path / "purges.sqlite3")

    async def run() -> None:
        async with (
            running_origin() as origin,
            running_node(origin.url, name="shield", purge_log=log, service={"gate": False}) as shield,
            running_node(shield.url, name="fra", purge_log=log, profile=FASTLY) as fra,
        ):
            for n in range(10):
                origin.says("/a", b"v%d" % n, cache_control="max-age=600")
                assert (await ask(fra.url, "/a", method="PURGE")).status == 200
                assert (await fra.get("/a")).body == b"v%d" % n

    asyncio.run(run())
