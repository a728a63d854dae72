"""Fills in from the profile what a behavior leaves open: once, when a node starts.

So no later decision needs the profile for the bounds of lifetimes, the parts of the key, or whether the behavior caches
at all.
"""

from collections.abc import Mapping

from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.response_headers import ResponseHeaders
from cdnkit.policy.rules.service import Behavior, Geo, Key, Ttl


def resolve(
    behavior: Behavior, profile: Profile, response_headers: Mapping[str, ResponseHeaders] | None = None
) -> Behavior:
    """The behavior, complete for this profile. ValueError names a policy that does not exist.

    `response_headers`: the policies that it may name; None: the profile's.
    """
    policies = profile.response_headers_policies if response_headers is None else response_headers
    named = policies.get(behavior.response_headers_policy)
    if named is None and behavior.response_headers_policy != "none":
        managed = ", ".join(profile.response_headers_policies) or "none"
        raise ValueError(
            f"response_headers_policy: found {behavior.response_headers_policy!r}; wanted a [response_headers.NAME], "
            f"or a managed policy; the profile {profile.name} has {managed}"
        )
    ttl, key = behavior.ttl, behavior.key
    if behavior.cache_policy != "none":
        if behavior.cache_policy not in profile.cache_policies:
            raise ValueError(f"cache_policy: found {behavior.cache_policy!r}; the profile {profile.name} has none")
        ttl, key = profile.cache_policies[behavior.cache_policy]
    ttl = _bounds(ttl, profile)
    key = _key(key, profile)
    error_ttl = profile.error_ttl if behavior.error_ttl is None else behavior.error_ttl
    # CloudFront: all three TTLs at 0 disable caching, and with it collapsing.
    disabled = profile.zero_ttls_disable and ttl.max == 0.0
    return behavior.model_copy(
        update={
            "ttl": ttl,
            "key": key,
            "error_ttl": error_ttl,
            "cache": behavior.cache and not disabled,
            "geo": _geo(behavior.geo, profile),
            "server_timing": behavior.server_timing
            if named is None or behavior.server_timing != "off"
            else named.server_timing,
            "viewer_headers": tuple(name.lower() for name in behavior.viewer_headers),
        }
    )


def _geo(geo: Geo | None, profile: Profile) -> Geo | None:
    if geo is None or geo.unknown is not None:
        return geo
    return geo.model_copy(update={"unknown": profile.geo_unknown})


def _bounds(ttl: Ttl, profile: Profile) -> Ttl:
    """DefaultTTL and MaxTTL left out follow what is given, so that min <= default <= max holds."""
    default, longest = ttl.default, ttl.max
    if default is None and profile.default_ttl is not None:
        default = max(profile.default_ttl, ttl.min)
        if longest is not None:
            default = min(default, longest)
    if longest is None and profile.max_ttl is not None:
        longest = max(profile.max_ttl, default or 0.0, ttl.min)
    return Ttl(min=ttl.min, default=default, max=longest)


def _key(key: Key, profile: Profile) -> Key:
    return key.model_copy(
        update={
            "query": profile.key_query if key.query is None and not key.query_except else key.query or "all",
            "host": profile.key_host if key.host is None else key.host,
            "headers": tuple(name.lower() for name in key.headers),
        }
    )
