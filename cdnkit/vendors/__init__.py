"""Each CDN's habits as a profile of the policy: a CDN is a folder here, and nothing anywhere else.

The `__init__.py` of a folder has the `PROFILE` as documented and, where public tests observed it to differ, `OBSERVED`.
All that is the CDN's own stands in the other files: the fields it writes, its pages, the names of its policies.
"""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from cdnkit.policy.rules.profile import RFC9111, Profile, PurgeMethod
from cdnkit.policy.rules.service import Service
from cdnkit.vendors.cloudfront import CLOUDFRONT
from cdnkit.vendors.fastly import FASTLY, FASTLY_OBSERVED, PURGE


def _folders() -> Iterator[ModuleType]:
    for found in iter_modules(__path__):
        if found.ispkg:
            yield import_module(f"{__name__}.{found.name}")


_FOLDERS = tuple(_folders())

PROFILES: dict[str, Profile] = {profile.name: profile for profile in (RFC9111, *(one.PROFILE for one in _FOLDERS))}
"""The profiles as documented, by name."""

OBSERVED: dict[str, Profile] = {one.PROFILE.name: one.OBSERVED for one in _FOLDERS if hasattr(one, "OBSERVED")}
"""The profiles as observed, by name: those that differ from the documents."""

if TYPE_CHECKING:
    ProfileName = str
else:
    ProfileName = Literal[tuple(PROFILES)]
"""The name of a profile, as settings have it."""


def profile_of(service: Service) -> Profile:
    """The profile of a service."""
    documented = PROFILES[service.profile]
    return OBSERVED.get(service.profile, documented) if service.observed else documented


def purge_method_of(profile: Profile) -> PurgeMethod:
    """How a request asks for a purge, where a service takes such requests: the profile's way, else Fastly's."""
    return profile.purge_method or PURGE


__all__ = [
    "CLOUDFRONT",
    "FASTLY",
    "FASTLY_OBSERVED",
    "OBSERVED",
    "PROFILES",
    "RFC9111",
    "ProfileName",
    "profile_of",
    "purge_method_of",
]
