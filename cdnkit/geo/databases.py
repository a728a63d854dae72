"""Geo databases: `iptocc` (a package with its data: the country an address was allocated in) and MMDB files.

An MMDB file (MaxMind DB 2.0) holds a record of any shape for a network. Of a record, the fields of MaxMind's GeoIP and
GeoLite databases are read, and the flat ones of others (IPinfo, ip-location-db).
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from cdnkit.policy.http.place import Address

logger = logging.getLogger("cdnlab.edge")

IPTOCC = "iptocc"
"""The entry of the setting `databases` that means the package of this name."""

Facts = Mapping[str, Any]
"""Those fields of a `cdnkit.policy.http.place.Place` that are known."""


class Database(Protocol):
    """Looks up public addresses."""

    name: str
    """For people: what database it is, and its date."""

    def facts(self, address: Address) -> Facts: ...


def open_databases(names: Sequence[str]) -> list[Database]:
    """The databases in the order named. `BadDatabase`: a file is no MMDB. A missing `iptocc` is logged and left out."""
    opened: list[Database] = []
    for index, name in enumerate(names):
        if name != IPTOCC:
            opened.append(Mmdb(Path(name), f"geo.databases[{index}]"))
        elif (allocated := Iptocc.if_installed()) is not None:
            opened.append(allocated)
    return opened


class Iptocc:
    """Country of allocation, from the regional registries' delegation files."""

    def __init__(self, country_code: Any) -> None:
        self._country_code = country_code
        self.name = f"iptocc {metadata.version('iptocc')}"

    @classmethod
    def if_installed(cls) -> "Iptocc | None":
        try:
            from iptocc import country_code
        except ImportError:
            logger.info("geo: iptocc is not installed (pip install 'cdnlab[geo]'): only the settings' tables are known")
            return None
        return cls(country_code)

    def facts(self, address: Address) -> Facts:
        country = self._country_code(str(address))
        return {"country": country} if country else {}


@dataclass(frozen=True)
class MmdbMetadata:
    """The metadata of an MMDB file."""

    kind: str
    """Its database_type: "GeoLite2-City"."""
    built_at: datetime
    ip_version: int
    nodes: int


class Mmdb:
    """One MMDB file."""

    def __init__(self, path: Path, where: str) -> None:
        """`where`: the setting that names it, for `BadDatabase`."""
        try:
            from maxminddb import InvalidDatabaseError, open_database
        except ImportError as error:
            wanted = "the package maxminddb, which reads it (pip install 'cdnlab[geo]')"
            raise BadDatabase(where, str(path), wanted) from error
        try:
            self._reader = open_database(path)
            about = self._reader.metadata()
        except OSError as error:
            raise BadDatabase(where, f"{path}, {error.strerror or error}", "an MMDB file") from error
        except (InvalidDatabaseError, ValueError, UnicodeDecodeError) as error:
            raise BadDatabase(where, f"{path}, which is no MMDB file or is damaged", "an MMDB file") from error
        self._broken: type[Exception] = InvalidDatabaseError
        built = datetime.fromtimestamp(about.build_epoch, UTC)
        self.metadata = MmdbMetadata(about.database_type, built, about.ip_version, about.node_count)
        self.name = f"{path.name} ({self.metadata.kind}, {built:%Y-%m-%d})"

    def facts(self, address: Address) -> Facts:
        if address.version > self.metadata.ip_version:
            return {}  # an IPv4 database knows nothing of IPv6
        try:
            return facts_of(self._reader.get(address))
        except (self._broken, ValueError, UnicodeDecodeError):
            # A file that is damaged in its middle opens well. The viewer's place is then unknown, and the log says why.
            logger.exception("geo: %s is damaged at %s", self.name, address)
            return {}


def facts_of(record: object) -> dict[str, Any]:
    """The fields of a `Place` in a record of an MMDB file, of any maker."""
    if not isinstance(record, Mapping):
        return {}
    facts: dict[str, Any] = {}
    # Where the address is used; else where it was registered, since some networks have only that.
    country = _code(record.get("country")) or _code(record.get("registered_country")) or _code(record)
    if len(country) == 2:
        facts["country"] = country.upper()
        parts = record.get("subdivisions")
        region = _code(parts[0]) if isinstance(parts, Sequence) and parts else ""
        if region:
            facts["region"] = region.upper()
    inner = record.get("traits")
    traits = {**record, **inner} if isinstance(inner, Mapping) else record
    asn = _number(traits.get("autonomous_system_number") or traits.get("asn"))
    if 0 < asn < 2**32:
        facts["asn"] = asn
    if any(traits.get(name) is True for name in _ANONYMOUS):
        facts["anonymous"] = True
    if any(traits.get(name) is True for name in _HOSTING):
        facts["hosting"] = True
    return facts


_ANONYMOUS = (
    "is_anonymous",
    "is_anonymous_proxy",
    "is_anonymous_vpn",
    "is_public_proxy",
    "is_residential_proxy",
    "is_tor_exit_node",
    "is_proxy",
    "is_vpn",
    "is_tor",
)
_HOSTING = ("is_hosting_provider", "is_hosting")


def _code(value: object) -> str:
    """An ISO code of one to three characters, from a text or from a record that has one; "" without."""
    if isinstance(value, Mapping):
        value = value.get("iso_code") or value.get("country_code")
    return value if isinstance(value, str) and 1 <= len(value) <= 3 and value.isascii() and value.isalnum() else ""


def _number(value: object) -> int:
    """64500, or "AS64500" as some write it."""
    if isinstance(value, str):
        digits = value.removeprefix("AS")
        return int(digits) if digits.isascii() and digits.isdigit() else 0
    return value if isinstance(value, int) else 0


@dataclass
class BadDatabase(Exception):
    """A geo database cannot be read."""

    where: str
    found: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.where}: found {self.found}; wanted {self.wanted}."
