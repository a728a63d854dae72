"""Each CDN's habits as a profile of the policy."""

from policy.profile import RFC9111, Profile
from vendors.cloudfront import CLOUDFRONT
from vendors.fastly import FASTLY

PROFILES: dict[str, Profile] = {profile.name: profile for profile in (RFC9111, CLOUDFRONT, FASTLY)}

__all__ = ["CLOUDFRONT", "FASTLY", "PROFILES", "RFC9111"]
