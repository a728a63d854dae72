"""Every switch where CDNs differ. A switch without a source does not exist; `cdnkit/vendors/` sets them.

The defaults here are plain RFC 9111, so what a vendor's file does not name is the standard's.
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
    """Which error statuses (400 and above) are kept, and how long; the others are not kept."""

    always: frozenset[int]
    """Stored whatever the origin sends, even with `no-store`."""
    if_explicit: frozenset[int]
    """Stored only where the origin sends max-age or s-maxage."""


@dataclass(frozen=True, slots=True)
class FailureResponse:
    """What a viewer gets when the parent failed."""

    status: int
    words: str
    """The CDN's own words for it: CloudFront's detailed result type, Fastly's `obj.response`."""
    ends: bool = False
    """The viewer's connection is closed after it, if the viewer's own message was too large."""


@dataclass(frozen=True, slots=True)
class Quota:
    """One quota of a CDN, and the response beyond it."""

    most: int
    response: FailureResponse
    """What a viewer gets for more."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """A CDN's documented quotas on messages; None: it documents none. Sizes in bytes."""

    url: Quota | None = None
    """Scheme, host, path and query."""
    request_head: Quota | None = None
    """Request line and fields."""
    request_fields: Quota | None = None
    """Field lines of a request, in number."""
    surrogate_key_bytes: int | None = None
    """A longer key in Surrogate-Key ends the field: it is ignored, with all that follows."""
    surrogate_keys_bytes: int | None = None
    """Keys beyond this many bytes of the field are ignored, too."""
    cookie_bytes: int | None = None
    """A request with more bytes of cookies is forwarded without cookies."""
    cookie_overflow: str | None = None
    """The field (lower-case name) that says so: "1"."""
    response_head: Quota | None = None
    """Status line and fields of the origin's response."""
    response_fields: Quota | None = None
    """Field lines of the origin's response, in number."""
    object: Quota | None = None
    """The body of a response that would be stored. One without Content-Length is cut off there."""


@dataclass(frozen=True, slots=True)
class Compression:
    """What a behavior with `compress` compresses: only what came whole, uncoded, and with its length."""

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
    """The parts of a viewer's request that are forwarded beside those in the cache key."""

    headers: frozenset[str] | None = frozenset()
    """Lower-case names; None: all."""
    cookies: bool = False
    query: bool = False
    host: bool = False
    """The viewer's Host is forwarded."""


@dataclass(frozen=True, slots=True)
class Hop:
    """A request that a node is about to send on."""

    request: RequestHead
    """As it came."""
    node: str
    faces_viewers: bool
    """False at a shield."""
    request_id: str
    """Fresh."""


@dataclass(frozen=True, slots=True)
class ForwardedRequest:
    """A viewer's request on its way to the parent, before the node adds its own fields."""

    request: RequestHead
    """As key and rules see it."""
    headers: Headers
    """Its end-to-end fields, without those that end at a node."""
    behavior: Behavior
    policy: Forwarding | None
    """The behavior's origin request policy."""
    request_id: str  # fresh


@dataclass(frozen=True, slots=True)
class PurgeMethod:
    """How a viewer's request asks for a purge of its URL."""

    token_field: str
    """The field (lower-case name) with the service's token, where one is wanted."""
    soft_field: str
    """The field that makes it a soft purge, with any value."""
    method: str = "PURGE"


@dataclass(frozen=True, slots=True)
class Waits:
    """How long a node of this CDN waits for its origin, and how often it tries. Seconds."""

    connect: float
    first_byte: float
    between_bytes: float
    attempts: int = 1
    """Connection attempts in all; a read timeout is tried again as often for GET and HEAD where `retry_reads`."""
    retry_reads: bool = False


@dataclass(frozen=True, slots=True)
class Profile:
    """How one CDN behaves."""

    name: str

    # ---- freshness ---------------------------------------------------------------------------------------------
    default_ttl: float | None = None
    """Freshness lifetime of a storable answer that names none; None: heuristics (RFC 9111 §4.2.2)."""
    max_ttl: float | None = None
    """Upper bound of every freshness lifetime; None: none."""
    heuristic_share: float = 0.1
    """Share of Date - Last-Modified that counts as the lifetime where heuristics apply."""
    heuristic_limit: float = 86_400.0
    """A heuristic lifetime is cut to this; ours, the standard only asks for care."""
    targeted_fields: tuple[str, ...] = ("cdn-cache-control",)
    """Targeted fields that rule instead of Cache-Control, the first valid one wins (RFC 9213 §2.2)."""
    surrogate: bool = True
    """The node is a surrogate as the W3C's note has it (`cdnkit.policy.freshness.surrogate`): after the targeted
    fields, `Surrogate-Control` rules alone, and requests to the origin say so."""
    surrogate_control: bool = False
    """`Surrogate-Control`'s max-age and stale windows come before those of Cache-Control."""
    directives_searched: bool = False
    """Cache-Control's lifetimes are searched for in its text, in and out of quotes: `max-age = 60` is read, and so is
    `x="max-age=60"`, but not `max-age="60"`. False: by its grammar (RFC 9111 §5.2)."""
    unread_ttl: float | None = None
    """Freshness lifetime where the text of Cache-Control names one that is not read; None: as where none is named."""
    directive_case: bool = False
    """Cache-Control's directives count only in lower case; False: in any (RFC 9111 §5.2)."""
    min_ttl_overrides: bool = False
    """A `ttl.min` above 0 keeps also what says no-store, no-cache or private."""
    bounds_from_arrival: bool = False
    """`ttl.min`, `ttl.default` and `ttl.max` count from the arrival, whatever Age came with the answer."""
    expires_from_now: bool = False
    """`Expires` is an instant on our clock; False: its distance from Date (RFC 9111 §4.2.1)."""
    expires_restarts_age: bool = False
    """An answer whose lifetime `Expires` set is new on arrival, whatever Age came with it."""
    age_from_date: bool = True
    """An old Date makes an answer old (RFC 9111 §4.2.3); False: only `Age` does."""
    zero_ttls_disable: bool = False
    """`ttl.max` of 0 makes every request a pass: nothing is stored and nobody waits for another."""
    cache_policies: Mapping[str, tuple[Ttl, Key]] = field(default_factory=dict)
    """What a behavior's `cache_policy` stands for, by name."""
    origin_request_policies: Mapping[str, Forwarding] = field(default_factory=dict)
    """What a behavior's `origin_request_policy` stands for, by name."""
    response_headers_policies: Mapping[str, ResponseHeaders] = field(default_factory=dict)
    """What a behavior's `response_headers_policy` stands for, by name; beside those of the service's own."""
    error_ttl: float | None = 1.0
    """Lifetime of a 404 or 410 without one of its own (None: as other answers), or of every kept error under
    `error_caching`; a behavior's own `error_ttl` comes first."""
    error_caching: ErrorCaching | None = None
    """Statuses from 400 on have rules of their own."""

    # ---- storing -----------------------------------------------------------------------------------------------
    storable_statuses: frozenset[int] | None = None
    """Only these may be stored; None: the standard's rules."""
    cache_control_needed: frozenset[int] = frozenset()
    """Statuses that are stored only where the answer has a Cache-Control, whatever that says."""
    pass_words: tuple[str, ...] | None = None
    """Words that, anywhere in Cache-Control, make the answer a pass, in place of the standard's directives about
    storing and `no-cache`; None: the standard's."""
    set_cookie_passes: bool = False
    """An answer with Set-Cookie is never stored."""
    set_cookie_needs_cookies: bool = False
    """Set-Cookie is taken out of answers where the behavior forwards no cookies."""
    authorization_guarded: bool = True
    """Answers to requests with Authorization are stored only by leave (RFC 9111 §3.5)."""
    hit_for_pass: float = 120.0
    """How long an uncacheable answer is remembered, so that requests for it do not queue behind one another."""
    hit_for_pass_sticks: bool = False
    """So long requests for it are passed: what comes is not stored, whatever it says."""
    no_hit_for_pass: frozenset[str] = frozenset()
    """Reasons not to store (`storable.why_not_store`) after which requests are still collapsed: those that waited queue
    again."""

    compression: Compression | None = None
    """What is compressed where a behavior says `compress`; None: nothing ever is."""

    connection_names_fields: bool = True
    """Fields of an answer that its Connection names end here (RFC 9110 §7.6.1); False: the standard's own alone."""
    renewed_by_304: Literal["fields", "lifetime"] = "fields"
    """What a 304 renews of a stored answer: all fields that it has, or lifetime and Age alone."""
    stalled_body_counts: bool = False
    """Of a body whose length was not told, what came before a pause longer than `between_bytes` counts as all of it."""

    # ---- key and selection -------------------------------------------------------------------------------------
    key_query: Literal["all", "none"] = "all"
    """Whether the query is part of the key where the behavior does not say."""
    query_patterns: bool = True
    """In names of query parameters, as in those of cookies, `*` and `?` stand for other characters; False: such a name
    is refused when it is read."""
    never_keyed: frozenset[str] = frozenset()
    """Request fields that cannot be part of the key: lower-case names, `x-edge-*` for all that begin so."""
    key_host: bool = False
    """Whether the request's Host is part of the key where the behavior does not say."""
    normalized: Callable[[RequestHead], RequestHead] | None = None
    """What becomes of a request before anything reads it, such as a reduced Accept-Encoding; None: nothing."""
    codings_over_http_1_0: bool = True
    """False: Accept-Encoding of a request in HTTP/1.0 is removed before anything reads it."""
    cookies_in_pairs: bool = False
    """A request whose cookies are not all `name=value` is read as one without cookies."""
    vary_selects: bool = True
    """`Vary` makes variants; False: only the key does, and `Vary` is cut to fields that reach the origin."""
    vary_as_sent: bool = False
    """Fields that Vary names are compared as they were sent; False: as their own definitions allow (RFC 9111 §4.1)."""
    vary_star_stored: bool = False
    """`Vary: *` is of no account; False: such an answer is not stored (RFC 9111 §4.1: it never matches)."""

    # ---- requests ----------------------------------------------------------------------------------------------
    interim_passed_on: bool = True
    """Interim responses of the parent go on to viewers (RFC 9110 §15.2)."""
    request_directives: bool = True
    """Honour Cache-Control and Pragma of requests (RFC 9111 §5.2.1: advisory)."""
    forward_conditions: bool = True
    """Nothing stored for the request: its own conditions go to the origin (RFC 9111 §4.3.2)."""
    range_forwarded: bool = True
    """Nothing stored for a range request: it goes on as it is, and the part is kept. False: the whole is fetched."""
    range_needs_length: bool = False
    """A stored answer that came without Content-Length (chunked) is sent whole, whatever range is asked for."""
    range_answered_as_it_came: bool = False
    """A range that the origin answers with the whole is passed on so; later ones are cut from what is stored then."""
    ranges_in_order: bool = False
    """Several ranges are answered only where they ascend and do not overlap; others get the whole."""
    collapse_beside_cookies: bool = True
    """Requests wait for one another's answer also where the behavior forwards cookies."""
    conditions_beside_cookies: bool = True
    """`forward_conditions` holds also where the behavior forwards cookies."""
    get_body_refused: bool = False
    """A GET or HEAD that carries a body is refused with 403."""
    head_as_get: bool = False
    """A HEAD that the store cannot answer is asked as a GET, whose answer is kept."""
    head_answers_kept: bool = False
    """The answer to a HEAD is kept for other HEADs, where nothing is stored for GET."""
    post_answers_kept: bool = True
    """A POST's answer that says what a GET of its target would give is kept for GETs (RFC 9110 §9.3.3)."""
    unsafe_invalidates: bool = True
    """An unsafe method's success invalidates what is stored for its target (RFC 9111 §4.4)."""
    purge_names_host: bool = False
    """A purge of a URL with a host takes what that host's requests are answered with, where the host is in the key;
    False: the path's, of every host."""
    purge_requests: Literal["everybody", "nobody"] = "nobody"
    """Whose `PURGE` requests purge, where the service does not say."""
    purge_method: PurgeMethod | None = None
    """How such a request looks; None: as `cdnkit.vendors.purge_method_of` has it."""
    host_sent: Literal["parent", "viewer", "where-named"] = "parent"
    """Under which Host the parent is asked: its own; the viewer's, in lower case; or the viewer's where the key or the
    origin request policy names Host, else its own."""
    request_fields: Callable[[ForwardedRequest], tuple[str | None, Headers]] | None = None
    """The query and the fields that go on to the parent; None: the query as it came, and every end-to-end field."""
    hop_fields: Callable[[Hop], Lines] | None = None
    """All lines of the fields by which a node tells the parent of the hop, in place of those that came; None:
    X-Forwarded-For, with the client's address behind what it held."""
    viewer_fields: Mapping[str, Callable[[RequestHead], str]] = field(default_factory=dict)
    """Fields (lower-case names) that a node facing viewers makes up about them, a viewer's own never counting: they
    enter the key, and reach the origin, where a behavior names them. "" as value: the field is left out."""
    viewer_prefixes: tuple[str, ...] = ()
    """How names of such fields begin, those included that no node here makes up."""

    quotas: Quotas | None = None
    """How large messages may be; None: as large as the shell can hold."""

    # ---- stale and failing -------------------------------------------------------------------------------------
    failed_statuses: frozenset[int] = frozenset({500, 502, 503, 504})
    """Answers of the parent for which a stored one may stand in: its failures (RFC 5861 §4)."""
    stale_within_max_ttl: bool = False
    """Nothing stale is served later than `ttl.max` after it arrived, whatever allows it."""
    stale_if_error: float = 0.0
    """How long after its freshness a stored answer stands in for a failing origin, when nothing else says so."""
    origin_stale_if_error: bool = True
    """The origin's own `stale-if-error` is heeded; False: only the behavior's."""
    origin_stale_if_error_when_sick: bool = False
    """It is heeded while the origin is known to be sick, whatever `origin_stale_if_error` says."""
    stale_when_unreachable: bool = True
    """A stored answer stands in for an origin that gives no answer at all, however stale, unless its own directives
    forbid (RFC 9111 §4.2.4: a cache that is disconnected)."""
    no_cache_stands_in: bool = False
    """Also a stored answer that says `no-cache` stands in for an origin that gives no answer at all, but for one with
    `stale-if-error=0`."""
    s_maxage_forbids_stale: bool = True
    """`s-maxage` carries proxy-revalidate with it (RFC 9111 §5.2.2.10)."""
    failures_held: bool = False
    """A parent that failed is left alone for the behavior's `error_ttl`: what stood in for it stands in so long."""
    failures: Mapping[str, FailureResponse] = field(default_factory=dict)
    """What is answered for each `cdnkit.policy.plan.Failure`, by its value; left out: 502, or 504 for what came too
    late."""
    failure_status: int | None = None
    """The status of failures that `failures` does not name; None: 502 or 504."""
    too_many: FailureResponse = FailureResponse(429, "")
    """What is answered to a client that asks more often than a `rate_limit` lets it (RFC 6585 §4)."""
    unknown_host: FailureResponse = FailureResponse(421, "")
    """What is answered for a host that no service of the node's has (RFC 9110 §15.5.20)."""
    geo_unknown: Literal["allow", "deny"] = "deny"
    """What becomes of a viewer whose country is not known, where the behavior's `geo` does not say."""
    page: Callable[[Incident], Page] = plain_page
    """Makes the body of an answer of the node's own."""
    waits: Waits = Waits(connect=2.0, first_byte=15.0, between_bytes=10.0)
    """Time-outs and attempts where a node's settings leave them open."""

    # ---- what answers carry ------------------------------------------------------------------------------------
    signature: type[Signature] | None = None
    """What answers carry beside Via, Age, X-Cache and Cache-Status; None: nothing, and two answers of the same second
    have the same head."""
    server_timing: bool = False
    """The signature carries out a behavior's `server_timing`."""
    extra_fields: frozenset[str] = frozenset()
    """Request fields (lower-case names) that may change what an answer tells (`Signature.tells`)."""
    date_of_responses: Literal["origin", "now"] = "origin"
    """Date of an answer: the origin's, or ours where it sent none (RFC 9110 §6.6.1); or the present where it sent one,
    and else none."""
    ends_here: frozenset[str] = frozenset()
    """Fields of the parent's answers that are for this node, and go no further."""
    kept_from_viewers: frozenset[str] = frozenset()
    """Fields that nodes pass to one another and viewers never see."""
    x_cache: tuple[str, str] = ("HIT", "MISS")
    """What `X-Cache` says of an answer from the store, and of any other."""
    x_cache_revalidated: str = "HIT"
    """What `X-Cache` says after a 304."""
    x_cache_redirect: str | None = None
    """What `X-Cache` says to who is sent to HTTPS; None: as of others."""
    redirect_others: int = 307
    """What methods beside GET and HEAD are told that are sent to HTTPS; 307 keeps the method."""
    x_cache_error: str | None = None
    """What `X-Cache` says of a status from 400 on, whoever made it; None: as of others."""
    via: str = "1.1 {name}"
    """Our member of a response's `Via`; {name} is the node's name, {hex} a hexadecimal mark of it."""


RFC9111 = Profile(name="rfc9111")
