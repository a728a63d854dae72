"""Fastly's habits with the boilerplate VCL, from its documentation as published in 2026.

Lines marked (observed) were observed by a public test suite on one service with the default VCL in December 2025: they
are switches, not promises.
"""

from dataclasses import replace

from cdnkit.policy.rules.profile import FailureResponse, Profile, PurgeMethod, Quota, Quotas, Waits
from cdnkit.vendors.fastly.coding import with_reduced_coding
from cdnkit.vendors.fastly.debug import ASKED_BY
from cdnkit.vendors.fastly.hop import hop_fields
from cdnkit.vendors.fastly.pages import error_page
from cdnkit.vendors.fastly.signature import KEPT_FROM_VIEWERS, FastlySignature

PURGE = PurgeMethod(token_field="fastly-key", soft_field="fastly-soft-purge")
"""Source: "Purging": open to everybody unless the service asks for a token; a request with a `Fastly-Soft-Purge` field,
whatever it holds, makes stale."""

FASTLY = Profile(
    name="fastly",
    # ---- freshness: "HTTP caching semantics" (2026) ------------------------------------------------------------------
    default_ttl=3600.0,  # the generated VCL's default TTL; VCL that sets none has the platform's 120 s
    targeted_fields=(),  # CDN-Cache-Control is not read (observed)
    directives_searched=True,  # (observed): quotes are not looked at, but for an argument that is quoted itself
    unread_ttl=120.0,  # "HTTP caching semantics": 2 min, as the boilerplate's ~ "max-age" keeps it from its own default
    directive_case=True,  # "Max-Age" is none (observed)
    surrogate=False,  # same page: Surrogate-Control's lifetimes come first, no Surrogate-Capability is sent
    surrogate_control=True,  # same page: Surrogate-Control, s-maxage, max-age, Expires
    bounds_from_arrival=True,  # "Age": a TTL that VCL sets takes no account of Age
    expires_from_now=True,  # "Age": with a TTL from Expires the age starts at 0
    expires_restarts_age=True,  # same page
    age_from_date=False,  # "Age": the received Age is what is subtracted
    error_ttl=None,  # same page: 404 and 410 follow the normal path
    # ---- storing: boilerplate vcl_fetch (2026) -----------------------------------------------------------------------
    # "HTTP caching semantics": cacheable; "Segmented Caching": blocks come as 206, no other range reaches the origin
    storable_statuses=frozenset({200, 203, 206, 300, 301, 302, 404, 410}),
    pass_words=("private", "no-store"),  # Cache-Control ~ "(private|no-store)"; older boilerplate: private alone
    set_cookie_passes=True,  # Set-Cookie leads to return(pass)
    authorization_guarded=False,  # (observed)
    hit_for_pass_sticks=True,  # "HTTP caching semantics": the result of a hit-for-pass is not cacheable
    hit_for_pass=120.0,  # "Request collapsing"; the exact rule of its lifetime is unverified
    no_hit_for_pass=frozenset({"status", "no-lifetime"}),  # "Request collapsing": return(deliver) leaves no marker
    connection_names_fields=False,  # (observed)
    renewed_by_304="lifetime",  # "Age": a 304 renews TTL and Age; that all else stays as it was, ETag too: (observed)
    stalled_body_counts=True,  # Backend API, between_bytes_timeout: what came is considered complete; of a body whose
    # length was declared, nothing is written, and it counts as broken off here
    # ---- key: boilerplate vcl_hash (2026) ----------------------------------------------------------------------------
    key_host=True,  # req.hash += req.url; req.hash += req.http.host
    normalized=with_reduced_coding,  # "Accept-Encoding": br, gzip or absent before VCL sees it
    vary_as_sent=True,  # (observed); "Vary": the fields must match the values recorded
    vary_star_stored=True,  # (observed)
    # ---- requests: "Header reference", "Constraints and limitations" (2026) ------------------------------------------
    quotas=Quotas(  # "Constraints and limitations"; the statuses beside 503 are ours
        url=Quota(8 * 1024, FailureResponse(414, "Too long request string")),
        request_head=Quota(69 * 1024, FailureResponse(503, "Header overflow")),
        request_fields=Quota(255, FailureResponse(503, "Header overflow")),
        # "Surrogate-Key": the key at which a limit is met, and all behind it, are ignored; "Constraints": 1 KB, 16 KB
        surrogate_key_bytes=1024,
        surrogate_keys_bytes=16 * 1024,
        cookie_bytes=32 * 1024,
        cookie_overflow="fastly-cookie-overflow",
        response_head=Quota(69 * 1024, FailureResponse(503, "backend read error")),
        response_fields=Quota(96, FailureResponse(503, "Header overflow")),
        object=Quota(20_971_520, FailureResponse(503, "Response object too large")),  # without segmented caching
    ),
    interim_passed_on=False,  # (observed)
    request_directives=False,  # (observed)
    forward_conditions=False,  # (observed) a miss is fetched unconditionally
    range_forwarded=False,  # (observed) a range that misses fetches the whole
    head_as_get=True,  # (observed)
    post_responses_stored=False,  # boilerplate vcl_recv: any method but GET, HEAD and FASTLYPURGE is passed
    unsafe_invalidates=False,  # (observed)
    viewer_fields={  # request setting geo_headers; listing one in a key stands for VCL that hashes it
        "fastly-geo-country": lambda request: request.place.country,
        "fastly-geo-region": lambda request: request.place.region,
    },
    viewer_prefixes=("fastly-geo-",),
    purge_names_host=True,  # "Purging a URL": one object, and vcl_hash has the host in it
    purge_requests="everybody",  # "Purging": a URL's purge is open unless VCL asks for a token
    purge_method=PURGE,  # same page
    host_sent="viewer",  # "Specifying an override host": the initial request's Host; "Host": in lower case
    hop_fields=hop_fields,  # "Header reference": a page for each of them
    # ---- stale and failing: "Lifetime and revalidation" (2026) -------------------------------------------------------
    origin_stale_if_error=False,  # used when the backend is sick or VCL says deliver_stale; a failing fetch is neither
    origin_stale_if_error_when_sick=True,  # same page: an unhealthy backend, inside either window: stale, at once
    stale_when_unreachable=False,  # off unless general.stale_if_error says so, here a behavior's stale_if_error
    failures={  # "Fastly generated errors": 503 with these words
        "connect-timeout": FailureResponse(503, "connection timed out"),
        "first-byte-timeout": FailureResponse(503, "first byte timeout"),
        "between-bytes-timeout": FailureResponse(503, "backend read error"),
        "connection-reset": FailureResponse(503, "backend read error"),
        "not-http": FailureResponse(503, "backend read error"),
        "parent-sick": FailureResponse(503, "Backend is unhealthy"),
    },
    failure_status=503,
    unknown_host=FailureResponse(
        500, "unknown domain: {host}. Please check that this domain has been added to a service."
    ),  # as its error page says (unverified here)
    too_many=FailureResponse(429, "Too many requests"),  # "ratelimit.penaltybox_has": `error 429` in its example
    page=error_page,
    waits=Waits(connect=1.0, first_byte=15.0, between_bytes=10.0),  # backend defaults of the Terraform provider
    # ---- what answers carry: "Header reference" (2026) ---------------------------------------------------------------
    signature=FastlySignature,
    extra_fields=ASKED_BY,  # "Fastly-Debug"; a node asks its shield too, so that the fields are of both
    date_of_responses="now",  # "Date": updated to the current time where it is present, else not added
    ends_here=frozenset({"x-compress-hint"}),  # "X-Compress-Hint": removed, whether it made the node compress or not
    kept_from_viewers=KEPT_FROM_VIEWERS,  # "Surrogate-Control", "Surrogate-Key"
    redirect_others=301,  # "force TLS" answers with a synthetic 301; for any method: unverified
    x_cache=("HIT", "MISS"),
    via="1.1 varnish",  # unverified
)

FASTLY_OBSERVED = replace(
    FASTLY,
    pass_words=("private",),  # (observed): no-store beside max-age was stored; the boilerplate of 2026 passes it
    default_ttl=0.0,  # (observed): what names no lifetime was fetched again; the boilerplate gives it an hour
    unread_ttl=0.0,  # (observed): the same for one in quotes; "HTTP caching semantics": 2 min
)
"""With `observed = true`: as observed, where the documents say otherwise."""
