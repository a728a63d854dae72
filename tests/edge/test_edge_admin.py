"""Who may give orders to a node: with an admin_token, who holds it."""

import asyncio
import json
from typing import Any

import pytest

from edge.purges.order import BadOrder, order_as_json, purge_order
from tests.kit.http import ask
from tests.kit.node import running_node
from tests.kit.origin import running_origin


def test_purge_and_explain_want_the_token_and_health_does_not() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, admin_token="s3cr3t") as node:
            origin.says("/a", b"v1", cache_control="max-age=60")
            await node.get("/a")
            order = json.dumps({"everything": True}).encode()
            for fields in ({}, {"authorization": "Bearer wrong"}, {"authorization": "s3cr3t"}):
                purge = await ask(node.admin, "/purge", method="POST", body=order, **fields)
                explain = await ask(node.admin, "/explain?url=/a", **fields)
                assert (purge.status, explain.status) == (401, 401)
                assert purge["www-authenticate"] == "Bearer"
            assert (await node.health())["stored_responses"] == 1
            good = {"authorization": "Bearer s3cr3t"}
            assert (await ask(node.admin, "/explain?url=/a", **good)).status == 200
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
    ({"keys": ["a"]}, "found keys; wanted url, prefix, surrogate_key, surrogate_keys, everything, soft and service"),
]


@pytest.mark.parametrize(("sent", "said"), WRONG, ids=[str(row[0]) for row in WRONG])
def test_what_is_no_order_is_refused_with_what_was_wanted(sent: Any, said: str) -> None:
    with pytest.raises(BadOrder) as refused:
        purge_order(sent)
    assert said in str(refused.value)
