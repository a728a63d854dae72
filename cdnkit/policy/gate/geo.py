"""Whether a rule serves a place: what a behavior's `geo` says, compiled once and asked for every request.

A verdict is made of the rule, the place and the address alone, never of what is stored: a hit is judged as a miss is.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from cdnkit.policy.http.place import NetworkTable, Place, address_of
from cdnkit.policy.rules.places import PlaceKind, kind_of

if TYPE_CHECKING:
    from cdnkit.policy.rules.service import Geo


class Verdict(NamedTuple):
    """Served or not, and which rule met which fact: "KP is denied"."""

    served: bool
    why: str


class GeoRule:
    """One `Geo`, ready to be asked."""

    __slots__ = ("_allow", "_deny", "_geo")

    def __init__(self, geo: "Geo") -> None:
        self._geo = geo
        self._allow = _Listed(geo.allow) if geo.allow else None
        self._deny = _Listed(geo.deny) if geo.deny else None

    def objection(self, place: Place, client_ip: str) -> str | None:
        """Why it is not served: the first of denied, anonymous, hosting, unknown, not on the list; None: it is."""
        geo = self._geo
        if self._deny is not None and (entry := self._deny.entry_for(place, client_ip)) is not None:
            return f"{entry} is denied"
        if place.anonymous and geo.anonymous == "deny":
            return "anonymous networks are denied"
        if place.hosting and geo.hosting == "deny":
            return "hosting networks are denied"
        if self._allow is not None and self._allow.entry_for(place, client_ip) is not None:
            return None
        if not place.country:
            return None if geo.unknown == "allow" else "country unknown"
        return f"{place.name} is not allowed" if geo.allow else None

    def verdict(self, place: Place, client_ip: str) -> Verdict:
        """With a reason also where it is served, for people."""
        objection = self.objection(place, client_ip)
        if objection is not None:
            return Verdict(False, objection)
        entry = None if self._allow is None else self._allow.entry_for(place, client_ip)
        if entry is not None:
            return Verdict(True, f"{entry} is allowed")
        return Verdict(True, f"{place.name} is not denied" if place.country else "country unknown")


class _Listed:
    """The entries of one list, by how they are looked up."""

    __slots__ = ("_asns", "_names", "_networks")

    def __init__(self, entries: Iterable[str]) -> None:
        kinds = [(entry, kind_of(entry)) for entry in entries]
        self._names = frozenset(entry for entry, kind in kinds if kind in (PlaceKind.COUNTRY, PlaceKind.REGION))
        self._asns = {int(entry[2:]): entry for entry, kind in kinds if kind is PlaceKind.ASN}
        networks = [(entry, entry) for entry, kind in kinds if kind is PlaceKind.NETWORK]
        self._networks = NetworkTable(networks) if networks else None

    def entry_for(self, place: Place, client_ip: str) -> str | None:
        """The narrowest entry that names the place."""
        if self._networks is not None:
            address = address_of(client_ip)
            entry = None if address is None else self._networks.get(address)
            if entry is not None:
                return entry
        if place.asn in self._asns:
            return self._asns[place.asn]
        if place.region and place.name in self._names:
            return place.name
        return place.country if place.country in self._names else None
