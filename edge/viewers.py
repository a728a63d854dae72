"""Who a viewer is: its address, and what the settings' tables and the databases know of that."""

from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from typing import Any

from cdnkit.geo.databases import open_databases
from cdnkit.policy.http.client import ClientField, canonical, claim_in, named_in
from cdnkit.policy.http.messages import Headers
from cdnkit.policy.http.place import NOWHERE, NetworkTable, Place, address_of, is_public
from cdnkit.settings.edge import Whereabouts

_WORTH_REMEMBERING = 512
"""Characters of a claim: a chain of a dozen proxies; longer ones would be a way to fill our memory."""


class Viewers:
    """What is known of the last 65,536 addresses is remembered; a database that changes is read by a new process."""

    def __init__(self, geo: Whereabouts, *, trusted: Sequence[str], believed: Sequence[ClientField]) -> None:
        """Raises `BadDatabase`. `believed`: the fields by which `trusted` networks name a viewer, the first counts."""
        self._tables: list[tuple[str, NetworkTable[tuple[str, dict[str, Any]]]]] = [
            (f"[geo] {setting}", NetworkTable((network, (network, facts)) for network, facts in rows))
            for setting, rows in _rows(geo)
        ]
        self.databases = open_databases(geo.databases)
        self._trusted = NetworkTable((network, True) for network in trusted)
        self._believed = tuple(believed)
        self.place_of = lru_cache(maxsize=65_536)(self._place_of)
        self.is_trusted = lru_cache(maxsize=65_536)(self._is_trusted)
        self._peer = lru_cache(maxsize=65_536)(self._canonical_and_trusted)
        self._named_in = lru_cache(maxsize=4096)(partial(named_in, is_trusted=self.is_trusted))

    def address(self, peer: str, headers: Headers) -> str:
        """The viewer's address, IPv4-mapped ones unwrapped; `peer`, as it is, where that is no IP address.

        The last 4096 claims are remembered."""
        nearest, trusted = self._peer(peer)
        claim = claim_in(headers, self._believed) if trusted else None
        if claim is None:
            return nearest
        if sum(map(len, claim[1])) > _WORTH_REMEMBERING:
            return named_in(claim, nearest, self.is_trusted)
        return self._named_in(claim, nearest)

    def _canonical_and_trusted(self, peer: str) -> tuple[str, bool]:
        nearest = canonical(peer)
        return nearest, self.is_trusted(nearest)

    def _is_trusted(self, ip: str) -> bool:
        address = address_of(ip)
        return address is not None and self._trusted.get(address) is not None

    def _place_of(self, ip: str) -> Place:
        """Each fact from the first that knows it: the settings' tables, then the databases in their order."""
        address = address_of(ip)
        if address is None:
            return NOWHERE
        known: dict[str, Any] = {}
        told_by: dict[str, str] = {}

        def add(facts: Iterable[tuple[str, Any]], source: str) -> None:
            placed = "country" in known
            for fact, value in facts:
                # A region belongs to the country of the same source: another source may have another country.
                if fact not in known and not (fact == "region" and placed):
                    known[fact], told_by[fact] = value, source

        for setting, table in self._tables:
            row = table.get(address)
            if row is not None:
                add(row[1].items(), f"{setting} {row[0]}")
        if is_public(address):
            for database in self.databases:
                add(database.facts(address).items(), database.name)
        return Place(**known, sources=tuple(told_by.items())) if known else NOWHERE


def _rows(geo: Whereabouts) -> Iterable[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """The settings' tables, each a list of network and facts."""
    yield (
        "countries",
        [
            (network, {"country": country, "region": region} if region else {"country": country})
            for network, (country, _, region) in ((one, place.partition("-")) for one, place in geo.countries.items())
        ],
    )
    yield "asns", [(network, {"asn": asn}) for network, asn in geo.asns.items()]
    yield "anonymous", [(network, {"anonymous": True}) for network in geo.anonymous]
    yield "hosting", [(network, {"hosting": True}) for network in geo.hosting]
