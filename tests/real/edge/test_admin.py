"""Who may give orders to a node: with an admin_token, who holds it."""

import asyncio
import json
from typing import Any

import pytest

from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.service import Behavior, Geo, Key
from cdnkit.vendors import CLOUDFRONT, FASTLY
from edge.purges.order import BadOrder, order_as_json, purge_order
from tests.kit.http import ask
from tests.kit.node import running_node
from tests.kit.origin import running_origin


def test_purge_and_explain_want_the_token_and_health_does_not() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, admin_token="s3cr3t") as node:
            origin.says("/a", b"v1", cache_control="max-age=60", surrogate_key="live vod")
            await node.get("/a")
            order = json.dumps({"everything": True}).encode()
            for fields in ({}, {"authorization": "Bearer wrong"}, {"authorization": "s3cr3t"}):
                purge = await ask(node.admin, "/purge", method="POST", body=order, **fields)
                explain = await ask(node.admin, "/explain?url=/a", **fields)
                assert (purge.status, explain.status) == (401, 401)
                assert purge["www-authenticate"] == "Bearer"
            assert (await ask(node.admin, "/surrogate-keys", **fields)).status == 401
            assert (await node.health())["stored_responses"] == 1
            good = {"authorization": "Bearer s3cr3t"}
            assert (await ask(node.admin, "/explain?url=/a", **good)).status == 200
            assert json.loads((await ask(node.admin, "/surrogate-keys", **good)).body)["surrogate_keys"] == [
                "live",
                "vod",
            ]
            assert (await ask(node.admin, "/purge", method="POST", body=order, **good)).status == 200
            assert (await node.health())["stored_responses"] == 0

    asyncio.run(run())


ORDERS: list[dict[str, Any]] = [
    {"url": "/a?b", "soft": True},
    {"prefix": "/live/", "soft": False},
    {"surrogate_key": "live", "soft": False},
    {"surrogate_keys": ["live", "vod"], "soft": True},
    {"everything": True, "soft": False},
]


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_an_order_is_the_same_when_it_has_been_read_and_written(order: dict[str, Any]) -> None:
    assert order_as_json(purge_order(order)) == order


WRONG = [  # what is sent                           what the answer says
    ([], "found list, wanted a JSON object"),
    ({}, "wanted exactly one of"),
    ({"surrogate_keys": []}, "wanted exactly one of"),  # nothing is named: everything would be a bad guess
    ({"surrogate_key": "a", "surrogate_keys": ["b"]}, "wanted exactly one of"),
    ({"surrogate_keys": "a b"}, "surrogate_keys: found 'a b', wanted a list"),
    ({"surrogate_keys": ["a", 1]}, "surrogate_keys: found 1, wanted a key"),
    ({"surrogate_keys": ["a", "b c"]}, "surrogate_keys: found 'b c', wanted a key"),
    ({"surrogate_keys": ["a", ""]}, "surrogate_keys: found '', wanted a key"),
    ({"surrogate_key": "a b"}, "surrogate_key: found 'a b', wanted a key of visible ASCII characters"),
    ({"url": "a"}, "url: found 'a', wanted a URL or a path"),
    ({"url": "ftp://x/a"}, "wanted a URL or a path"),
    ({"url": "http://[::1/a"}, "url: found 'http://[::1/a', wanted a URL or a path"),
    ({"prefix": "http:///a"}, "wanted the beginning of a URL or of a path"),
    ({"url": "/\ud800"}, "wanted text without half a surrogate pair"),
    ({"keys": ["a"]}, "found keys; wanted url, prefix, surrogate_key, surrogate_keys, everything, soft and service"),
]


@pytest.mark.parametrize(("sent", "said"), WRONG, ids=[str(row[0]) for row in WRONG])
def test_what_is_no_order_is_refused_with_what_was_wanted(sent: Any, said: str) -> None:
    with pytest.raises(BadOrder) as refused:
        purge_order(sent)
    assert said in str(refused.value)


BODIES = [  # of a `POST /purge`, status, what the answer says
    (b"", 400, "Expecting value"),
    (b"\xff", 400, "can't decode byte 0xff"),
    (b"[" * 200_000, 400, "nested too deep"),
    (b'{"a":' * 100_000, 400, "nested too deep"),
    (b'{"url": ' + b"9" * 5000 + b"}", 400, "limit"),
    (b'{"url": NaN}', 400, "found nan, wanted text"),
    (b'{"\\ud800": 1}', 400, "found \\ud800; wanted url"),
    (b'{"url": "/\\ud800"}', 400, "half a surrogate pair"),
    (b'{"url": "/a", "service": "\\ud800"}', 400, "service: found"),
    (b'{"url": "http://[::1/a"}', 400, "wanted a URL or a path"),
    (b" " * 2**21, 413, "wanted a body of at most 1048576 bytes"),
]


@pytest.mark.parametrize(("body", "status", "said"), BODIES, ids=[repr(row[0][:20]) for row in BODIES])
def test_a_body_that_is_no_order_is_the_senders_fault_and_is_told_why(body: bytes, status: int, said: str) -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:
            reply = await ask(node.admin, "/purge", method="POST", body=body)
            assert (reply.status, said in json.loads(reply.body)["error"]) == (status, True), reply

    asyncio.run(run())


QUESTIONS = [  # of /explain, status
    ("url=http://[::1", 400),
    ("url=http://[::1%25eth0]/", 400),
    ("url=http://[::1]:99999999/", 400),
    ("url=http://", 400),
    ("url=x", 400),
    ("url=", 400),
    ("", 400),
    ("url=%00", 400),
    ("url=/a&client_ip=%ED%A0%80", 400),
    ("url=http://[::1]:8081/a", 200),
    ("url=/%ED%A0%80?%zz&method=%C4%80", 200),  # what no wire can bring is a URL that nothing is stored for
    ("url=/a&header=%C4%80:%C4%80&header=:&header=%00&header=host:[::1", 200),
    ("url=/a&header=authorization:%C4%80&header=cookie:%C4%80&header=range:bytes%3D99999999999999999999-", 200),
]


@pytest.mark.parametrize(("query", "status"), QUESTIONS)
@pytest.mark.parametrize("profile", [RFC9111, FASTLY, CLOUDFRONT], ids=lambda one: one.name)
def test_a_question_that_cannot_be_asked_is_the_askers_fault(query: str, status: int, profile: Profile) -> None:
    behavior = Behavior(path="*", key=Key(cookies=("a",), headers=("accept",), host=True), geo=Geo(allow=("DE",)))

    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, behavior, profile=profile) as node:
            reply = await ask(node.admin, f"/explain?{query}")
            assert reply.status == status, reply
            assert "error" in json.loads(reply.body) or status == 200

    asyncio.run(run())
