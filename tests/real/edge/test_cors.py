"""CORS as a browser meets it, through a real node: preflight, answer, error; over one connection and many."""

import asyncio

from cdnkit.policy.rules.response_headers import Cors, ResponseHeaders
from cdnkit.policy.rules.service import Behavior, Geo
from tests.kit.http import ask
from tests.kit.node import running_node
from tests.kit.origin import running_origin

A, B = "https://a.example", "https://b.example"


def test_a_player_on_each_of_two_sites() -> None:
    async def run() -> None:
        rule = Behavior(path="*", response_headers_policy="player", geo=Geo(deny=("KP",), unknown="allow"))
        cors = Cors(origins=(A, B), methods=("GET",), headers=("Range",), preflight="answer")
        player = {"player": ResponseHeaders(cors=cors, set={"X-Robots-Tag": "noindex"})}
        async with (
            running_origin() as origin,
            running_node(origin.url, rule, service={"response_headers": player}) as node,
        ):
            origin.says("/a", b"body", cache_control="max-age=60")
            origin.says("/b", b"body", cache_control="max-age=60")
            preflight = await ask(node.url, "/a", method="OPTIONS", origin=A, access_control_request_method="GET")
            assert (preflight.status, preflight.body, preflight["access-control-allow-headers"]) == (204, b"", "Range")
            assert (await node.get("/a"))["access-control-allow-origin"] is None
            for site in (A, B, A):
                reply = await node.get("/a", origin=site)
                assert reply.body == b"body" and "hit" in str(reply["cache-status"])
                assert reply["access-control-allow-origin"] == site and reply["x-robots-tag"] == "noindex"
            part = await node.get("/a", origin=B, range="bytes=0-1")
            assert (part.status, part.body, part["access-control-allow-origin"]) == (206, b"bo", B)
            missing = await node.get("/nothing", origin=B)
            assert (missing.status, missing["access-control-allow-origin"]) == (404, B)
            many = await asyncio.gather(*(node.get("/b", origin=site) for site in (A, B) * 20))
            assert [one["access-control-allow-origin"] for one in many] == [A, B] * 20
            assert (origin.count["/a"], origin.count["/b"]) == (1, 1)

    asyncio.run(run())
