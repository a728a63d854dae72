"""Distributions that cannot work are refused before anything is changed, and what they take from the file is told."""

import asyncio
import socket
from contextlib import nullcontext
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cdnkit.policy.rules.service import Behavior, Geo
from cdnkit.vendors.cloudfront.distribution import OriginServer, Translated, translate
from cdnlab.control.distributions import translated_from
from cdnlab.control.rest_xml import ApiError, read
from cdnlab.control.takeover import Unworkable, check_origins, gates_lost
from tests.kit.control import Lab, lab
from tests.unit.cdnkit.vendors.cloudfront.test_distribution import CACHING_OPTIMIZED


def config(domain: str = "127.0.0.1", port: int = 9000, **more: Any) -> dict[str, Any]:
    custom = {"HTTPPort": port, "HTTPSPort": 443, "OriginProtocolPolicy": "http-only"}
    origin = {"Id": "lab", "DomainName": domain, "CustomOriginConfig": custom}
    behavior = {"TargetOriginId": "lab", "ViewerProtocolPolicy": "allow-all", "CachePolicyId": CACHING_OPTIMIZED}
    return {
        "CallerReference": "1", "Comment": "", "Enabled": True, "Origins": {"Quantity": 1, "Items": [origin]},
        "DefaultCacheBehavior": behavior, **more,
    }  # fmt: skip


GEO = {"Restrictions": {"GeoRestriction": {"RestrictionType": "whitelist", "Quantity": 1, "Items": ["DE"]}}}

UNWORKABLE = [  # domain, port, what is said
    ("origin.invalid", 9000, "found 'origin.invalid', which has no address here"),
    ("a" * 64 + ".example", 9000, "which has no address here"),  # no label is that long
    ("127.0.0.1", 8081, "found '127.0.0.1:8081', which is a node of this lab"),
    ("0.0.0.0", 8081, "found '0.0.0.0:8081', which is a node of this lab"),
    ("localhost", 8081, "found 'localhost:8081', which is a node of this lab"),
]


@pytest.fixture
def no_such_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a resolver says of ".invalid" (RFC 6761 §6.4), also where there is none to ask."""
    looked_up = socket.getaddrinfo

    def getaddrinfo(host: Any, *more: Any, **named: Any) -> Any:
        if str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return looked_up(host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize(("domain", "port", "said"), UNWORKABLE)
def test_an_origin_that_cannot_be_asked_is_refused_and_nothing_changes(
    domain: str, port: int, said: str, no_such_name: None
) -> None:
    async def test(one: Lab) -> None:
        boto = one.boto()

        async def refused(call: Any, **arguments: Any) -> None:
            with pytest.raises(ClientError) as error:
                await asyncio.to_thread(call, **arguments)
            assert error.value.response["Error"]["Code"] == "InvalidOrigin"
            assert said in error.value.response["Error"]["Message"]

        bad = config(domain, port)
        await refused(boto.create_distribution, DistributionConfig=bad)
        assert one.deployed.told == []
        assert (await asyncio.to_thread(boto.list_distributions))["DistributionList"].get("Items", []) == []
        # Disabled it rules nobody, so it may be prepared; it is looked at when it is enabled.
        made = await asyncio.to_thread(boto.create_distribution, DistributionConfig=bad | {"Enabled": False})
        named = {"Id": made["Distribution"]["Id"], "IfMatch": made["ETag"]}
        await refused(boto.update_distribution, **named, DistributionConfig=bad)
        good = await asyncio.to_thread(boto.update_distribution, **named, DistributionConfig=config())
        assert good["Distribution"]["DistributionConfig"]["Enabled"] is True

    lab(test)


def test_the_gates_that_it_opens_are_named_in_the_answer() -> None:
    async def test(one: Lab) -> None:
        boto = one.boto()
        made = await asyncio.to_thread(boto.create_distribution, DistributionConfig=config())
        fields = made["ResponseMetadata"]["HTTPHeaders"]
        assert fields["cdnlab-warning"] == (
            "no longer checked, although the settings file wants it: "
            "token 'viewer' of behavior '/live/*'; geo of behavior '/live/*'"
        )
        named = {"Id": made["Distribution"]["Id"], "IfMatch": made["ETag"]}
        made = await asyncio.to_thread(boto.update_distribution, **named, DistributionConfig=config(**GEO))
        fields = made["ResponseMetadata"]["HTTPHeaders"]
        assert fields["cdnlab-warning"].endswith("wants it: token 'viewer' of behavior '/live/*'")
        named |= {"IfMatch": made["ETag"]}
        made = await asyncio.to_thread(boto.update_distribution, **named, DistributionConfig=config(Enabled=False))
        assert "cdnlab-warning" not in made["ResponseMetadata"]["HTTPHeaders"]

    lab(test)


def test_a_file_without_gates_loses_none() -> None:
    distribution = Translated((Behavior(path="*"),), (), ())
    assert gates_lost([Behavior(path="*")], distribution) == []
    assert gates_lost([Behavior(path="*", geo=Geo(deny=("KP",)))], distribution) == ["geo of behavior '*'"]


def test_a_name_server_that_does_not_answer_is_waited_for_no_longer_than_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async def never(*_: Any, **__: Any) -> Any:
            await asyncio.Event().wait()

        monkeypatch.setattr("cdnlab.control.takeover.RESOLVED_WITHIN_S", 0.05)
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never, raising=False)
        origin = OriginServer("http://slow.example:80", 10.0, 3, 30.0, {})
        with pytest.raises(Unworkable, match=r"found 'slow.example'.*no answer within 0.05 s"):
            await check_origins(Translated((), (), (origin,)), ())

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(run())


def test_elements_within_one_another_have_a_bound() -> None:
    """Whatever walks a tree by recursion would end in a RecursionError: a 500."""
    assert read(b"<a>" * 50 + b"</a>" * 50, "a").tag == "a"
    for deep in (51, 100_000):
        with pytest.raises(ApiError, match="nested deeper than 50"):
            read(b"<a>" * deep + b"</a>" * deep, "a")


GOOD = """<DistributionConfig><CallerReference>1</CallerReference><Comment/><Enabled>true</Enabled><Origins>
<Quantity>1</Quantity><Items><Origin><Id>lab</Id><DomainName>127.0.0.1</DomainName></Origin></Items></Origins>
<DefaultCacheBehavior><TargetOriginId>lab</TargetOriginId><ViewerProtocolPolicy>allow-all</ViewerProtocolPolicy>
<CachePolicyId>658327ea-f89d-4fab-a63d-7e88639e58f6</CachePolicyId></DefaultCacheBehavior></DistributionConfig>"""

KINDS = [  # in its place: members of another kind than the API's model has, as only a hand-made client sends them
    ("<Origin><Id>lab</Id><DomainName>127.0.0.1</DomainName></Origin>", "<Origin>x</Origin>"),
    ("<Quantity>1</Quantity><Items>", "<Quantity>many</Quantity><Items>"),
    ("<Comment/>", "<CacheBehaviors><Quantity>1</Quantity><Items><CacheBehavior>x</CacheBehavior></Items></CacheBehaviors>"),
    ("<DomainName>127.0.0.1</DomainName>", f"<CustomOriginConfig><HTTPPort>{'9' * 5000}</HTTPPort></CustomOriginConfig>"),
    ("<Comment/>", "<CustomErrorResponses><Quantity>1</Quantity><Items><Item>x</Item></Items></CustomErrorResponses>"),
]  # fmt: skip


@pytest.mark.parametrize(("member", "instead"), KINDS)
def test_a_config_whose_members_are_of_another_kind_is_the_senders_fault(member: str, instead: str) -> None:
    assert translated_from(read(GOOD.encode(), "DistributionConfig"), https=False).origins[0].url
    assert member in GOOD
    with pytest.raises(ApiError) as refused:
        translated_from(read(GOOD.replace(member, instead).encode(), "DistributionConfig"), https=False)
    assert 400 <= refused.value.status < 500


@pytest.mark.parametrize(
    ("asked", "listening", "is_node"),
    [
        ("127.0.0.1", "0.0.0.0", True),
        ("127.0.0.2", "0.0.0.0", True),
        ("0.0.0.0", "127.0.0.1", True),
        ("127.0.0.1", "localhost", True),
        ("127.0.0.2", "127.0.0.1", False),
        ("192.0.2.1", "0.0.0.0", False),  # of nobody (RFC 5737)
    ],
)
def test_an_origin_is_a_node_where_its_address_leads_to_one(asked: str, listening: str, is_node: bool) -> None:
    distribution = translate(config(asked, 8081))
    refusal = pytest.raises(Unworkable, match="is a node of this lab") if is_node else nullcontext()
    with refusal:
        asyncio.run(check_origins(distribution, {(listening, 8081)}))
    asyncio.run(check_origins(distribution, {(listening, 8082)}))
