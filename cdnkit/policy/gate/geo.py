"""Whether a behavior serves a place: its `geo`, compiled once and checked for every request.

The result depends on the settings, the place and the address alone, not on the store: a hit is checked like a miss.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cdnkit.policy.gate.check import Check, Reads
from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.http.place import NetworkTable, Place, address_of
from cdnkit.policy.outcomes import Refusal, RefusalKind
from cdnkit.policy.rules.places import PlaceKind, kind_of

if TYPE_CHECKING:
    from cdnkit.policy.rules.service import Geo


class GeoCheck(Check):
    """A behavior's `geo`: the first of denied, anonymous, hosting, unknown, not on the list refuses."""

    __slots__ = ("_allow", "_deny", "_geo")
    name = "geo"
    kind = RefusalKind.GEO
    reads = Reads.CLIENT

    def __init__(self, geo: "Geo") -> None:
        self._geo = geo
        self._allow = _Listed(geo.allow) if geo.allow else None
        self._deny = _Listed(geo.deny) if geo.deny else None

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        why = self._not_served(request.place, request.client_ip)
        return None if why is None else Refusal(self.kind, 403, f"geo: {why}")

    def explanation(self, place: Place, client_ip: str) -> str:
        """Which entry met which fact, for people, also where the place is served: "DE is allowed"."""
        why = self._not_served(place, client_ip)
        if why is not None:
            return why
        entry = None if self._allow is None else self._allow.entry_for(place, client_ip)
        if entry is not None:
            return f"{entry} is allowed"
        return f"{place.name} is not denied" if place.country else "country unknown"

    def _not_served(self, place: Place, client_ip: str) -> str | None:
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


class _Listed:
    """The entries of one list, prepared for lookups."""

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
