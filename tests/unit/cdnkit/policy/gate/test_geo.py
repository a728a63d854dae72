"""Places and rules: what each kind of entry means, which wins, and what a viewer of unknown place gets."""

from ipaddress import ip_address, ip_network
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cdnkit.policy.gate.gate import Node, ServiceGate
from cdnkit.policy.gate.geo import GeoCheck
from cdnkit.policy.gate.limits import UNLIMITED
from cdnkit.policy.http.messages import Headers, RequestHead, ResponseHead
from cdnkit.policy.http.place import NOWHERE, NetworkTable, Place, address_of, is_public
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.outcomes import RefusalKind
from cdnkit.policy.plan import Fetch, Refuse, Serve
from cdnkit.policy.rules.places import PlaceKind, kind_of
from cdnkit.policy.rules.profile import RFC9111
from cdnkit.policy.rules.service import Behavior, Geo, Service
from cdnkit.vendors import CLOUDFRONT
from tests.kit.refusals import first_refusal

NOW = 1_795_000_000.0
DE, KP, US_CA = Place("DE"), Place("KP"), Place("US", "CA", asn=64500)

VERDICTS = [  # rule, place, address, served, why
    (Geo(deny=("KP",)), KP, "", False, "KP is denied"),
    (Geo(deny=("KP",)), DE, "", True, "DE is not denied"),
    (Geo(allow=("DE", "FR")), DE, "", True, "DE is allowed"),
    (Geo(allow=("DE", "FR")), US_CA, "", False, "US-CA is not allowed"),
    # a country covers its regions, a region not its country
    (Geo(deny=("US",)), US_CA, "", False, "US is denied"),
    (Geo(deny=("US-CA",)), US_CA, "", False, "US-CA is denied"),
    (Geo(deny=("US-CA",)), Place("US"), "", True, "US is not denied"),
    (Geo(allow=("US-CA",)), Place("US"), "", False, "US is not allowed"),
    # the narrower list wins where it refuses
    (Geo(allow=("US",), deny=("US-CA",)), US_CA, "", False, "US-CA is denied"),
    (Geo(allow=("US",), deny=("US-CA",)), Place("US", "NY"), "", True, "US is allowed"),
    (Geo(allow=("US",), deny=("AS64500",)), US_CA, "", False, "AS64500 is denied"),
    (Geo(deny=("AS6450",)), US_CA, "", True, "US-CA is not denied"),
    (Geo(deny=("198.51.100.0/24",)), DE, "198.51.100.7", False, "198.51.100.0/24 is denied"),
    (Geo(deny=("198.51.100.0/24",)), DE, "::ffff:198.51.100.7", False, "198.51.100.0/24 is denied"),
    (Geo(deny=("198.51.100.0/24",)), DE, "203.0.113.7", True, "DE is not denied"),
    (Geo(allow=("2001:db8::/32",)), DE, "2001:db8::1", True, "2001:db8::/32 is allowed"),
    (Geo(allow=("203.0.113.0/24",)), DE, "", False, "DE is not allowed"),  # no address: no network has it
    # what the database marks
    (Geo(anonymous="deny"), Place("DE", anonymous=True), "", False, "anonymous networks are denied"),
    (Geo(hosting="deny"), Place("DE", hosting=True), "", False, "hosting networks are denied"),
    (Geo(allow=("DE",), anonymous="deny"), Place("DE", anonymous=True), "", False, "anonymous networks are denied"),
    (Geo(anonymous="deny"), Place("DE", hosting=True), "", True, "DE is not denied"),
    (Geo(deny=("KP",)), Place("DE", anonymous=True, hosting=True), "", True, "DE is not denied"),
    # unknown
    (Geo(deny=("KP",)), NOWHERE, "", False, "country unknown"),
    (Geo(deny=("KP",), unknown="allow"), NOWHERE, "", True, "country unknown"),
    (Geo(allow=("DE",), unknown="allow"), NOWHERE, "", True, "country unknown"),
    (Geo(allow=("AS64500",)), Place(asn=64500), "", True, "AS64500 is allowed"),  # no country is asked for
    (Geo(deny=("AS64500",), unknown="allow"), Place(asn=64500), "", False, "AS64500 is denied"),
    (Geo(anonymous="deny", unknown="allow"), Place(anonymous=True), "", False, "anonymous networks are denied"),
]  # fmt: skip


@pytest.mark.parametrize(("geo", "place", "address", "served", "why"), VERDICTS)
def test_verdicts(geo: Geo, place: Place, address: str, served: bool, why: str) -> None:
    check = GeoCheck(geo)
    refusal = check.refusal(get("/", place, address), NOW)
    assert (refusal is None, check.explanation(place, address)) == (served, why)
    assert refusal is None or (refusal.kind, refusal.reason) == (RefusalKind.GEO, f"geo: {why}")


UNKNOWN = [  # profile, what the behavior says, refused
    (RFC9111, None, True),
    (RFC9111, "allow", False),
    (CLOUDFRONT, None, False),  # "Restrict the geographic distribution": who cannot be placed is served
    (CLOUDFRONT, "deny", True),
]


@pytest.mark.parametrize(("profile", "unknown", "refused"), UNKNOWN)
def test_who_cannot_be_placed_is_the_profiles_to_judge(profile: object, unknown: object, refused: bool) -> None:
    service = Service(behaviors=(Behavior(path="*", geo=Geo(deny=("KP",), unknown=unknown)),))  # type: ignore[arg-type]
    plan = EdgeMachine(service, profile).on_request(get("/a", NOWHERE), NOW)  # type: ignore[arg-type]
    assert isinstance(plan, Refuse) is refused


KINDS = [
    ("DE", PlaceKind.COUNTRY), ("US-CA", PlaceKind.REGION), ("GB-ENG", PlaceKind.REGION), ("FR-75", PlaceKind.REGION), ("AS", PlaceKind.COUNTRY),
    ("AS1", PlaceKind.ASN), ("AS4294967295", PlaceKind.ASN), ("10.0.0.0/8", PlaceKind.NETWORK), ("10.0.0.1", PlaceKind.NETWORK),
    ("2001:db8::/32", PlaceKind.NETWORK),
    ("de", None), ("DEU", None), ("US_CA", None), ("US-", None), ("AS0", None), ("as1", None), ("10.0.0.1/8", None), ("", None),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "kind"), KINDS)
def test_an_entry_says_by_its_form_what_it_names(entry: str, kind: PlaceKind | None) -> None:
    assert kind_of(entry) is kind


@pytest.mark.parametrize("lists", [{"allow": ["de"]}, {"deny": ["DE", "Germany"]}, {"allow": ["DE"], "deny": ["KP"]}])
def test_what_a_rule_may_not_say(lists: dict[str, list[str]]) -> None:
    with pytest.raises(ValidationError, match="wanted"):
        Geo(**lists)  # type: ignore[arg-type]


def test_the_longest_prefix_wins() -> None:
    table = NetworkTable({"10.0.0.0/8": "DE", "10.1.0.0/16": "FR", "10.1.2.0/24": "US", "2001:db8::/32": "NL"}.items())
    for address, country in [("10.9.9.9", "DE"), ("10.1.9.9", "FR"), ("10.1.2.3", "US"), ("11.0.0.1", None)]:
        assert table.get(ip_address(address)) == country
    assert table.get(ip_address("2001:db8::1")) == "NL"
    assert table.get(ip_address("::a01:203")) is None  # 10.1.2.3 as a number of the other family


networks = st.builds(
    lambda address, length: ip_network((address, length), strict=False),
    st.integers(0, 2**32 - 1),
    st.integers(0, 32),
)


@given(st.dictionaries(networks, st.integers(0, 9), max_size=12), st.integers(0, 2**32 - 1))
def test_the_table_agrees_with_a_scan_of_all_networks(rows: dict[object, int], number: int) -> None:
    address = ip_address(number)
    holding = [network for network in rows if address in network]  # type: ignore[operator]
    expected = rows[max(holding, key=lambda network: network.prefixlen)] if holding else None  # type: ignore[attr-defined]
    assert NetworkTable((str(network), value) for network, value in rows.items()).get(address) == expected


ADDRESSES = [  # text, unwrapped, whether it may be somebody's
    ("8.8.8.8", "8.8.8.8", True),
    ("::ffff:8.8.8.8", "8.8.8.8", True),
    ("::ffff:10.0.0.1", "10.0.0.1", False),
    ("2001:4860:4860::8888", "2001:4860:4860::8888", True),
    ("127.0.0.1", "127.0.0.1", False),
    ("192.0.2.1", "192.0.2.1", False),
    ("100.64.0.1", "100.64.0.1", False),
    ("169.254.1.1", "169.254.1.1", False),
    ("224.0.0.1", "224.0.0.1", False),
    ("fe80::1", "fe80::1", False),
    ("2001:db8::1", "2001:db8::1", False),
    ("ff02::1", "ff02::1", False),
]


@pytest.mark.parametrize(("text", "unwrapped", "public"), ADDRESSES)
def test_addresses(text: str, unwrapped: str, public: bool) -> None:
    address = address_of(text)
    assert address is not None and str(address) == unwrapped
    assert is_public(address) is public


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.4:80", "[::1]", "٣.1.1.1"])
def test_what_is_no_address(text: str) -> None:
    assert address_of(text) is None


# ---- the verdict is the viewer's, not the stored response's ---------------------------------------------------------

RULES = (
    Behavior(path="/de/*", geo=Geo(allow=("DE",), unknown="deny")),
    Behavior(path="/not-kp/*", geo=Geo(deny=("KP", "AS64500", "US-CA", "198.51.100.0/25"), unknown="allow")),
    Behavior(path="/people/*", geo=Geo(anonymous="deny", hosting="deny", unknown="allow")),
    Behavior(path="*"),
)
PLACES = (NOWHERE, DE, KP, US_CA, Place("US"), Place("DE", anonymous=True), Place("FR", hosting=True))


def get(path: str, place: Place, client_ip: str = "198.51.100.7") -> RequestHead:
    return RequestHead("GET", "http", "h", path, None, Headers(), client_ip, place)


def test_a_hit_is_judged_as_afresh_a_hundred_thousand_times() -> None:
    """S16 of the field's scenarios: a decision that was cached with the answer serves whom it should refuse."""
    service = Service(behaviors=RULES)
    edge, chance = EdgeMachine(service), Random(5)
    node = Node(service, RFC9111, UNLIMITED, lambda path: None)
    paths = [f"/{place}/{number}" for place in ("de", "not-kp", "people", "all") for number in range(5)]
    refused = hits = 0
    for number in range(100_000):
        request = get(chance.choice(paths), chance.choice(PLACES), f"198.51.100.{chance.randrange(256)}")
        plan = edge.on_request(request, NOW + number / 1000)
        if isinstance(plan, Fetch):
            answer = ResponseHead(200, Headers([("cache-control", "max-age=60"), ("content-length", "1")]))
            edge.on_response(plan, answer, NOW + number / 1000)
            edge.on_body_end(plan, 1, NOW + number / 1000)
        checks = ServiceGate(service, {}).checks_of(edge.view.rule_of(request).behavior, None, node)
        afresh = first_refusal(checks, request, NOW)
        assert isinstance(plan, Refuse) is (afresh is not None), request
        if afresh is not None:
            assert isinstance(plan, Refuse) and (plan.status, plan.reason) == (403, afresh.reason)
        refused, hits = refused + isinstance(plan, Refuse), hits + isinstance(plan, Serve)
    assert refused > 20_000 and hits > 20_000
