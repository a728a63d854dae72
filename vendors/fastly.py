"""Fastly's habits with the boilerplate VCL, from its documentation."""

from policy.profile import Profile

FASTLY = Profile(
    name="fastly",
    default_ttl=3600.0,  # "Cache freshness": the generated VCL's default TTL
    request_directives=False,  # measured by the public cache tests
    storable_statuses=frozenset({200, 203, 300, 301, 302, 404, 410}),  # "Cache freshness": cacheable statuses
    error_ttls={404: 3600.0, 410: 3600.0},  # both follow the normal TTL path
    set_cookie_passes=True,  # boilerplate vcl_fetch: Set-Cookie leads to return(pass)
    hit_for_pass=120.0,  # "Request collapsing": hit-for-pass marker
    x_cache=("HIT", "MISS"),  # "X-Cache"
)
