"""MMDB files that a test writes, read as the node reads them; what is no such file is said at the start."""

import logging
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from random import Random
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from cdnkit.geo.databases import BadDatabase, Mmdb, facts_of, open_databases
from cdnkit.policy.http.client import ClientField, canonical, claim_in, named_in
from cdnkit.policy.http.messages import Headers
from cdnkit.policy.http.place import NOWHERE, Place
from cdnkit.settings.edge import Whereabouts
from edge.viewers import Viewers

CITY = {
    "1.2.0.0/16": {"country": {"iso_code": "US"}, "subdivisions": [{"iso_code": "CA"}, {"iso_code": "XX"}]},
    "1.2.3.0/24": {"country": {"iso_code": "US"}},
    "2a00::/16": {"country": {"iso_code": "DE"}, "subdivisions": []},
    "1.9.0.0/16": {"registered_country": {"iso_code": "AU"}},
    "203.0.113.0/24": {"country": {"iso_code": "AU"}},
}
ASN = {"1.2.0.0/16": {"autonomous_system_number": 64500, "autonomous_system_organization": "An operator"}}
ANONYMOUS = {"1.2.3.0/24": {"is_anonymous": True, "is_anonymous_vpn": True, "is_hosting_provider": True}}


def written(path: Path, rows: dict[str, Any], kind: str = "Test-City", ip_version: int = 6) -> str:
    writer = MMDBWriter(ip_version=ip_version, database_type=kind, ipv4_compatible=ip_version == 6, int_type="u32")
    for network, record in rows.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(path))
    return str(path)


def viewers(tmp_path: Path, **geo: Any) -> Viewers:
    databases = [
        written(tmp_path / "city.mmdb", CITY),
        written(tmp_path / "asn.mmdb", ASN, "Test-ASN"),
        written(tmp_path / "anonymous.mmdb", ANONYMOUS, "Test-Anonymous-IP"),
    ]
    return Viewers(Whereabouts(databases=databases, **geo), trusted=(), believed=())


PLACES = [  # address, where it is
    ("1.2.9.9", Place("US", "CA", 64500)),
    ("1.2.3.4", Place("US", "", 64500, anonymous=True, hosting=True)),
    ("::ffff:1.2.9.9", Place("US", "CA", 64500)),
    ("2a00::1", Place("DE")),
    ("1.9.0.1", Place("AU")),  # where it was registered, for want of better
    ("1.3.0.1", NOWHERE),
    ("203.0.113.9", NOWHERE),  # the database knows it, but it is nobody's: documentation
    ("127.0.0.1", NOWHERE),
    ("not an address", NOWHERE),
    ("", NOWHERE),
]


@pytest.mark.parametrize(("ip", "place"), PLACES)
def test_several_files_tell_of_one_place(tmp_path: Path, ip: str, place: Place) -> None:
    assert viewers(tmp_path).place_of(ip) == place


def test_the_settings_tables_come_first_and_say_so(tmp_path: Path) -> None:
    who = viewers(
        tmp_path, countries={"1.2.9.0/24": "FR", "203.0.113.0/24": "GB-ENG"}, asns={"203.0.113.0/25": 64501},
        anonymous=["203.0.113.0/24"], hosting=["1.2.9.9/32"],
    )  # fmt: skip
    # The file's region is one of the country it tells, so it does not go with another country.
    assert who.place_of("1.2.9.9") == Place("FR", "", 64500, hosting=True)
    told = dict(who.place_of("1.2.9.9").sources)
    today = datetime.now(UTC)
    assert told["country"] == "[geo] countries 1.2.9.0/24" and told["hosting"] == "[geo] hosting 1.2.9.9/32"
    assert told["asn"] == f"asn.mmdb (Test-ASN, {today:%Y-%m-%d})"
    assert who.place_of("203.0.113.9") == Place("GB", "ENG", 64501, anonymous=True)
    assert who.place_of("203.0.113.200") == Place("GB", "ENG", anonymous=True)


def test_the_first_file_that_knows_a_fact_tells_it(tmp_path: Path) -> None:
    first = written(tmp_path / "first.mmdb", {"1.2.9.0/24": {"country": {"iso_code": "NZ"}}}, ip_version=4)
    city = written(tmp_path / "city.mmdb", CITY)
    who = Viewers(Whereabouts(databases=(first, city)), trusted=(), believed=())
    assert who.place_of("1.2.9.9") == Place("NZ") and who.place_of("1.2.8.8") == Place("US", "CA")
    assert who.place_of("2a00::1") == Place("DE")  # the first holds IPv4 only


def test_iptocc_is_what_there_is_by_default() -> None:
    who = Viewers(Whereabouts(), trusted=(), believed=())
    # well-known allocations
    for ip, country in [("8.8.8.8", "US"), ("175.45.176.1", "KP"), ("2001:4860:4860::8888", "US"), ("10.0.0.1", "")]:
        assert who.place_of(ip).country == country
    ((fact, by),) = who.place_of("8.8.8.8").sources
    assert fact == "country" and by.startswith("iptocc 3.")


def test_lookups_are_remembered_within_bounds(tmp_path: Path) -> None:
    who = viewers(tmp_path)
    for number in range(70_000):
        who.place_of(str(ip_address(0x01020000 + number)))
    assert who.place_of.cache_info().currsize == 65_536


def test_addresses_that_are_remembered_are_those_that_are_read() -> None:
    believed: tuple[ClientField, ...] = ("X-Forwarded-For", "Forwarded")
    who = Viewers(Whereabouts(), trusted=("10.0.0.0/8", "::1/128"), believed=believed)
    chance = Random(3)
    words = ["10.0.0.1", "10.0.0.2", "203.0.113.9", "::1", "2001:db8::9", "unknown", "for=203.0.113.9", "", "9" * 600]
    seen = set()
    for _ in range(20_000):
        peer = chance.choice(["10.0.0.1", "::ffff:10.0.0.1", "::1", "203.0.113.7", ""])
        lines = [
            (name, ", ".join(chance.choices(words, k=2))) for name in chance.choices(believed, k=chance.randrange(3))
        ]
        address = who.address(peer, Headers(lines))
        nearest = canonical(peer)
        claim = claim_in(Headers(lines), believed) if who.is_trusted(nearest) else None
        assert address == (nearest if claim is None else named_in(claim, nearest, who.is_trusted))
        seen.add(address)
    assert seen == {"10.0.0.1", "10.0.0.2", "::1", "203.0.113.7", "203.0.113.9", "2001:db8::9", ""}


RECORDS = [  # a record as its maker writes it, what it tells
    ({"country": {"iso_code": "US"}, "traits": {"is_anonymous_proxy": True}}, {"country": "US", "anonymous": True}),  # GeoLite2-Country
    ({"traits": {"is_hosting_provider": True, "autonomous_system_number": 64500}}, {"asn": 64500, "hosting": True}),  # GeoIP2-Enterprise
    ({"is_anonymous": True, "is_tor_exit_node": True}, {"anonymous": True}),  # GeoIP2-Anonymous-IP
    ({"is_anonymous": False, "is_hosting_provider": False}, {}),
    ({"autonomous_system_number": 64500}, {"asn": 64500}),  # GeoLite2-ASN
    ({"country_code": "DE"}, {"country": "DE"}),  # ip-location-db
    ({"country": "DE", "country_name": "Germany", "asn": "AS64500"}, {"country": "DE", "asn": 64500}),  # IPinfo
    ({"country_code": "DE", "autonomous_system_number": "64500"}, {"country": "DE", "asn": 64500}),
    ({"country": {"names": {"en": "Nowhere"}}, "registered_country": {"iso_code": "FR"}}, {"country": "FR"}),
    ({"subdivisions": [{"iso_code": "CA"}]}, {}),  # a region of no country is none
    ({"country": "Germany", "asn": "a lot", "is_anonymous": "yes"}, {}),
    ({"country": "DEU", "asn": 2**32}, {}),
    ({"country": {"iso_code": 7}, "subdivisions": "CA", "asn": None}, {}),
    (None, {}),
    ("US", {}),
    ([], {}),
]  # fmt: skip


@pytest.mark.parametrize(("record", "facts"), RECORDS)
def test_records_of_several_makers(record: object, facts: dict[str, Any]) -> None:
    assert facts_of(record) == facts


def test_what_a_file_says_of_itself(tmp_path: Path) -> None:
    database = Mmdb(Path(written(tmp_path / "city.mmdb", CITY)), "geo.databases[0]")
    assert (database.metadata.kind, database.metadata.ip_version) == ("Test-City", 6)
    assert abs((datetime.now(UTC) - database.metadata.built_at).total_seconds()) < 60 and database.metadata.nodes > 10


def test_what_is_no_database_is_said_at_the_start(tmp_path: Path) -> None:
    good = Path(written(tmp_path / "good.mmdb", CITY)).read_bytes()
    (tmp_path / "folder").mkdir()
    bad = {
        "gone.mmdb": (None, "No such file or directory"),
        "empty.mmdb": (b"", "is no MMDB file or is damaged"),
        "text.mmdb": (b"country,code\n" * 100, "is no MMDB file or is damaged"),
        "cut.mmdb": (good[: len(good) // 2], "is no MMDB file or is damaged"),
        "head.mmdb": (good[:-40], "is no MMDB file or is damaged"),
        "folder": (None, ""),
    }
    for name, (content, why) in bad.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(BadDatabase) as caught:
            open_databases(["iptocc", str(tmp_path / name)])
        said = str(caught.value)
        assert said.startswith("geo.databases[1]: found ") and name in said and why in said
        assert said.endswith("wanted an MMDB file.")


def test_a_file_damaged_in_its_middle_makes_unknown_places_and_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = Path(written(tmp_path / "city.mmdb", CITY))
    content = bytearray(path.read_bytes())
    # Every pointer of the search tree (all but the metadata, which stands behind its marker) leads nowhere good.
    end = content.rindex(b"\xab\xcd\xefMaxMind.com")
    content[:end] = b"\xff" * end
    path.write_bytes(content)
    who = Viewers(Whereabouts(databases=(str(path),)), trusted=(), believed=())
    with caplog.at_level(logging.ERROR, "cdnlab.edge"):
        assert who.place_of("1.2.9.9") == NOWHERE
    assert "is damaged at 1.2.9.9" in caplog.text
