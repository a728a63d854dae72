"""Fastly's habits with the boilerplate VCL, from its documentation.

Lines marked (measured) were observed by a public test suite on one service of unknown configuration in December 2025:
they are switches, not promises.
"""

from policy.profile import FailureAnswer, Limit, Limits, Profile, ResponseFields, Waits
from vendors.fastly.hop import hop_fields
from vendors.fastly.pages import error_page

FASTLY = Profile(
    name="fastly",
    # ---- freshness: "Cache freshness and TTLs" ---------------------------------------------------------------------
    default_ttl=3600.0,  # the generated VCL's default TTL; VCL that sets none has the platform's 120 s
    targeted_fields=(),  # CDN-Cache-Control is not read (measured)
    directive_case=True,  # "Max-Age" is none (measured)
    surrogate=False,  # same page: Surrogate-Control's lifetimes come first, no capability is told
    surrogate_control=True,  # same page: Surrogate-Control, s-maxage, max-age, Expires
    bounds_from_arrival=True,  # "Age": a TTL that VCL sets takes no account of Age
    expires_from_now=True,  # "Age": with a TTL from Expires the age starts at 0
    expires_restarts_age=True,  # same page
    age_from_date=False,  # "Age": the received Age is what is subtracted
    error_ttl=None,  # same page: 404 and 410 follow the normal path
    # ---- storing: boilerplate vcl_fetch ------------------------------------------------------------------------------
    # "Cache freshness": cacheable statuses; "Segmented Caching": blocks come as 206, no other range reaches the origin
    storable_statuses=frozenset({200, 203, 206, 300, 301, 302, 404, 410}),
    pass_words=("private", "no-store"),  # Cache-Control ~ "(private|no-store)"; older boilerplate: private alone
    set_cookie_passes=True,  # Set-Cookie leads to return(pass)
    authorization_guarded=False,  # (measured)
    hit_for_pass=120.0,  # "Request collapsing"; the exact rule of its lifetime is unverified
    unmarked=frozenset({"status", "no-lifetime"}),  # "Request collapsing": return(deliver) leaves no marker
    # ---- key: boilerplate vcl_hash -----------------------------------------------------------------------------------
    key_host=True,  # req.hash += req.url; req.hash += req.http.host
    accept_encoding_reduced=True,  # "Accept-Encoding": br, gzip or absent before VCL sees it
    vary_star_stored=True,  # (measured)
    # ---- requests ----------------------------------------------------------------------------------------------------
    limits=Limits(  # "Constraints and limitations"; the statuses beside 503 are ours
        url=Limit(8 * 1024, FailureAnswer(414, "Too long request string")),
        request_head=Limit(69 * 1024, FailureAnswer(503, "Header overflow")),
        request_fields=Limit(255, FailureAnswer(503, "Header overflow")),
        cookie_bytes=32 * 1024,
        response_head=Limit(69 * 1024, FailureAnswer(503, "backend read error")),
        response_fields=Limit(96, FailureAnswer(503, "Header overflow")),
        object=Limit(20_971_520, FailureAnswer(503, "Response object too large")),  # without segmented caching
    ),
    request_directives=False,  # (measured)
    forward_conditions=False,  # (measured) a miss is fetched unconditionally
    range_forwarded=False,  # (measured) a range that misses fetches the whole
    head_as_get=True,  # (measured)
    post_answers_kept=False,  # boilerplate vcl_recv: any method but GET, HEAD and FASTLYPURGE is passed
    unsafe_invalidates=False,  # (measured)
    viewer_fields={  # request setting geo_headers; listing one in a key stands for VCL that hashes it
        "fastly-geo-country": lambda request: request.place.country,
        "fastly-geo-region": lambda request: request.place.region,
    },
    purge_requests="everybody",  # "Purging": a URL's purge is open unless VCL asks for a token
    host_sent="viewer",  # "Specifying an override host": the initial request's Host; "Host": in lower case
    hop_fields=hop_fields,  # "Header reference": a page for each of them
    # ---- stale and failing: "Staleness and revalidation" -------------------------------------------------------------
    origin_stale_if_error=False,  # used when the backend is sick or VCL says deliver_stale; a failing fetch is neither
    origin_stale_if_error_when_sick=True,  # same page: an unhealthy backend, inside either window: stale, at once
    stale_when_unreachable=False,  # off unless general.stale_if_error says so, here a behavior's stale_if_error
    failures={  # "Fastly generated errors": 503 with these words
        "connect-timeout": FailureAnswer(503, "connection timed out"),
        "first-byte-timeout": FailureAnswer(503, "first byte timeout"),
        "between-bytes-timeout": FailureAnswer(503, "backend read error"),
        "connection-reset": FailureAnswer(503, "backend read error"),
        "not-http": FailureAnswer(503, "backend read error"),
        "parent-sick": FailureAnswer(503, "Backend is unhealthy"),
    },
    failure_status=503,
    unknown_host=FailureAnswer(
        500, "unknown domain: {host}. Please check that this domain has been added to a service."
    ),  # as its error page says (unverified here)
    too_many=FailureAnswer(429, "Too many requests"),  # "ratelimit.penaltybox_has": `error 429` in its example
    page=error_page,
    waits=Waits(connect=1.0, first_byte=15.0, between_bytes=10.0),  # backend defaults of the Terraform provider
    # ---- what answers carry: "X-Cache", "X-Served-By", "X-Timer" -----------------------------------------------------
    response_fields=ResponseFields.FASTLY,
    kept_from_viewers=frozenset({"surrogate-control", "surrogate-key"}),  # "Surrogate-Control", "Surrogate-Key"
    redirect_others=301,  # "force TLS" answers with a synthetic 301; for any method: unverified
    x_cache=("HIT", "MISS"),
    via="1.1 varnish",  # unverified
)
