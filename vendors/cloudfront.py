"""Amazon CloudFront's habits, from its Developer Guide (2023 snapshot) where no other source is named."""

from policy.profile import Profile

CLOUDFRONT = Profile(
    name="cloudfront",
    default_ttl=86_400.0,  # "Managing how long content stays in the cache": DefaultTTL
    max_ttl=31_536_000.0,  # MaxTTL, same page
    request_directives=False,  # viewers' Cache-Control and Pragma are ignored, same page
    stale_if_error=31_536_000.0,  # an expired copy is served when the origin answers 5xx or cannot be reached
    error_ttls=dict.fromkeys((404, 414, 500, 501, 502, 503, 504), 10.0),  # ErrorCachingMinTTL's default
    x_cache=("Hit from cloudfront", "Miss from cloudfront"),
    x_cache_revalidated="RefreshHit from cloudfront",
)
