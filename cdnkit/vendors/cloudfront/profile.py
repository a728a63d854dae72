"""Amazon CloudFront's habits. Each line names its page of the CloudFront Developer Guide, or its API model (botocore).

Pages read in the snapshot of March 2023 are marked (2023): the live page may differ by now. Those marked (2026) were
read in copies made after November 2025 (they mention trust stores and connection functions).
"""

from cdnkit.policy.rules.profile import (
    Compression,
    ErrorCaching,
    FailureResponse,
    Profile,
    Quota,
    Quotas,
    Waits,
)
from cdnkit.vendors.cloudfront.origin_request import request_fields
from cdnkit.vendors.cloudfront.pages import error_page
from cdnkit.vendors.cloudfront.policies import CACHE_POLICIES, ORIGIN_REQUEST_POLICIES, RESPONSE_HEADERS_POLICIES
from cdnkit.vendors.cloudfront.signature import CloudFrontSignature
from cdnkit.vendors.cloudfront.viewer import VIEWER_FIELDS

_CONNECT = FailureResponse(502, "OriginConnectError")  # "HTTP 502 status code (Bad gateway)": refused, TLS
_LATE = FailureResponse(504, "OriginCommError")  # "HTTP 504 status code (Gateway timeout)"

NEVER_KEYED = frozenset(
    {
        "cache-control", "connection", "content-length", "cookie", "max-forwards", "pragma", "proxy-authenticate",
        "proxy-authorization", "proxy-connection", "request-range", "te", "trailer", "transfer-encoding", "upgrade",
        "x-amz-cf-id", "x-edge-*", "x-forwarded-proto", "x-real-ip",
    }
)  # fmt: skip

COMPRESSED_TYPES = frozenset(
    {
        "application/dash+xml", "application/eot", "application/font", "application/font-sfnt",
        "application/javascript", "application/json", "application/opentype", "application/otf", "application/pdf",
        "application/pkcs7-mime", "application/protobuf", "application/rss+xml", "application/truetype",
        "application/ttf", "application/vnd.apple.mpegurl", "application/vnd.mapbox-vector-tile",
        "application/vnd.ms-fontobject", "application/wasm", "application/xhtml+xml", "application/xml",
        "application/x-font-opentype", "application/x-font-truetype", "application/x-font-ttf",
        "application/x-httpd-cgi", "application/x-javascript", "application/x-mpegurl", "application/x-opentype",
        "application/x-otf", "application/x-perl", "application/x-ttf", "font/eot", "font/opentype", "font/otf",
        "font/ttf", "image/svg+xml", "text/css", "text/csv", "text/html", "text/javascript", "text/js", "text/plain",
        "text/richtext", "text/tab-separated-values", "text/xml", "text/x-component", "text/x-java-source",
        "text/x-script", "vnd.apple.mpegurl",
    }
)  # fmt: skip
"""The whole list of "Serve compressed files" (2026). Not on it: audio/mpegurl, video/*, text/vtt."""

CLOUDFRONT = Profile(
    name="cloudfront",
    # ---- freshness: "Manage how long content stays in the cache" (2026) ------------------------------------------
    default_ttl=86_400.0,  # CachePolicyConfig.DefaultTTL: when absent, the larger of this and MinTTL
    max_ttl=31_536_000.0,  # CachePolicyConfig.MaxTTL: when absent, the larger of this and DefaultTTL
    targeted_fields=(),  # same page: s-maxage, max-age and Expires are what is read
    surrogate=False,  # same page
    min_ttl_overrides=True,  # same page: MinTTL > 0 and no-cache, no-store or private: cached for MinTTL
    bounds_from_arrival=True,  # CachePolicyConfig: the time that objects stay in CloudFront's cache
    expires_from_now=True,  # same page: Expires is a date and time to expire at
    zero_ttls_disable=True,  # "Request collapsing": all three TTLs at 0 disable caching, and collapsing with it
    error_ttl=10.0,  # "HTTP 4xx and 5xx status codes" (2026): ErrorCachingMinTTL's default
    error_caching=ErrorCaching(  # same page
        always=frozenset({404, 414, 500, 501, 502, 503, 504}),
        if_explicit=frozenset({400, 403, 405, 412, 415}),
    ),
    # ---- storing ---------------------------------------------------------------------------------------------------
    cache_control_needed=frozenset({307, 308}),  # "How CloudFront processes HTTP 3xx status codes" (2026)
    set_cookie_needs_cookies=True,  # "Cache content based on cookies": stripped when cookies are not forwarded
    authorization_guarded=False,  # "Request and response behavior" (2023): GET's Authorization is removed, or is keyed
    hit_for_pass=0.0,  # same page: requests that waited for what may not be shared go alone; no mark is described
    compression=Compression(  # "Serve compressed files" (2026)
        statuses=frozenset({200, 403, 404}),
        types=COMPRESSED_TYPES,
        min_bytes=1000,
        max_bytes=10_000_000,
    ),
    # ---- key ---------------------------------------------------------------------------------------------------------
    key_query="none",  # "Understand the cache key": by default, the distribution's domain name and the path
    query_patterns=False,  # "Cache behavior settings": wildcards are described for names of cookies alone
    never_keyed=NEVER_KEYED,  # "HTTP request headers and CloudFront behavior", its last column: No
    codings_over_http_1_0=False,  # "Serve compressed files" (2026), conditions: a request that uses HTTP 1.0
    cookies_in_pairs=True,  # "Cache content based on cookies" (2023): forwarded in the standard name-value format alone
    vary_selects=False,  # "Request and response behavior" (2023): only what the cache policy lists makes variants
    # ---- requests ----------------------------------------------------------------------------------------------------
    range_served_as_it_came=True,  # "How CloudFront processes partial requests for an object": the current request
    # gets the entire object, new range requests the range
    range_needs_length=True,  # "How CloudFront processes range GETs": an origin that sends chunks: the whole object
    ranges_in_order=True,  # same page: invalid, descending or overlapping ranges: 200 and the whole object
    collapse_beside_cookies=False,  # "Simultaneous requests" (2026): none where cookies are forwarded
    conditions_beside_cookies=False,  # "Request and response behavior" (2023): not when cookies are forwarded
    head_responses_stored=True,  # "HTTP methods", "HTTP 4xx and 5xx status codes" (2026): GET and HEAD are cached
    post_responses_stored=False,  # "HTTP methods" (2026): only responses to GET, HEAD and OPTIONS are cached
    get_body_refused=True,  # "GET requests that include a body" (2026): 403
    quotas=Quotas(  # "Quotas" (2026); the status of a head that is too large, and of an object, is ours, and unverified
        # "Request and response behavior" (2026): 413 for a URL as for a request, then the connection is terminated
        url=Quota(8192, FailureResponse(413, "InvalidRequest", ends=True)),
        request_head=Quota(20_480, FailureResponse(413, "InvalidRequest", ends=True)),
        response_head=Quota(20_480, FailureResponse(502, "OriginHeaderTooBigError")),
        object=Quota(50 * 10**9, FailureResponse(502, "OriginError")),  # "closed with an error"; which: undocumented
    ),
    request_directives=False,  # "Manage how long content stays" (2026): viewers' Cache-Control and Pragma are ignored
    viewer_fields=VIEWER_FIELDS,  # "Add CloudFront request headers"
    viewer_prefixes=("cloudfront-",),  # same page
    host_sent="where-named",  # "Request and response behavior": the origin's domain name, unless Host is forwarded
    request_fields=request_fields,  # "Control origin requests with a policy"; the legacy table (2023)
    cache_policies=CACHE_POLICIES,  # "Use managed cache policies"
    origin_request_policies=ORIGIN_REQUEST_POLICIES,  # "Use managed origin request policies"
    response_headers_policies=RESPONSE_HEADERS_POLICIES,  # "Use managed response headers policies"
    # ---- stale and failing -------------------------------------------------------------------------------------------
    failed_statuses=frozenset(range(500, 600)),  # same page, and "Serve stale (expired) content" (2026)
    stale_within_max_ttl=True,  # the same pages, tip and notes: after MaxTTL it is not available, whatever allows it
    stale_if_error=31_536_000.0,  # "HTTP 4xx and 5xx": an expired copy is served when the origin answers 5xx or is away
    no_cache_stands_in=True,  # "Manage how long content stays" (2026), warning: unreachable, MinTTL or MaxTTL above 0
    s_maxage_forbids_stale=False,  # same page: that holds without regard to what set the lifetime
    failures_held=True,  # same page: the origin is asked again after ErrorCachingMinTTL
    failures={  # "HTTP 502 status code", "HTTP 504 status code", detailed types of "Standard logging"
        "name-not-resolved": FailureResponse(502, "OriginDnsError"),
        "connect-refused": _CONNECT,
        "connect-timeout": _LATE,
        "first-byte-timeout": _LATE,
        "between-bytes-timeout": _LATE,
        "not-http": FailureResponse(502, "OriginInvalidResponseError"),  # the status is unverified
    },
    too_many=FailureResponse(403, ""),  # AWS WAF, a rate-based rule whose action is Block: 403
    unknown_host=FailureResponse(403, ""),  # no distribution has it as an alternate domain name (unverified)
    geo_unknown="allow",  # "Restrict the geographic distribution": a viewer of unknown place is served
    page=error_page,
    waits=Waits(connect=10.0, first_byte=30.0, between_bytes=30.0, attempts=3, retry_reads=True),  # CustomOriginConfig
    # ---- what answers carry: "Request and response behavior", X-Cache in "Standard logging" --------------------------
    signature=CloudFrontSignature,
    server_timing=True,  # "Understand response headers policies"
    x_cache=("Hit from cloudfront", "Miss from cloudfront"),
    x_cache_revalidated="RefreshHit from cloudfront",
    x_cache_redirect="Redirect from cloudfront",  # the log's type is documented, the field's value unverified
    x_cache_error="Error from cloudfront",
    via="1.1 {hex}.cloudfront.net (CloudFront)",
)
