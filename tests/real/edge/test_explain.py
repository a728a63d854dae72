"""`cdnlab explain` over a real node: the same facts as JSON and on a terminal, before and after what changes them."""

import asyncio
import json
import sys
from typing import Any
from urllib.parse import urlencode

import pytest

from cdnkit.policy.rules.service import Behavior, ErrorPage, Geo, Key, Ttl
from cdnkit.vendors import CLOUDFRONT, FASTLY
from tests.kit.http import ask
from tests.kit.loops import uvloop_alone  # noqa: F401
from tests.kit.node import Running, running_node
from tests.kit.origin import running_origin

pytestmark = pytest.mark.long


async def told(node: Running, target: str, *headers: str, method: str = "GET") -> dict[str, Any]:
    query = urlencode([("url", target), ("method", method), *(("header", header) for header in headers)])
    return json.loads((await ask(node.admin, f"/explain?{query}")).body)


async def printed(node: Running, *arguments: str) -> str:
    """What a person sees, a hundred and fifty columns wide."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cdnlab", "explain", *arguments, "--admin", node.admin,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env={"COLUMNS": "150", "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    out, _ = await process.communicate()
    return out.decode()


def test_every_part_of_the_key_every_instant_and_every_word_with_its_rule() -> None:
    async def run() -> None:
        behavior = Behavior(path="*", key=Key(query_except=("u",), headers=("X-Kind",)), stale_if_error=120.0)
        async with running_origin() as origin, running_node(origin.url, behavior, profile=FASTLY) as node:
            origin.says(
                "/a", b"hello", etag='"1"', surrogate_control="max-age=60, stale-while-revalidate=30",
                cache_control="max-age=5, stale-if-error=600", surrogate_key="k1 k2",
            )  # fmt: skip
            await node.get("/a?v=1&u=7", x_kind="tv", accept_encoding="gzip, br")
            # The host is the node's own unless the URL or a Host field says otherwise.
            facts = await told(node, "/a?v=1&u=7", "X-Kind: tv", "Accept-Encoding: gzip, br")
            host = node.url.removeprefix("http://")
            assert facts["key_parts"] == [["path", "/a"], ["query", "v=1"], ["host", host], ["x-kind", "tv"]]
            assert facts["not_in_key"] == ["u=7"] and facts["next"] == "hit"
            (entry,) = facts["stored"]
            assert entry["lifetime"] == "surrogate-control: 60 s" and 50 < entry["fresh_for"] <= 60
            by = {
                name: (entry[f"{name}_by"], round(entry[f"{name}_for"] - entry["fresh_for"]))
                for name in ("refreshable", "fallback", "unreachable")
            }
            assert by == {
                "refreshable": ("stale-while-revalidate", 30), "fallback": ("behavior.stale_if_error", 120),
                "unreachable": ("behavior.stale_if_error", 120),
            }  # fmt: skip
            assert {(note["word"], note["used"]) for note in entry["read"]} == {
                ("max-age=60", True), ("stale-while-revalidate=30", True), ("max-age=5", False), ("stale-if-error=600", False),
            }  # fmt: skip
            other = await told(node, "/a?v=1", "X-Kind: tv", "Host: elsewhere")
            assert other["stored"] == [] and other["next"] == "fetch from the parent (cold)"
            page = await printed(node, "/a?v=1&u=7", "-H", "X-Kind: tv")
            for words in (
                "fra (fastly), asked for GET /a?v=1&u=7\n", "next         hit", "query v=1", "x-kind tv", "not in it: u=7",
                "surrogate-control: 60 s", "more, at most (behavior.stale_if_error)", 'ETag "1"', "k1 k2",
                "until its room is needed",
            ):  # fmt: skip
                assert words in page, page
            assert ["ignored", "cache-control: max-age=5", "surrogate-control wins"] in [
                [part.strip() for part in line.split("   ") if part.strip()] for line in page.splitlines()
            ]
            passed = await told(node, "/a?v=1", method="DELETE")
            assert passed["next"] == "pass: ask the parent for this request alone"

    asyncio.run(run())


def test_a_held_failure_and_a_mark_say_until_when_and_why() -> None:
    async def run() -> None:
        async with running_node("http://127.0.0.1:1", profile=CLOUDFRONT) as node:
            assert (await told(node, "/a"))["failing"] is None
            assert (await node.get("/a")).status == 502
            facts = await told(node, "/a")
            assert (facts["failing"]["status"], facts["failing"]["reason"]) == (502, "origin: connect-refused")
            assert 8 < facts["failing"]["for"] <= 10 and facts["alone"] is None
            assert facts["next"].startswith("502 origin: connect-refused, without asking for ")
            assert "the parent gets no request; each request gets 502 origin: connect-refused" in await printed(
                node, "/a"
            )
        async with running_origin() as origin, running_node(origin.url, profile=FASTLY) as node:
            origin.says("/p", b"x", cache_control="private")
            await node.get("/p")
            facts = await told(node, "/p")
            assert facts["alone"]["why"] == "private" and 110 < facts["alone"]["for"] <= 120
            assert "each request is fetched by itself; the last response: private" in await printed(node, "/p")

    asyncio.run(run())


def test_pages_and_refusals_are_told_with_what_is_shown_instead() -> None:
    rules = (
        Behavior(path="/e/*"),
        Behavior(path="/closed/*", geo=Geo(deny=("KP",)), methods="GET, HEAD"),
        Behavior(path="*", ttl=Ttl(min=0.0)),
    )
    pages = (
        ErrorPage(status=404, page="/e/none.html", response_status=200),
        ErrorPage(status=403, page="/e/denied.html", response_status=403),
    )

    async def run() -> None:
        async with (
            running_origin() as origin,
            running_node(
                origin.url, *rules, profile=CLOUDFRONT, service={"error_pages": pages}, countries={"127.0.0.0/8": "KP"}
            ) as node,
        ):
            origin.says("/e/none.html", b"none", cache_control="max-age=60")
            assert (await node.get("/gone")).status == 200
            facts = await told(node, "/gone")
            assert facts["next"] == "hit; shown /e/none.html instead, as a 200"
            assert facts["pages"][0] == {"status": 404, "page": "/e/none.html", "response_status": 200}
            assert (await told(node, "/closed/a"))["next"] == (
                "refused: 403 geo: KP is denied; shown /e/denied.html instead, as a 403"
            )
            refused = await told(node, "/closed/a", method="POST")
            assert refused["next"] == "refused: 403 method: POST is not let through here"
            assert refused["gate"]["refused"] == 403
            page = await printed(node, "/gone")
            assert "error pages  404: /e/none.html as 200, 403: /e/denied.html as 403" in page

    asyncio.run(run())


def test_what_is_no_field_is_refused() -> None:
    async def run() -> None:
        async with running_node("http://127.0.0.1:1") as node:
            said = await printed(node, "/a", "-H", "no colon")
            assert "--header: found 'no colon', wanted a field such as 'Range: bytes=0-99'" in said

    asyncio.run(run())


def test_a_request_beyond_the_nodes_own_limits_is_told_so() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url, limits={"url": "256B"}) as node:
            long = "/a?" + "u" * 300
            assert (await node.get(long)).status == 414
            gate = (await told(node, long))["gate"]
            assert gate["refused"] == 414 and gate["reason"] == "limit: the URL has 303 bytes, 256 are taken"

    asyncio.run(run())


def test_an_octet_that_is_no_utf_8_is_asked_for_as_it_is() -> None:
    async def run() -> None:
        async with running_origin() as origin, running_node(origin.url) as node:
            asked = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "cdnlab", "explain", b"/\xff", "-H", b"Accept: \xff", "--admin", node.admin, "--json",
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            out, err = await asked.communicate()
            assert (asked.returncode, err) == (0, b"") and json.loads(out)["node"] == "fra"

    asyncio.run(run())
