"""The vendor-neutral settings of one service: what may be asked, by whom, and how long answers are kept.

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
    """How long answers of one behavior stay fresh: the origin's word, held between two bounds."""

    min: Seconds = 0.0
    """A shorter freshness lifetime from the origin is raised to this."""

    default: Seconds | None = None
    """The freshness lifetime when the origin names none. Left out: the profile's."""

    max: Seconds | None = None
    """A longer freshness lifetime from the origin is cut to this. Left out: the profile's."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        # CloudFront answers 400 InvalidTTLOrder for the same mistake.
        known = [value for value in (self.min, self.default, self.max) if value is not None]
        if known != sorted(known):
            raise ValueError("wanted min <= default <= max")
        return self


class Key(Settings):
    """What of a request enters the cache key, beside the path."""

    query: Literal["all", "none"] | tuple[str, ...] | None = None
    """Query parameters in the key: "all", "none", or the names of those that are. Left out: the profile's, which is
    "all", for cloudfront "none". Others still reach the origin, except with cloudfront. In names `*` stands for any
    characters and `?` for one; not with cloudfront, which has that in names of cookies alone."""

    query_except: tuple[str, ...] = ()
    """Query parameters that are not in the key though all others are: "utm_*"."""

    headers: tuple[str, ...] = ()
    """Request header fields whose values are part of the key. Those that end at a node are refused."""

    cookies: Literal["all", "none"] | tuple[str, ...] = "none"
    """Cookies in the key: "all", "none", or the names of those that are, `*` in them for any characters and `?` for
    one ("session_*"); their order does not matter."""

    cookies_except: tuple[str, ...] = ()
    """Cookies that are not in the key though all others are; wants `cookies = "all"`."""

    accept_encoding: tuple[Literal["gzip", "br"], ...] = ()
    """Content codings told apart: Accept-Encoding enters the key cut down to these, and so it reaches the origin."""

    host: bool | None = None
    """Whether the host asked for is part of the key. Left out: the profile's (fastly: true, others: false)."""

    @model_validator(mode="after")
    def _exceptions(self) -> Self:
        if self.query_except and self.query not in (None, "all"):
            raise ValueError('wanted query = "all" with query_except')
        if self.cookies_except and self.cookies != "all":
            raise ValueError('wanted cookies = "all" with cookies_except')
        return self


class Geo(Settings):
    """Which places are served: countries ("DE"), regions ("US-CA"), operators ("AS64500"), networks ("203.0.113.0/24").

    The vendors' switches know countries only; the rest stands for what is written there as VCL or WAF rules.
    """

    allow: tuple[str, ...] = ()
    """Only these are served. Empty: all but the denied ones."""

    deny: tuple[str, ...] = ()
    """These are refused. Beside an `allow` of countries it narrows: regions, operators and networks, no countries."""

    unknown: Literal["allow", "deny"] | None = None
    """What becomes of an address no country is known for. Left out: the profile's, which is "deny", for cloudfront
    "allow"."""

    anonymous: Literal["allow", "deny"] = "allow"
    """What becomes of an address that is known as an exit of a VPN, a proxy or Tor."""

    hosting: Literal["allow", "deny"] = "allow"
    """What becomes of an address that is known as a hosting provider's."""

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
    """How requests for one set of paths are answered; the first behavior that matches a request rules it."""

    path: Glob
    """Glob on the URL path, case-sensitive: `*` any characters, also `/`; `?` one. A leading `/` is optional."""

    cache: bool = True
    """False: every request goes to the origin and nothing is stored (a *pass*)."""

    methods: Literal["all", "GET, HEAD", "GET, HEAD, OPTIONS"] = "all"
    """Methods that are let through (CloudFront's allowed methods); others are refused with 403."""

    cached_methods: Literal["GET, HEAD", "GET, HEAD, OPTIONS"] = "GET, HEAD"
    """Methods whose answers are kept (CloudFront's cached methods). OPTIONS has keys of its own; where its answers
    depend on Origin, Access-Control-Request-Method and Access-Control-Request-Headers, name these in `key.headers`."""

    ttl: Ttl = Ttl()
    """Bounds and default of the freshness lifetime."""

    key: Key = Key()
    """What of the request enters the cache key."""

    slice: Bytes | None = Field(default=None, ge=4096)
    """Large objects are fetched and kept in blocks of this size, each for itself, so that a range needs its blocks only
    and an object may be larger than the room. The origin must answer ranges and send a strong `ETag`; what does not is
    kept as a whole. Fastly calls it segmented caching, and takes 1 MiB. Left out: objects are kept whole."""

    stale_while_revalidate: Seconds | None = None
    """Serve stale for so long while one request refreshes behind it, where the origin's answer does not say."""

    stale_if_error: Seconds | None = None
    """Serve stale for so long when the origin fails, where the origin's answer does not say."""

    error_ttl: Seconds | None = None
    """How long a 404 or 410 without a lifetime of its own is kept; with cloudfront, at least how long an error is kept
    (ErrorCachingMinTTL). Left out: the profile's: 1 s, cloudfront 10 s, fastly the default TTL. Short is good: a
    segment asked for too early must appear."""

    error_ttls: dict[Annotated[int, Field(ge=400, le=599)], Seconds] = {}
    """The same for errors of one status, before `error_ttl`: `{404 = "1s", 503 = "0s"}`. Only of errors that
    the profile keeps: 404 and 410; with cloudfront those of its two lists, 410 not among them."""

    cache_policy: CachePolicy = "none"
    """With cloudfront: a managed cache policy by name, instead of `ttl` and `key`."""

    origin_request_policy: OriginRequestPolicy = "none"
    """With cloudfront: a managed origin request policy by name: what reaches the origin beside the cache key."""

    response_headers_policy: str = "none"
    """What is put on every answer: the name of a `[response_headers.NAME]`, or, with cloudfront, of a managed response
    headers policy."""

    compress: bool = False
    """With cloudfront: compress what the origin did not, for viewers who accept it; wants codings in the key
    (`key.accept_encoding`, or a `cache_policy` that has them)."""

    server_timing: Literal["off"] | Annotated[float, Field(ge=0, le=100)] = "off"
    """With cloudfront: percent of answers that carry Server-Timing, beside those whose request has
    `Pragma: server-timing`. "off": none does."""

    token: str | None = None
    """Name of a `[token.NAME]`; requests without a good one are refused."""

    geo: Geo | None = None
    """Places served and refused; the gate stands before the cache."""

    rate_limit: RateLimit | None = None
    """How many requests one client may make under this behavior; left out: any number."""

    viewer_protocol: Literal["allow-all", "https-only", "redirect-to-https"] = "allow-all"
    """What becomes of viewers who come over HTTP: served, refused with 403, or sent to the node's `listen_tls`
    (CloudFront's viewer protocol policy; Fastly's "force TLS")."""

    viewer_headers: tuple[str, ...] = ()
    """Fields about the viewer that the origin is sent without their entering the key, such as
    "CloudFront-Viewer-Country": the node writes them itself. (CloudFront: a custom origin request policy.)"""

    @model_validator(mode="after")
    def _one_recipe(self) -> Self:
        # Not what was set: a behavior that was written out and is read again has every field set.
        written = [name for name, default in (("key", Key()), ("ttl", Ttl())) if getattr(self, name) != default]
        if self.cache_policy != "none" and written:
            raise ValueError(f"wanted cache_policy or {' and '.join(written)}, not both: the policy sets them")
        if self.compress and self.cache_policy == "none" and not self.key.accept_encoding:
            raise ValueError('wanted key = { accept_encoding = ["gzip", "br"] } or a cache_policy with compress')
        if "OPTIONS" in self.cached_methods and self.methods == "GET, HEAD":
            raise ValueError("wanted methods with OPTIONS, as cached_methods has it")
        return self


class ErrorPage(Settings):
    """A page that answers in place of an error (CloudFront: a custom error response)."""

    status: Literal[400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504]
    """The error's status, from the origin or of the node's own making when the origin failed."""

    page: str = Field(pattern=r"^/[^?#\s]*$")
    """The page's path, asked for like any other: its own behavior rules it."""

    response_status: Literal[200, 400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504]
    """The status the viewer is told with the page."""


class Service(Settings):
    """The rules of one cache node, whichever shell runs them."""

    name: str = "cdnlab"
    """How this node signs `Via` and `Cache-Status`."""

    profile: str = "rfc9111"
    """Whose habits rule where the standard leaves a choice."""

    observed: bool = False
    """Where a CDN was observed to do otherwise than its documents say, do as observed."""

    behaviors: tuple[Behavior, ...] = (Behavior(path="*"),)
    """First match wins; a request no behavior matches is ruled by the profile alone."""

    tokens: dict[str, Token] = Field(default_factory=dict)
    """The schemes that behaviors name."""

    response_headers: dict[str, ResponseHeaders] = Field(default_factory=dict)
    """Response headers policies that behaviors name."""

    error_pages: tuple[ErrorPage, ...] = ()
    """Pages in place of errors; the first for a status counts."""

    parent_headers: ParentHeaders = Field(default={})
    """What is put on every request to the parent, in the place of what viewers sent under these names."""

    gate: bool = True
    """Check tokens and countries here. False on a shield: its viewers are edges that have checked already."""

    https_port: int = 443
    """Where viewers who come over HTTP are sent, if a behavior says so."""

    rate_limit: RateLimit | None = None
    """How many requests one client may make of the node in all, beside what behaviors say; where viewers come."""

    purge_requests: PurgeRequests | None = None
    """Whose `PURGE` requests purge the URL they are sent to. None: the profile's."""

    purge_token: Secret | None = None
    """What those carry as `Fastly-Key` where "token" says so."""

    room: Bytes = 512 * 2**20
    """Bytes of stored responses kept."""

    block: Bytes = Field(default=1, ge=1)
    """A body takes room in whole blocks of so many bytes: those of a file system, where bodies are files."""

    eviction: Eviction = "lru"
    """Which stored response goes first when there is no more room."""

    largest: Bytes = 64 * 2**20
    """A larger response streams through and is not stored."""

    @model_validator(mode="after")
    def _tokens_exist(self) -> Self:
        for behavior in self.behaviors:
            if behavior.token is not None and behavior.token not in self.tokens:
                raise ValueError(f"behavior {behavior.path!r} names token {behavior.token!r}, which does not exist")
        return self
