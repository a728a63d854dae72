"""Every switch for a point where CDNs differ. Each has a source; `cdnkit/vendors/` sets them.

The defaults are those of RFC 9111, so a vendor's file has only the points where its CDN differs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from cdnkit.policy.http.messages import Headers, Lines, RequestHead
from cdnkit.policy.outcomes import RefusalKind
from cdnkit.policy.rules.response_headers import ResponseHeaders
from cdnkit.policy.rules.service import Behavior, Key, Ttl
from cdnkit.policy.rules.signature import Signature


@dataclass(frozen=True, slots=True)
class ErrorCaching:
    """Which error statuses (400 and above) are stored; the others are not."""

    always: frozenset[int]
    """Stored whatever the origin sends, even with `no-store`."""
    if_explicit: frozenset[int]
    """Stored only if the origin sends max-age or s-maxage."""


@dataclass(frozen=True, slots=True)
class FailureResponse:
    """The response to a viewer when the parent failed, or the node refuses."""

    status: int
    words: str
    """The CDN's own words for it: CloudFront's detailed result type, Fastly's `obj.response`."""
    ends: bool = False
    """The viewer's connection is closed after it: the viewer's own message was too large."""


@dataclass(frozen=True, slots=True)
class Quota:
    """One quota of a CDN, and the response beyond it."""

    most: int
    response: FailureResponse
    """The response to a larger message."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """A CDN's documented quotas for messages; None: it documents none. Sizes in bytes."""

    url: Quota | None = None
    """Scheme, host, path and query."""
    request_head: Quota | None = None
    """Request line and fields."""
    request_fields: Quota | None = None
    """Field lines of a request, in number."""
    surrogate_key_bytes: int | None = None
    """A longer key in Surrogate-Key ends the field: it and all later keys are ignored."""
    surrogate_keys_bytes: int | None = None
    """Keys beyond this many bytes of the field are ignored, too."""
    cookie_bytes: int | None = None
    """A request with more bytes of cookies is forwarded without cookies."""
    cookie_overflow: str | None = None
    """The field (lower-case name) that says so, with the value "1"."""
    response_head: Quota | None = None
    """Status line and fields of the origin's response."""
    response_fields: Quota | None = None
    """Field lines of the origin's response, in number."""
    object: Quota | None = None
    """The body of a response that would be stored. A body without Content-Length is cut off at this size."""


@dataclass(frozen=True, slots=True)
class Compression:
    """Which responses a behavior with `compress` compresses: only complete ones, without a coding, of known length."""

    statuses: frozenset[int]
    types: frozenset[str]
    """Media types, lower case, without parameters."""
    min_bytes: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Page:
    """A generated body."""

    content_type: str
    body: str


@dataclass(frozen=True, slots=True)
class Incident:
    """The facts for a generated page."""

    status: int
    reason: str
    """Rule and fact: "geo: KP is denied", "origin: first-byte-timeout"."""
    words: str
    """The vendor's words for a failure of the parent ("first byte timeout"); "" for anything else."""
    request_id: str
    node: str  # its name
    now: float
    kind: RefusalKind | None = None  # of a refusal; None: of a failure


def plain_page(incident: Incident) -> Page:
    """One line for a person with a terminal."""
    return Page("text/plain; charset=utf-8", f"{incident.status} {incident.reason}\n")


@dataclass(frozen=True, slots=True)
class Forwarding:
    """The parts of a viewer's request that are forwarded in addition to those in the cache key."""

    headers: frozenset[str] | None = frozenset()
    """Lower-case names; None: all."""
    cookies: bool = False
    query: bool = False
    host: bool = False
    """The viewer's Host is forwarded."""


@dataclass(frozen=True, slots=True)
class Hop:
    """A request that a node is about to forward."""

    request: RequestHead
    """The request as it came."""
    node: str
    faces_viewers: bool
    """False at a shield."""
    request_id: str
    """A new one."""


@dataclass(frozen=True, slots=True)
class ForwardedRequest:
    """A viewer's request to be forwarded, before the node adds its own fields."""

    request: RequestHead
    """The request as cache key and rules read it."""
    headers: Headers
    """Its end-to-end fields, without those that are for one node."""
    behavior: Behavior
    policy: Forwarding | None
    """The behavior's origin request policy."""
    request_id: str  # a new one


@dataclass(frozen=True, slots=True)
class PurgeMethod:
    """The form of a viewer's request that purges its URL."""

    token_field: str
    """The field (lower-case name) with the service's token, if one is required."""
    soft_field: str
    """The field that makes it a soft purge, whatever its value."""
    method: str = "PURGE"


@dataclass(frozen=True, slots=True)
class Waits:
    """How long a node of this CDN waits for its origin, in seconds, and how often it tries."""

    connect: float
    first_byte: float
    between_bytes: float
    attempts: int = 1
    """Connection attempts in all; with `retry_reads`, a GET or HEAD gets as many after a read timeout."""
    retry_reads: bool = False


@dataclass(frozen=True, slots=True)
class Profile:
    """How one CDN behaves."""

    name: str

    # ---- freshness ---------------------------------------------------------------------------------------------
    default_ttl: float | None = None
    """Freshness lifetime of a storable response that has none; None: heuristics (RFC 9111 §4.2.2)."""
    max_ttl: float | None = None
    """Upper bound of every freshness lifetime; None: none."""
    heuristic_share: float = 0.1
    """Share of Date - Last-Modified that counts as the lifetime where heuristics apply."""
    heuristic_limit: float = 86_400.0
    """A heuristic lifetime is at most this long. The value is ours: the standard has none."""
    targeted_fields: tuple[str, ...] = ("cdn-cache-control",)
    """Targeted fields that replace Cache-Control; the first valid one wins (RFC 9213 §2.2)."""
    surrogate: bool = True
    """The node is a surrogate as in the W3C's note (`cdnkit.policy.freshness.surrogate`): without a targeted field,
    `Surrogate-Control` replaces Cache-Control, and requests to the origin have `Surrogate-Capability`."""
    surrogate_control: bool = False
    """`Surrogate-Control`'s max-age and stale windows come before those of Cache-Control."""
    directives_searched: bool = False
    """Cache-Control's lifetimes are searched for in its text, in and out of quotes: `max-age = 60` is read, and so is
    `x="max-age=60"`, but not `max-age="60"`. False: by its grammar (RFC 9111 §5.2)."""
    unread_ttl: float | None = None
    """Freshness lifetime if Cache-Control has one in a form that is not read; None: as if it had none."""
    directive_case: bool = False
    """Cache-Control's directives count only in lower case; False: in any (RFC 9111 §5.2)."""
    min_ttl_overrides: bool = False
    """With a `ttl.min` above 0, responses with no-store, no-cache or private are stored, too."""
    bounds_from_arrival: bool = False
    """`ttl.min`, `ttl.default` and `ttl.max` count from the arrival, whatever the response's Age."""
    expires_from_now: bool = False
    """`Expires` is an instant on the node's clock; False: its distance from Date counts (RFC 9111 §4.2.1)."""
    expires_restarts_age: bool = False
    """A response with its lifetime from `Expires` has age 0 on arrival, whatever its Age."""
    age_from_date: bool = True
    """The age also counts from Date (RFC 9111 §4.2.3); False: from `Age` alone."""
    zero_ttls_disable: bool = False
    """With a `ttl.max` of 0 every request is a pass: nothing is stored, and no request waits for another."""
    cache_policies: Mapping[str, tuple[Ttl, Key]] = field(default_factory=dict)
    """The contents of each `cache_policy` that a behavior can name."""
    origin_request_policies: Mapping[str, Forwarding] = field(default_factory=dict)
    """The contents of each `origin_request_policy` that a behavior can name."""
    response_headers_policies: Mapping[str, ResponseHeaders] = field(default_factory=dict)
    """The contents of each `response_headers_policy` that a behavior can name, beside the service's own."""
    error_ttl: float | None = 1.0
    """Freshness lifetime of a 404 or 410 without one of its own (None: as other responses), or of every stored error
    under `error_caching`; a behavior's `error_ttl` overrides it."""
    error_caching: ErrorCaching | None = None
    """The rules for statuses from 400 on; None: as for other statuses."""

    # ---- storing -----------------------------------------------------------------------------------------------
    storable_statuses: frozenset[int] | None = None
    """The statuses that may be stored; None: the standard's rules."""
    cache_control_needed: frozenset[int] = frozenset()
    """Statuses that are stored only if the response has a Cache-Control, whatever its value."""
    pass_words: tuple[str, ...] | None = None
    """Words that make the response a pass if they are anywhere in Cache-Control. They replace the standard's
    directives about storing and `no-cache`; None: the standard's."""
    set_cookie_passes: bool = False
    """A response with Set-Cookie is never stored."""
    set_cookie_needs_cookies: bool = False
    """Set-Cookie is removed from responses if the behavior forwards no cookies."""
    authorization_guarded: bool = True
    """Responses to requests with Authorization are stored only if a directive allows it (RFC 9111 §3.5)."""
    hit_for_pass: float = 120.0
    """How long a hit-for-pass marker lasts: until then, requests for the uncacheable response are not collapsed."""
    hit_for_pass_sticks: bool = False
    """While the marker lasts, requests are passed: no response is stored, whatever its directives."""
    no_hit_for_pass: frozenset[str] = frozenset()
    """Reasons not to store (`storable.why_not_store`) that leave no hit-for-pass marker: requests are still collapsed,
    and those that waited wait again."""

    compression: Compression | None = None
    """What is compressed if a behavior has `compress`; None: nothing."""

    connection_names_fields: bool = True
    """Fields that a response's Connection names are hop-by-hop (RFC 9110 §7.6.1); False: only the standard's are."""
    renewed_by_304: Literal["fields", "lifetime"] = "fields"
    """What a 304 updates in a stored response: all fields that the 304 has, or lifetime and Age alone."""
    stalled_body_counts: bool = False
    """A body of unknown length counts as complete after a pause longer than `between_bytes`."""

    # ---- key and selection -------------------------------------------------------------------------------------
    key_query: Literal["all", "none"] = "all"
    """Whether the query is part of the cache key, if the behavior does not say."""
    query_patterns: bool = True
    """`*` and `?` in names of query parameters are wildcards, as in names of cookies; False: a settings file with such
    a name is refused."""
    never_keyed: frozenset[str] = frozenset()
    """Request fields that cannot be in the cache key: lower-case names, or `x-edge-*` for all that begin like this."""
    key_host: bool = False
    """Whether the request's Host is part of the cache key, if the behavior does not say."""
    normalized: Callable[[RequestHead], RequestHead] | None = None
    """Changes a request before anything else reads it, such as to a simpler Accept-Encoding; None: no change."""
    codings_over_http_1_0: bool = True
    """False: Accept-Encoding of a request in HTTP/1.0 is removed before anything reads it."""
    cookies_in_pairs: bool = False
    """If not all of a request's cookies are `name=value`, all are ignored."""
    vary_selects: bool = True
    """`Vary` makes variants; False: only the cache key does, and `Vary` is reduced to fields that reach the origin."""
    vary_as_sent: bool = False
    """Selecting fields are compared as they were sent; False: as their definitions allow (RFC 9111 §4.1)."""
    vary_star_stored: bool = False
    """`Vary: *` is ignored; False: such a response is not stored (RFC 9111 §4.1: it never matches)."""

    # ---- requests ----------------------------------------------------------------------------------------------
    interim_passed_on: bool = True
    """Interim responses of the parent are forwarded to viewers (RFC 9110 §15.2)."""
    request_directives: bool = True
    """Cache-Control and Pragma of requests are obeyed (RFC 9111 §5.2.1: advisory)."""
    forward_conditions: bool = True
    """If nothing is stored for a request, its own conditions are forwarded (RFC 9111 §4.3.2)."""
    range_forwarded: bool = True
    """If nothing is stored for a range request, it is forwarded, and the part stored. False: the whole is fetched."""
    range_needs_length: bool = False
    """A stored response that came without Content-Length (chunked) is served whole, whatever the range."""
    range_served_as_it_came: bool = False
    """If the origin responds to a range with the whole, the viewer gets the whole; later ranges are cut from it."""
    ranges_in_order: bool = False
    """Several ranges are served only if they ascend and do not overlap; otherwise the whole is."""
    collapse_beside_cookies: bool = True
    """Requests are collapsed also if the behavior forwards cookies."""
    conditions_beside_cookies: bool = True
    """`forward_conditions` applies also if the behavior forwards cookies."""
    get_body_refused: bool = False
    """A GET or HEAD with content is refused with 403."""
    head_as_get: bool = False
    """A HEAD that the store cannot serve is forwarded as a GET, whose response is stored."""
    head_responses_stored: bool = False
    """The response to a HEAD is stored for other HEADs if nothing is stored for GET."""
    post_responses_stored: bool = True
    """A POST's response is stored for GETs if it says that it is what a GET would get (RFC 9110 §9.3.3)."""
    unsafe_invalidates: bool = True
    """An unsafe method that succeeds invalidates the stored responses for its target (RFC 9111 §4.4)."""
    purge_names_host: bool = False
    """A purge of a URL with a host purges what is stored for that host, if the host is in the cache key; False: what is
    stored for the path, of every host."""
    purge_requests: Literal["everybody", "nobody"] = "nobody"
    """Whose `PURGE` requests purge, if the service does not say."""
    purge_method: PurgeMethod | None = None
    """The form of such a request; None: that of `cdnkit.vendors.purge_method_of`."""
    host_sent: Literal["parent", "viewer", "where-named"] = "parent"
    """The Host of upstream requests: the parent's own; the viewer's, in lower case; or the viewer's if the cache key or
    the origin request policy has Host, else the parent's own."""
    request_fields: Callable[[ForwardedRequest], tuple[str | None, Headers]] | None = None
    """Gives the query and the fields that are forwarded; None: the query as it came, and every end-to-end field."""
    hop_fields: Callable[[Hop], Lines] | None = None
    """Gives the fields that describe the hop to the parent, in place of those that came; None: X-Forwarded-For, with
    the client's address added at its end."""
    viewer_fields: Mapping[str, Callable[[RequestHead], str]] = field(default_factory=dict)
    """Fields (lower-case names) about the viewer that a node facing viewers sets, and never takes from a viewer. They
    are in the cache key and reach the origin if a behavior names them. With the value "" the field is left out."""
    viewer_prefixes: tuple[str, ...] = ()
    """How names of such fields begin, also of those that no node here sets."""

    quotas: Quotas | None = None
    """How large messages may be; None: as large as the shell allows."""

    # ---- stale and failing -------------------------------------------------------------------------------------
    failed_statuses: frozenset[int] = frozenset({500, 502, 503, 504})
    """Statuses of the parent that count as failures: a stored response may be served instead (RFC 5861 §4)."""
    stale_within_max_ttl: bool = False
    """No stale response is served later than `ttl.max` after its arrival, whatever else allows it."""
    stale_if_error: float = 0.0
    """How long a stale response may be served while the origin fails, if nothing else says so."""
    origin_stale_if_error: bool = True
    """The origin's `stale-if-error` counts; False: only the behavior's does."""
    origin_stale_if_error_when_sick: bool = False
    """It counts while the origin is sick, whatever `origin_stale_if_error` is."""
    stale_when_unreachable: bool = True
    """If the origin does not respond at all, a stored response is served, however stale, unless its own directives
    forbid it (RFC 9111 §4.2.4: a cache that is disconnected)."""
    no_cache_stands_in: bool = False
    """If the origin does not respond at all, a stored response with `no-cache` is served, too, except with
    `stale-if-error=0`."""
    s_maxage_forbids_stale: bool = True
    """`s-maxage` implies proxy-revalidate (RFC 9111 §5.2.2.10)."""
    failures_held: bool = False
    """A failure of the parent is remembered for the behavior's `error_ttl`: until then, no request for the key is
    forwarded."""
    failures: Mapping[str, FailureResponse] = field(default_factory=dict)
    """The response for each `cdnkit.policy.outcomes.Failure`, by its value; for those left out: 504 for a timeout, else
    502."""
    failure_status: int | None = None
    """The status of failures that `failures` does not name; None: 502 or 504."""
    too_many: FailureResponse = FailureResponse(429, "")
    """The response to a client that sends more requests than a `rate_limit` allows (RFC 6585 §4)."""
    unknown_host: FailureResponse = FailureResponse(421, "")
    """The response to a request for a host that no service of the node has (RFC 9110 §15.5.20)."""
    geo_unknown: Literal["allow", "deny"] = "deny"
    """Whether a viewer in no known country is served, if the behavior's `geo` does not say."""
    page: Callable[[Incident], Page] = plain_page
    """Makes the body of a response that the node generates."""
    waits: Waits = Waits(connect=2.0, first_byte=15.0, between_bytes=10.0)
    """Timeouts and attempts, if a node's settings do not say."""

    # ---- fields of responses -----------------------------------------------------------------------------------
    signature: type[Signature] | None = None
    """Fields of responses in addition to Via, Age, X-Cache and Cache-Status; None: no others, and two responses in the
    same second have the same head."""
    server_timing: bool = False
    """The signature carries out a behavior's `server_timing`."""
    extra_fields: frozenset[str] = frozenset()
    """Request fields (lower-case names) that may change a response's fields (`Signature.tells`)."""
    date_of_responses: Literal["origin", "now"] = "origin"
    """Date of a response. "origin": the origin's, or the node's if the origin sent none (RFC 9110 §6.6.1). "now": the
    present time if the origin sent one, else none."""
    ends_here: frozenset[str] = frozenset()
    """Fields of the parent's responses that are for this node, and are not forwarded."""
    kept_from_viewers: frozenset[str] = frozenset()
    """Fields that nodes send to one another and viewers never get."""
    x_cache: tuple[str, str] = ("HIT", "MISS")
    """`X-Cache` of a response from the store, and of any other."""
    x_cache_revalidated: str = "HIT"
    """`X-Cache` after a 304."""
    x_cache_redirect: str | None = None
    """`X-Cache` of a redirect to HTTPS; None: as of others."""
    redirect_others: int = 307
    """Status of a redirect to HTTPS for methods other than GET and HEAD; 307 keeps the method."""
    x_cache_error: str | None = None
    """`X-Cache` of a status from 400 on, from the origin or the node; None: as of others."""
    via: str = "1.1 {name}"
    """The node's member of a response's `Via`; {name} is its name, {hex} a hexadecimal mark of it."""


RFC9111 = Profile(name="rfc9111")
