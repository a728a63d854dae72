"""What places cost, in microseconds: an address looked up first and again, a client read from fields, a hit with geo on.

The two hits are asked in turn in one run and their least times subtracted, so that a busy machine weighs on both alike.
"""

from itertools import count
from pathlib import Path
from time import perf_counter

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet
from pytest_benchmark.fixture import BenchmarkFixture

from cdnkit.policy.http.client import ClientField
from cdnkit.policy.http.messages import Headers, RequestHead, ResponseHead
from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.plan import Fetch, Serve
from cdnkit.policy.rules.service import Behavior, Geo, Service
from cdnkit.settings.edge import Whereabouts
from edge.viewers import Viewers
from tests.kit.refusals import first_refusal

NOW = 1_795_000_000.0
LAB = {"203.0.113.0/24": "DE", "198.51.100.0/24": "US-CA", "192.0.2.0/24": "KP"}
PLAYER = [("host", "h"), ("user-agent", "a player/1.0"), ("accept", "*/*"), ("connection", "keep-alive")]


def viewers(*believed: ClientField, databases: tuple[str, ...] = ("iptocc",)) -> Viewers:
    return Viewers(Whereabouts(countries=LAB, databases=databases), trusted=("127.0.0.0/8",), believed=believed)


def fresh_address(numbers: "count[int]") -> str:
    number = next(numbers) * 7919 % 2**24
    return f"89.{number >> 16}.{number >> 8 & 255}.{number & 255}"


@pytest.mark.benchmark(group="place")
def test_a_place_looked_up_first_in_iptocc(benchmark: BenchmarkFixture) -> None:
    who, numbers = viewers(), count()
    benchmark(lambda: who.place_of(fresh_address(numbers)))


@pytest.mark.benchmark(group="place")
def test_a_place_looked_up_first_in_an_mmdb(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    writer = MMDBWriter(database_type="Test-City")
    for second in range(256):
        record = {"country": {"iso_code": "DE"}, "subdivisions": [{"iso_code": "BE"}], "traits": {"is_anycast": False}}
        writer.insert_network(IPSet([f"89.{second}.0.0/17"]), record)
    writer.to_db_file(str(tmp_path / "city.mmdb"))
    who, numbers = viewers(databases=(str(tmp_path / "city.mmdb"),)), count()
    benchmark(lambda: who.place_of(fresh_address(numbers)))
    assert who.place_of("89.0.0.1").region == "BE"


@pytest.mark.benchmark(group="place")
def test_a_place_looked_up_again(benchmark: BenchmarkFixture) -> None:
    who = viewers()
    assert benchmark(who.place_of, "89.15.0.1").country == "DE"


CLIENTS = [  # fields believed, what the request carries
    ("CDNLab-Client-IP", []),
    ("CDNLab-Client-IP", [("cdnlab-client-ip", "203.0.113.9")]),
    ("X-Forwarded-For", [("x-forwarded-for", "198.51.100.1, 203.0.113.9, 127.0.0.2")]),
    ("Forwarded", [("forwarded", 'for=198.51.100.1, for="203.0.113.9:4711";proto=https, for=127.0.0.2')]),
]


@pytest.mark.benchmark(group="client address")
@pytest.mark.parametrize(("believed", "lines"), CLIENTS, ids=["nothing", "load test", "x-forwarded-for", "forwarded"])
def test_a_client_address(benchmark: BenchmarkFixture, believed: ClientField, lines: list[tuple[str, str]]) -> None:
    who, headers = viewers(believed), Headers([*PLAYER, *lines])
    assert benchmark(who.address, "127.0.0.1", headers) == ("203.0.113.9" if lines else "127.0.0.1")


RULES = {
    "a country": Geo(allow=("DE", "FR", "US")),
    "all kinds": Geo(allow=("DE",), deny=("US-CA", "AS64500", "198.51.100.0/25"), anonymous="deny", hosting="deny"),
}


@pytest.mark.benchmark(group="geo on a hit")
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_hit_with_geo_costs_little_more_than_without(benchmark: BenchmarkFixture, rule: Geo) -> None:
    """Address, place and check together. With a token besides, a hit may cost 6 µs more than without."""
    who = viewers("CDNLab-Client-IP")
    headers = Headers([*PLAYER, ("cdnlab-client-ip", "203.0.113.9")])

    def node(behavior: Behavior) -> EdgeMachine:
        edge = EdgeMachine(Service(name="fra", behaviors=(behavior,)))
        place = who.place_of("203.0.113.9")
        plan = edge.on_request(RequestHead("GET", "http", "h", "/a", None, headers, "203.0.113.9", place), NOW)
        assert isinstance(plan, Fetch)
        edge.on_response(plan, ResponseHead(200, Headers([("cache-control", "max-age=60")])), NOW)
        edge.on_body_end(plan, 100, NOW)
        return edge

    def hit(edge: EdgeMachine) -> object:
        ip = who.address("127.0.0.1", headers)
        return edge.on_request(RequestHead("GET", "http", "h", "/a", None, headers, ip, who.place_of(ip)), NOW + 1)

    def plain_hit(edge: EdgeMachine) -> object:
        return edge.on_request(RequestHead("GET", "http", "h", "/a", None, headers, "127.0.0.1"), NOW + 1)

    asked = RequestHead("GET", "http", "h", "/a", None, headers, "203.0.113.9", who.place_of("203.0.113.9"))

    def check(edge: EdgeMachine) -> object:
        return first_refusal(edge.view.rule_of(asked).checks, asked, NOW)

    guarded, open_to_all = node(Behavior(path="*", geo=rule)), node(Behavior(path="*"))
    turns = {
        "hit, geo on": (hit, guarded),
        "hit, address and place found": (hit, open_to_all),
        "hit, none of it": (plain_hit, open_to_all),
        "geo check alone": (check, guarded),
    }
    least = dict.fromkeys(turns, 1.0)
    for _ in range(300):
        for name, (ask, edge) in turns.items():
            began = perf_counter()
            for _ in range(100):
                ask(edge)
            least[name] = min(least[name], (perf_counter() - began) / 100)
    benchmark.extra_info.update({f"us, {name}": round(1e6 * seconds, 2) for name, seconds in least.items()})
    assert isinstance(benchmark(hit, guarded), Serve)
