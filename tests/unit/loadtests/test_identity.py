"""Who viewers say they are."""

from ipaddress import ip_address, ip_network
from uuid import UUID

import iptocc
import pytest

from loadtests.errors import BadTarget
from loadtests.identity import NETWORKS, Target, address, networks_of, parse_target, session_id


@pytest.mark.parametrize("country", sorted(NETWORKS))
def test_a_country_s_network_lies_in_it(country: str) -> None:
    for index in (0, 1, 999, 60_000):
        assert iptocc.country_code(address((NETWORKS[country],), index)) == country


def test_the_lab_s_own_networks_come_first() -> None:
    table = {"203.0.113.0/24": "DE", "198.51.100.0/24": "DE", "192.0.2.0/24": "US"}
    assert networks_of(("DE", "FR"), table) == ("203.0.113.0/24", "198.51.100.0/24", NETWORKS["FR"])
    assert networks_of((), table) == ()
    regions = {"203.0.113.0/24": "US-CA", "198.51.100.0/24": "US-NY"}
    assert networks_of(("US",), regions) == ("203.0.113.0/24", "198.51.100.0/24")
    assert networks_of(("US-NY",), regions) == ("198.51.100.0/24",)
    with pytest.raises(BadTarget, match="XX"):
        networks_of(("XX",), table)


def test_every_viewer_has_an_address_of_its_own() -> None:
    networks = ("203.0.113.0/24", "2001:db8::/64")
    given = [address(networks, index) for index in range(500)]
    assert len(set(given)) == 500
    for index, text in enumerate(given):
        assert ip_address(text) in ip_network(networks[index % 2])
    assert "203.0.113.0" not in given and "203.0.113.255" not in given
    assert address(("192.0.2.7/32",), 5) == "192.0.2.7"
    assert address((), 5) == ""


def test_session_ids_are_uuids_and_differ() -> None:
    ids = {session_id(7, f"fra/{turn}") for turn in range(1000)} | {session_id(8, "fra/0"), session_id(7, "nyc/0")}
    assert len(ids) == 1002
    assert all(str(UUID(one)) == one for one in ids)
    assert session_id(7, "fra/0") == session_id(7, "fra/0")


def test_targets() -> None:
    assert parse_target("fra=http://127.0.0.1:8081/") == Target("fra", "http://127.0.0.1:8081")
    assert parse_target("fra=http://e=10.0.0.0/8,192.0.2.0/24").networks == ("10.0.0.0/8", "192.0.2.0/24")
    for wrong in ("fra", "=http://e", "http://e", "fra=e:80", "fra=http://e=10.0.0.300/8"):
        with pytest.raises(BadTarget, match="wanted"):
            parse_target(wrong)
