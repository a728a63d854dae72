"""Fastly's purge API by its Python package, unmodified, and its bare wire, over nodes that really hold something."""

import asyncio
import json
import re
from typing import Any

import fastly
import pytest
from fastly.api.purge_api import PurgeApi

from tests.kit.control import Lab, lab
from tests.kit.http import Reply, ask
from tests.kit.late import GUARD_S


def client(one: Lab, token: str = "cdnlab") -> PurgeApi:
    configuration = fastly.Configuration(host=one.control)
    configuration.api_token = token
    return PurgeApi(fastly.ApiClient(configuration))


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer waits until the nodes have purged, on a busy machine too."""
    monkeypatch.setattr("cdnlab.control.fastly.PATIENCE_S", GUARD_S)


async def stored(one: Lab, **keys: str) -> None:
    """One response at each path, held by shield and edge. Keys by path."""
    for name, surrogate_key in keys.items():
        one.origin.says(f"/{name}", b"v1", cache_control="max-age=600", etag='"1"', surrogate_key=surrogate_key)
        assert await one.fetched(f"/{name}") == 1


async def fetched(one: Lab, *names: str) -> list[int]:
    return [await one.fetched(f"/{name}") for name in names]


CALLS = [  # method of the package, arguments, how often a (live), b (live vod) and c (none) are fetched then
    ("purge_single_url", {"cached_url": "http://www.example.com/a"}, [2, 1, 1]),
    ("purge_single_url", {"cached_url": "www.example.com/a"}, [2, 1, 1]),
    ("purge_tag", {"service_id": "cdnlab", "surrogate_key": "vod"}, [1, 2, 1]),
    ("purge_tag", {"service_id": "cdnlab", "surrogate_key": "live/480p"}, [2, 1, 1]),  # the package sends "%2F"
    ("bulk_purge_tag", {"service_id": "cdnlab", "surrogate_key": "vod live"}, [2, 2, 1]),
    ("purge_all", {"service_id": "cdnlab"}, [2, 2, 2]),
]  # fmt: skip


@pytest.mark.parametrize(("call", "arguments", "then"), CALLS, ids=[f"{row[0]}-{n}" for n, row in enumerate(CALLS)])
def test_what_the_package_purges_is_fetched_again(call: str, arguments: dict[str, Any], then: list[int]) -> None:
    async def test(one: Lab) -> None:
        await stored(one, a="live live/480p", b="live-2 vod", c="other")
        answer = await asyncio.to_thread(getattr(client(one), call), **arguments)
        assert await fetched(one, "a", "b", "c") == then
        if call == "bulk_purge_tag":
            assert set(answer.to_dict()) == {"vod", "live"}
        else:
            assert answer.status == "ok"
        if call in ("purge_single_url", "purge_tag"):
            assert re.fullmatch(r"\d+-\d+-\d+", answer.id)

    lab(test)


def test_a_soft_purge_leaves_something_to_validate() -> None:
    async def test(one: Lab) -> None:
        await stored(one, a="live")
        purge = client(one).purge_tag
        await asyncio.to_thread(purge, service_id="cdnlab", surrogate_key="live", fastly_soft_purge=1)
        assert await fetched(one, "a") == [2]
        assert one.origin.asked[-1].headers.first("if-none-match") == '"1"'

    lab(test)


async def post(one: Lab, target: str, body: Any = None, **fields: str) -> Reply:
    written = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return await ask(one.control, target, method="POST", body=written, **{"fastly_key": "cdnlab"} | fields)


def test_keys_as_json_and_the_query_of_a_url() -> None:
    async def test(one: Lab) -> None:
        await stored(one, a="live", b="vod")
        assert (await one.edge.get("/a?x=1")).status == 200
        reply = await post(one, "/service/cdnlab/purge", {"surrogate_keys": ["vod", "not a key"]})
        assert (reply.status, list(json.loads(reply.body))) == (200, ["vod"])
        reply = await post(one, "/service/cdnlab/purge", {"surrogate_keys": ["not a key"]})
        assert (reply.status, json.loads(reply.body)) == (200, {})
        assert await fetched(one, "a", "b") == [1, 2]
        # As the CLI sends --url: the URL as it is, its query behind it.
        assert (await post(one, "/purge/http://127.0.0.1:8081/a?x=1")).status == 200
        assert await fetched(one, "a", "a?x=1") == [1, 2]
        assert (await post(one, "/purge/http%3A%2F%2F127.0.0.1%3A8081%2Fa?x=1")).status == 200
        assert await fetched(one, "a", "a?x=1") == [1, 3]

    lab(test)


@pytest.mark.parametrize("url", ["img.example.com/a", "http://img.example.com/a", "http%3A%2F%2Fimg.example.com%2Fa"])
def test_the_host_of_a_url_goes_with_the_order_for_it_says_which_service_is_meant(url: str) -> None:
    async def test(one: Lab) -> None:
        assert (await post(one, f"/purge/{url}?x=1")).status == 200
        (ordered,) = (await one.log.read(0)).orders
        assert ordered.order == {"url": "http://img.example.com/a?x=1", "soft": False}

    lab(test)


REFUSED = [  # target, body, fields, status, words
    ("/service/cdnlab/purge_all", None, {"fastly_key": "wrong"}, 401, "missing or invalid"),
    ("/service/cdnlab/purge_all", None, {"fastly_key": ""}, 401, "missing or invalid"),
    ("/purge/www.example.com/a", None, {"fastly_key": "wrong"}, 401, "missing or invalid"),
    ("/service/cdnlab/version/1/backend", None, {}, 404, "cdnlab has no POST /service/cdnlab/version/1/backend"),
    ("/service/cdnlab/version/1/backend", None, {"fastly_key": "wrong"}, 401, "missing or invalid"),
    ("/service/other/purge_all", None, {}, 404, "Couldn't find Service 'other'"),
    ("/service/cdnlab/purge/a%20b", None, {}, 400, "found 'a b', wanted a surrogate key"),
    ("/service/cdnlab/purge", None, {}, 400, "wanted a Surrogate-Key field"),
    ("/service/cdnlab/purge", {"surrogate_keys": "a"}, {}, 400, "wanted a Surrogate-Key field"),
    ("/purge/[::1/a", None, {}, 400, "found 'http://[::1/a', wanted a URL or a path"),
    ("/purge/user@www.example.com/a", None, {}, 400, "wanted a URL or a path"),
    ("/service/cdnlab/purge/%ED%A0%80", None, {}, 400, "wanted a surrogate key"),
    ("/service/cdnlab/purge", b"[" * 200_000, {}, 400, "wanted a Surrogate-Key field"),
    ("/service/cdnlab/purge", b"\xff", {}, 400, "wanted a Surrogate-Key field"),
    ("/service/cdnlab/purge", b" " * (2**20 + 1), {}, 413, "too large"),
    ("/service/cdnlab/purge", {"surrogate_keys": [str(n) for n in range(257)]}, {}, 400, "257 keys, wanted 256"),
    (f"/service/cdnlab/purge/{'k' * 1025}", None, {}, 400, "a key of 1025 bytes, wanted 1024"),
    ("/service/cdnlab/purge", {"surrogate_keys": ["a", "k" * 1025]}, {}, 400, "a key of 1025 bytes, wanted 1024"),
]  # fmt: skip


@pytest.mark.parametrize(("target", "body", "fields", "status", "words"), REFUSED)
def test_what_is_refused(target: str, body: Any, fields: dict[str, str], status: int, words: str) -> None:
    async def test(one: Lab) -> None:
        await stored(one, a="live")
        reply = await post(one, target, body, **fields)
        assert reply.status == status
        assert words in reply.body.decode()
        assert await fetched(one, "a") == [1]

    lab(test)
