"""Who may give orders to a node: with an admin_token, who holds it."""

import asyncio
import json

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
