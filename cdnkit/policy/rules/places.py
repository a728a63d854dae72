"""What an entry of a `geo` rule names: a country, a region, an autonomous system, a network."""

import re
from enum import Enum
from ipaddress import ip_network


class PlaceKind(Enum):
    """What an entry of `allow` or `deny` names."""

    COUNTRY = "country"
    REGION = "region"
    ASN = "autonomous system"
    NETWORK = "network"


_FORMS = (
    (re.compile(r"[A-Z]{2}"), PlaceKind.COUNTRY),
    (re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}"), PlaceKind.REGION),
    (re.compile(r"AS[1-9][0-9]{0,9}"), PlaceKind.ASN),
)


def kind_of(entry: str) -> PlaceKind | None:
    """The kind of an entry, by its form: "US", "US-CA" (ISO 3166-2), "AS64500", "203.0.113.0/24"; None for others."""
    for form, kind in _FORMS:
        if form.fullmatch(entry):
            return kind
    try:
        ip_network(entry)
    except ValueError:
        return None
    return PlaceKind.NETWORK
