"""Each CDN's habits as a profile of the policy."""

from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.policy.rules.service import Service
from cdnkit.vendors.cloudfront import CLOUDFRONT
from cdnkit.vendors.fastly import FASTLY, FASTLY_OBSERVED

PROFILES: dict[str, Profile] = {profile.name: profile for profile in (RFC9111, CLOUDFRONT, FASTLY)}
"""As documents say it."""

OBSERVED: dict[str, Profile] = {profile.name: profile for profile in (FASTLY_OBSERVED,)}
"""As it was observed, of those where that is otherwise."""


def profile_of(service: Service) -> Profile:
    """The profile that rules a service."""
    documented = PROFILES[service.profile]
    return OBSERVED.get(service.profile, documented) if service.observed else documented


__all__ = ["CLOUDFRONT", "FASTLY", "FASTLY_OBSERVED", "OBSERVED", "PROFILES", "RFC9111", "profile_of"]
