"""The vendor-neutral settings of one service: which requests are allowed, from whom, and how long responses are stored.

Everything here is configuration, read once. Nothing here is made per request.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from cdnkit.policy.rules.eviction import Eviction
from cdnkit.policy.rules.parent_headers import ParentHeaders
from cdnkit.policy.rules.places import PlaceKind, kind_of
from cdnkit.policy.rules.rate_limit import RateLimit
from cdnkit.policy.rules.response_headers import ResponseHeaders
from cdnkit.policy.rules.tokens import Token
from cdnkit.units import Bytes, Glob, Seconds, Secret, Settings
from cdnkit.units.quantities import write_seconds

CachePolicy = Literal[
    "none",
    "Amplify",
    "CachingDisabled",
    "CachingOptimized",
    "CachingOptimizedForUncompressedObjects",
    "Elemental-MediaPackage",
]
"""CloudFront's managed cache policies that cdnlab carries out; `cdnkit/vendors/cloudfront/policies.py` has their
settings."""

OriginRequestPolicy = Literal[
    "none",
    "AllViewer",
    "AllViewerExceptHostHeader",
    "CORS-CustomOrigin",
    "CORS-S3Origin",
    "HostHeaderOnly",
    "UserAgentRefererHeaders",
]
"""CloudFront's managed origin request policies that cdnlab carries out."""

PurgeRequests = Literal["everybody", "token", "nobody"]


class Ttl(Settings):
    """How long responses stay fresh: the origin's freshness lifetime, kept between two bounds."""

    min: Seconds = 0.0
    """A shorter freshness lifetime from the origin is raised to this."""

    default: Seconds | None = None
    """The freshness lifetime where the origin gives none. Left out: the profile's."""

    max: Seconds | None = None
    """A longer freshness lifetime from the origin is reduced to this. Left out: the profile's."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        # CloudFront answers 400 InvalidTTLOrder for the same mistake.
        known = {key: value for key, value in self if value is not None}
        if list(known.values()) != sorted(known.values()):
            found = ", ".join(f"{key} is {write_seconds(value)}" for key, value in known.items())
            raise ValueError(f"{found}; wanted min <= default <= max")
        return self


class Key(Settings):
    """What the cache key contains beside the path."""

    query: Literal["all", "none"] | tuple[str, ...] | None = None
    """Query parameters in the key: "all", "none", or a list of names. Left out: the profile's, which is "all", for
    cloudfront "none". Parameters outside the key still reach the origin, except with cloudfront. In names, `*` stands
    for any characters and `?` for one; cloudfront allows these in cookie names only."""

    query_except: tuple[str, ...] = ()
    """Query parameters to exclude from the key while all others are in it: "utm_*"."""

    headers: tuple[str, ...] = ()
    """Request header fields whose values are in the key. Fields that a node does not forward are not allowed."""

    cookies: Literal["all", "none"] | tuple[str, ...] = "none"
    """Cookies in the key: "all", "none", or a list of names, in which `*` stands for any characters and `?` for one
    ("session_*"). The order of cookies in a request does not matter."""

    cookies_except: tuple[str, ...] = ()
    """Cookies to exclude from the key while all others are in it; requires `cookies = "all"`."""

    accept_encoding: tuple[Literal["gzip", "br"], ...] = ()
    """Content codings in the key: Accept-Encoding is reduced to these, in the key and in the upstream request."""

    host: bool | None = None
    """Whether the request's host is in the key. Left out: the profile's (fastly: true, others: false)."""

    @model_validator(mode="after")
    def _exceptions(self) -> Self:
        if self.query_except and self.query not in (None, "all"):
            raise ValueError('wanted query = "all" with query_except')
        if self.cookies_except and self.cookies != "all":
            raise ValueError('wanted cookies = "all" with cookies_except')
        return self


class Geo(Settings):
    """Which places are served: countries ("DE"), regions ("US-CA"), operators ("AS64500"), networks ("203.0.113.0/24").

    The vendors' own geo restrictions list countries only; the other entries stand for VCL or WAF rules.
    """

    allow: tuple[str, ...] = ()
    """Serve only these. Empty: serve every place that `deny` does not list."""

    deny: tuple[str, ...] = ()
    """Refuse these. If `allow` lists countries, `deny` may list regions, operators and networks, but no countries."""

    unknown: Literal["allow", "deny"] | None = None
    """Whether an address whose country is not known is served. Left out: the profile's, which is "deny", for cloudfront
    "allow"."""

    anonymous: Literal["allow", "deny"] = "allow"
    """Whether an address that is known as a VPN, proxy or Tor exit is served."""

    hosting: Literal["allow", "deny"] = "allow"
    """Whether an address that is known as a hosting provider's is served."""

    @field_validator("allow", "deny")
    @classmethod
    def _entries(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [entry for entry in entries if kind_of(entry) is None]
        if wrong:
            raise ValueError(
                'wanted upper-case ISO 3166 codes such as "DE" or "US-CA", operators such as "AS64500" or networks '
                f'such as "203.0.113.0/24", not {", ".join(map(repr, wrong))}'
            )
        return entries

    @model_validator(mode="after")
    def _one_list(self) -> Self:
        both = [
            [entry for entry in entries if kind_of(entry) is PlaceKind.COUNTRY] for entries in (self.allow, self.deny)
        ]
        if all(both):
            raise ValueError("wanted countries in allow or in deny, not in both: the vendors take one list")
        return self


class Behavior(Settings):
    """Rules for requests to one set of paths; the first behavior whose `path` matches a request applies."""

    path: Glob
    """Glob on the URL path, case-sensitive: `*` matches any characters, `/` included; `?` matches one. A leading `/` is
    optional."""

    cache: bool = True
    """False: every request goes to the origin and nothing is stored (a *pass*)."""

    methods: Literal["all", "GET, HEAD", "GET, HEAD, OPTIONS"] = "all"
    """Methods that are allowed (CloudFront's allowed methods); others are refused with 403."""

    cached_methods: Literal["GET, HEAD", "GET, HEAD, OPTIONS"] = "GET, HEAD"
    """Methods whose responses are stored (CloudFront's cached methods). OPTIONS has cache keys of its own; where its
    responses depend on Origin, Access-Control-Request-Method and Access-Control-Request-Headers, list these in
    `key.headers`."""

    ttl: Ttl = Ttl()
    """Default and bounds of the freshness lifetime."""

    key: Key = Key()
    """What the cache key contains."""

    slice: Bytes | None = Field(default=None, ge=4096)
    """Fetch and store large objects in blocks of this size. A range request then fetches only the blocks that it needs,
    and an object may be larger than the store. The origin must support range requests and send a strong `ETag`; any
    other object is stored whole. Fastly calls this segmented caching, and uses blocks of 1 MiB. Left out: objects are
    stored whole."""

    stale_while_revalidate: Seconds | None = None
    """How long a stale response may be served while one request refreshes it in the background. Applies where the
    origin's response does not say."""

    stale_if_error: Seconds | None = None
    """How long a stale response may be served when the origin fails. Applies where the origin's response does not
    say."""

    error_ttl: Seconds | None = None
    """How long a 404 or 410 without a lifetime of its own is stored; with cloudfront, the least time that an error is
    stored (ErrorCachingMinTTL). Left out: the profile's, which is 1 s, for cloudfront 10 s, for fastly the default TTL.
    Keep it short: a segment that is requested too early must appear soon."""

    error_ttls: dict[Annotated[int, Field(ge=400, le=599)], Seconds] = {}
    """The same for single statuses, in place of `error_ttl`: `{404 = "1s", 503 = "0s"}`. Allowed are the statuses that
    the profile stores: 404 and 410; with cloudfront those on its two lists, which lack 410."""

    cache_policy: CachePolicy = "none"
    """With cloudfront: a managed cache policy by name, in place of `ttl` and `key`."""

    origin_request_policy: OriginRequestPolicy = "none"
    """With cloudfront: a managed origin request policy by name, which adds to the upstream request what is not in the
    cache key."""

    response_headers_policy: str = "none"
    """The response headers policy of every response: the name of a `[response_headers.NAME]` or, with cloudfront, of a
    managed response headers policy."""

    compress: bool = False
    """With cloudfront: compress responses that the origin did not compress, for viewers that accept it. The cache key
    must contain the content coding (`key.accept_encoding`, or a `cache_policy` that has it)."""

    server_timing: Literal["off"] | Annotated[float, Field(ge=0, le=100)] = "off"
    """With cloudfront: the percentage of responses that carry `Server-Timing`, besides responses to requests with
    `Pragma: server-timing`. "off": no response carries it."""

    token: str | None = None
    """Name of a `[token.NAME]`; requests without a valid token are refused."""

    geo: Geo | None = None
    """Which places are served and refused; checked before the cache is looked up."""

    rate_limit: RateLimit | None = None
    """How many requests one client may make under this behavior. Left out: no limit."""

    viewer_protocol: Literal["allow-all", "https-only", "redirect-to-https"] = "allow-all"
    """What a request over HTTP gets: a response, a 403, or a redirect to the node's `listen_tls` (CloudFront's viewer
    protocol policy; Fastly's "force TLS")."""

    viewer_headers: tuple[str, ...] = ()
    """Fields about the viewer that the node itself writes on upstream requests, such as "CloudFront-Viewer-Country".
    They are not part of the cache key. (CloudFront: a custom origin request policy.)"""

    @model_validator(mode="after")
    def _one_recipe(self) -> Self:
        # Not what was set: a behavior that was written out and is read again has every field set.
        written = [name for name, default in (("key", Key()), ("ttl", Ttl())) if getattr(self, name) != default]
        if self.cache_policy != "none" and written:
            raise ValueError(f"wanted cache_policy or {' and '.join(written)}, not both: the policy sets them")
        if self.compress and self.cache_policy == "none" and not self.key.accept_encoding:
            raise ValueError('wanted key = { accept_encoding = ["gzip", "br"] } or a cache_policy with compress')
        if "OPTIONS" in self.cached_methods and self.methods == "GET, HEAD":
            raise ValueError("wanted methods with OPTIONS, since cached_methods has it")
        return self


class ErrorPage(Settings):
    """A page that replaces an error response (CloudFront: a custom error response)."""

    status: Literal[400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504]
    """Status of the error: from the origin, or from the node when the origin failed."""

    page: str = Field(pattern=r"^/[^?#\s]*$")
    """The page's URL path. The node requests it like any other URL, so that path's own behavior applies."""

    response_status: Literal[200, 400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504]
    """Status of the response that carries the page."""


class Service(Settings):
    """The rules of one cache node, whichever shell runs them."""

    name: str = "cdnlab"
    """The node's name in `Via` and `Cache-Status`."""

    profile: str = "rfc9111"
    """The vendor profile: whose rules apply where the standard leaves a choice."""

    observed: bool = False
    """Follow a CDN's observed behavior where it differs from its documentation."""

    behaviors: tuple[Behavior, ...] = (Behavior(path="*"),)
    """The first that matches a request applies; without a match the profile's defaults apply."""

    tokens: dict[str, Token] = Field(default_factory=dict)
    """Token schemes, by the name that behaviors use."""

    response_headers: dict[str, ResponseHeaders] = Field(default_factory=dict)
    """Response headers policies, by the name that behaviors use."""

    error_pages: tuple[ErrorPage, ...] = ()
    """Pages that replace error responses; the first with the response's status applies."""

    parent_headers: ParentHeaders = Field(default={})
    """Fields set on every upstream request, in place of any that the viewer sent under these names."""

    gate: bool = True
    """Whether tokens and countries are checked here. False on a shield: its clients are edges, which have checked
    already."""

    https_port: int = 443
    """The port to which `viewer_protocol` redirects requests over HTTP."""

    rate_limit: RateLimit | None = None
    """How many requests one client may make of the node in all, besides the limits of behaviors. Only at an edge."""

    purge_requests: PurgeRequests | None = None
    """Whose `PURGE` requests purge their target URL. None: the profile's."""

    purge_token: Secret | None = None
    """The `Fastly-Key` that such a request must carry with "token"."""

    room: Bytes = 512 * 2**20
    """Room for stored responses, in bytes."""

    variants: int = Field(default=128, ge=1)
    """The most stored responses of one cache key that `Vary` tells apart."""

    block: Bytes = Field(default=1, ge=1)
    """A body takes room in whole blocks of this many bytes: those of the file system, where bodies are files."""

    eviction: Eviction = "lru"
    """Which stored response is evicted first when the store is full."""

    largest: Bytes = 64 * 2**20
    """A larger response is passed through and not stored."""

    @model_validator(mode="after")
    def _tokens_exist(self) -> Self:
        for behavior in self.behaviors:
            if behavior.token is not None and behavior.token not in self.tokens:
                raise ValueError(f"behavior {behavior.path!r} names token {behavior.token!r}, which does not exist")
        return self
