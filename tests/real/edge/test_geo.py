"""Places through a real node, every viewer on loopback: fifty countries, proxies in front, a shield behind."""

import asyncio
import json
from pathlib import Path
from urllib.parse import urlencode

import pytest

from cdnkit.policy.rules.service import Behavior, Geo
from cdnkit.settings.edge import Whereabouts
from loadtests.identity import NETWORKS, address
from tests.kit.http import ask
from tests.kit.node import Running, running_node
from tests.kit.origin import running_origin

TABLE = Whereabouts(
    countries={"203.0.113.0/24": "DE", "198.51.100.0/24": "KP", "192.0.2.0/24": "US-CA"},
    asns={"192.0.2.0/25": 64500},
    anonymous=("203.0.113.128/25",),
)
DE, KP, US = "203.0.113.9", "198.51.100.9", "192.0.2.9"


def test_fifty_countries_from_loopback(tmp_path: Path) -> None:
    """The networks that load tests take viewers from; half of the countries are served, and each hit is judged too."""
    served = tuple(sorted(NETWORKS)[::2])
    records = tmp_path / "fra.jsonl"

    async def run() -> None:
        rule = Behavior(path="*", geo=Geo(allow=served))
        async with running_origin() as origin, running_node(origin.url, rule, records=records) as node:
            origin.says("/a", b"body", cache_control="max-age=60")
            for country, network in NETWORKS.items():
                for viewer in range(2):
                    ip = address((network,), viewer)
                    reply = await node.get("/a", cdnlab_client_ip=ip)
                    if country in served:
                        assert (reply.status, reply.body) == (200, b"body"), country
                    else:
                        assert (reply.status, reply.body) == (403, f"403 geo: {country} is not allowed\n".encode())
            assert (await node.get("/a")).body == b"403 geo: country unknown\n"  # 127.0.0.1 itself
            assert len(NETWORKS) == 50 and origin.count["/a"] == 1

    asyncio.run(run())
    lines = [json.loads(line) for line in records.read_text().splitlines()]
    asked = [line for line in lines if line["kind"] == "request"]
    by_country = {line["country"]: line["outcome"] for line in asked if line["client_ip"] != "127.0.0.1"}
    assert by_country == {country: "hit" if country in served else "refused" for country in NETWORKS}
    assert {line["refusal"] for line in asked if line["outcome"] == "refused"} == {"geo"}
    assert {line["refusal"] for line in asked if line["outcome"] != "refused"} == {None}


def test_finer_rules_and_a_refused_head() -> None:
    async def run() -> None:
        rules = (
            Behavior(path="/region", geo=Geo(deny=("US-CA",), unknown="allow")),
            Behavior(path="/operator", geo=Geo(deny=("AS64500",), unknown="allow")),
            Behavior(path="/network", geo=Geo(deny=("203.0.113.0/28",), unknown="allow")),
            Behavior(path="/people", geo=Geo(anonymous="deny", unknown="allow")),
        )
        async with running_origin() as origin, running_node(origin.url, *rules, geo=TABLE) as node:
            for path, refused, other in [
                ("/region", US, DE), ("/operator", US, "192.0.2.200"), ("/network", DE, "203.0.113.99"),
                ("/people", "203.0.113.200", DE),
            ]:  # fmt: skip
                origin.says(path, b"x", cache_control="max-age=60")
                assert (await node.get(path, cdnlab_client_ip=other)).status == 200
                assert (await node.get(path, cdnlab_client_ip=refused)).status == 403
                head = await ask(node.url, path, method="HEAD", cdnlab_client_ip=refused)
                body = (await node.get(path, cdnlab_client_ip=refused)).body
                assert (head.status, head["content-length"], head.body) == (403, str(len(body)), b"")

    asyncio.run(run())


FORGERIES = {
    "cdnlab_client_ip": DE, "x_forwarded_for": DE, "forwarded": f"for={DE}", "fastly_client_ip": DE,
    "cloudfront_viewer_address": f"{DE}:1", "x_real_ip": DE, "true_client_ip": DE, "client_ip": DE,
}  # fmt: skip


def test_nobody_names_himself_to_a_node_that_trusts_nobody() -> None:
    async def run() -> None:
        rule = Behavior(path="*", geo=Geo(allow=("DE",)))
        every = ("CDNLab-Client-IP", "X-Forwarded-For", "Forwarded", "CloudFront-Viewer-Address", "Fastly-Client-IP")
        async with (
            running_origin() as origin,
            running_node(origin.url, rule, geo=TABLE, trusted=(), client_from=every) as node,
        ):
            for name, value in FORGERIES.items():
                assert (await node.get("/a", **{name: value})).status == 403, name
            assert (await node.get("/a", **FORGERIES)).status == 403
            assert origin.asked == []

    asyncio.run(run())


PROXIES = [  # the field the proxy in front writes, what it writes for a viewer in KP
    ("X-Forwarded-For", f"{DE}, {KP}"),
    ("Forwarded", f'for={DE}, for="{KP}:4711";proto=https'),
    ("CloudFront-Viewer-Address", f"{KP}:46532"),
    ("Fastly-Client-IP", KP),
]


@pytest.mark.parametrize(("field", "written"), PROXIES)
def test_a_trusted_proxy_is_believed_for_the_field_it_writes_and_for_no_other(field: str, written: str) -> None:
    async def run() -> None:
        rule = Behavior(path="*", geo=Geo(deny=("KP",), unknown="allow"))
        async with running_origin() as origin, running_node(origin.url, rule, geo=TABLE, client_from=(field,)) as node:
            origin.says("/a", b"body")
            name = field.lower().replace("-", "_")
            forged = {other: value for other, value in FORGERIES.items() if other != name}
            reply = await node.get("/a", **{**forged, name: written})
            assert (reply.status, reply.body) == (403, b"403 geo: KP is denied\n")
            assert (await node.get("/a", **{name: written.replace(KP, US)})).status == 200
            # For an edge that stands in front of viewers by itself, load tests alone may speak.
        async with running_origin() as origin, running_node(origin.url, rule, geo=TABLE) as node:
            origin.says("/a", b"body")
            assert (await node.get("/a", **{name: written})).status == 200

    asyncio.run(run())


def test_a_shield_knows_its_edges_viewers(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            running_origin() as origin,
            running_node(origin.url, name="shield", records=tmp_path / "s.jsonl", service={"gate": False}) as shield,
            running_node(shield.url, geo=TABLE) as edge,
        ):
            origin.says("/a", b"body", cache_control="no-store")
            await edge.get("/a", cdnlab_client_ip=KP, x_forwarded_for=DE)
            # What a viewer wrote stays on the left; behind it each node adds the address it counted.
            assert origin.asked[0].headers.first("x-forwarded-for") == f"{DE}, {KP}, {KP}"
            assert "cdnlab-client-ip" not in origin.asked[0].headers

    asyncio.run(run())
    (asked,) = (
        one for one in map(json.loads, (tmp_path / "s.jsonl").read_text().splitlines()) if one["kind"] == "request"
    )
    assert (asked["client_ip"], asked["from_node"], asked["country"]) == (KP, "fra", "")


async def explained(node: Running, url: str, **query: str) -> dict[str, object]:
    reply = await ask(node.admin, "/explain?" + urlencode({"url": url, **query}))
    return {"status": reply.status, **json.loads(reply.body)}


def test_explain_tells_place_source_and_rule() -> None:
    async def run() -> None:
        rule = Behavior(path="*", geo=Geo(deny=("KP", "AS64500"), unknown="allow"))
        async with running_node("http://127.0.0.1:1", rule, geo=TABLE) as node:
            told = await explained(node, "/a", client_ip=US)
            assert told["viewer"] == {
                "client_ip": US, "country": "US", "region": "CA", "asn": 64500, "anonymous": False, "hosting": False,
                "told_by": {
                    "country": "[geo] countries 192.0.2.0/24", "region": "[geo] countries 192.0.2.0/24",
                    "asn": "[geo] asns 192.0.2.0/25",
                },
                "geo": "AS64500 is denied",
            }  # fmt: skip
            assert told["gate"]["reason"] == "geo: AS64500 is denied"  # type: ignore[index]
            told = await explained(node, "/a", header=f"CDNLab-Client-IP: {DE}")
            assert told["viewer"]["geo"] == "DE is not denied" and told["gate"]["refused"] is None  # type: ignore[index]
            told = await explained(node, "/a", client_ip="8.8.8.8")
            assert str(told["viewer"]["told_by"]["country"]).startswith("iptocc ")  # type: ignore[index]
            assert (await explained(node, "/a", client_ip="nobody"))["status"] == 400

    asyncio.run(run())
