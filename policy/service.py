"""The vendor-neutral settings of one service: what may be asked, by whom, and how long answers are kept.

Everything here is configuration, read once. Nothing here is made per request.
"""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from policy.token.settings import Token
from units import Bytes, Glob, Seconds, Settings

ProfileName = Literal["rfc9111", "cloudfront", "fastly"]

CachePolicy = Literal[
    "none",
    "Amplify",
    "CachingDisabled",
    "CachingOptimized",
    "CachingOptimizedForUncompressedObjects",
    "Elemental-MediaPackage",
]
"""CloudFront's managed cache policies that cdnlab carries out; `vendors/cloudfront/policies.py` says what they hold."""

OriginRequestPolicy = Literal[
    "none", "AllViewer", "AllViewerExceptHostHeader", "CORS-CustomOrigin", "CORS-S3Origin", "UserAgentRefererHeaders"
]
"""CloudFront's managed origin request policies that cdnlab carries out."""

ResponseHeadersPolicy = Literal["none", "SimpleCORS"]
"""CloudFront's managed response headers policies that cdnlab carries out."""


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
    "all", for cloudfront "none". Others still reach the origin, except with cloudfront."""

    query_except: tuple[str, ...] = ()
    """Query parameters that are not in the key though all others are."""

    headers: tuple[str, ...] = ()
    """Request header fields whose values are part of the key."""

    cookies: Literal["all", "none"] | tuple[str, ...] = "none"
    """Cookies in the key: "all", "none", or the names of those that are; their order does not matter."""

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
    """Which countries are served: ISO 3166-1 alpha-2 codes."""

    allow: tuple[str, ...] = ()
    """Only these are served. Empty: all but the denied ones."""

    deny: tuple[str, ...] = ()
    """These are refused."""

    unknown: Literal["allow", "deny"] = "deny"
    """What becomes of an address no country is known for."""

    @field_validator("allow", "deny")
    @classmethod
    def _codes(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [code for code in codes if not (len(code) == 2 and code.isalpha() and code.isupper())]
        if wrong:
            raise ValueError(f'wanted upper-case ISO 3166-1 codes such as "DE", not {", ".join(map(repr, wrong))}')
        return codes

    @model_validator(mode="after")
    def _one_list(self) -> Self:
        if self.allow and self.deny:
            raise ValueError("wanted allow or deny, not both: the vendors take one list")
        return self


class Behavior(Settings):
    """How requests for one set of paths are answered; the first behavior that matches a request rules it."""

    path: Glob
    """Glob on the URL path, case-sensitive: `*` any characters, also `/`; `?` one. A leading `/` is optional."""

    cache: bool = True
    """False: every request goes to the origin and nothing is stored (a *pass*)."""

    methods: Literal["all", "GET, HEAD", "GET, HEAD, OPTIONS"] = "all"
    """Methods that are let through (CloudFront's allowed methods); others are refused with 403."""

    ttl: Ttl = Ttl()
    """Bounds and default of the freshness lifetime."""

    key: Key = Key()
    """What of the request enters the cache key."""

    stale_while_revalidate: Seconds | None = None
    """Serve stale for so long while one request refreshes behind it, where the origin's answer does not say."""

    stale_if_error: Seconds | None = None
    """Serve stale for so long when the origin fails, where the origin's answer does not say."""

    error_ttl: Seconds | None = None
    """How long a 404 or 410 without a lifetime of its own is kept; with cloudfront, at least how long an error is kept
    (ErrorCachingMinTTL). Left out: the profile's: 1 s, cloudfront 10 s, fastly the default TTL. Short is good: a
    segment asked for too early must appear."""

    cache_policy: CachePolicy = "none"
    """With cloudfront: a managed cache policy by name, instead of `ttl` and `key`."""

    origin_request_policy: OriginRequestPolicy = "none"
    """With cloudfront: a managed origin request policy by name: what reaches the origin beside the cache key."""

    response_headers_policy: ResponseHeadersPolicy = "none"
    """With cloudfront: a managed response headers policy by name: fields added to every answer."""

    token: str | None = None
    """Name of a `[token.NAME]`; requests without a good one are refused."""

    geo: Geo | None = None
    """Countries served and refused; the gate stands before the cache."""

    @model_validator(mode="after")
    def _one_recipe(self) -> Self:
        written = sorted({"ttl", "key"} & self.model_fields_set)
        if self.cache_policy != "none" and written:
            raise ValueError(f"wanted cache_policy or {' and '.join(written)}, not both: the policy sets them")
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

    profile: ProfileName = "rfc9111"
    """Whose habits rule where the standard leaves a choice."""

    behaviors: tuple[Behavior, ...] = (Behavior(path="*"),)
    """First match wins; a request no behavior matches is ruled by the profile alone."""

    tokens: dict[str, Token] = Field(default_factory=dict)
    """The schemes that behaviors name."""

    error_pages: tuple[ErrorPage, ...] = ()
    """Pages in place of errors; the first for a status counts."""

    gate: bool = True
    """Check tokens and countries here. False on a shield: its viewers are edges that have checked already."""

    room: Bytes = 512 * 2**20
    """Bytes of stored responses kept; the least recently used go first."""

    largest: Bytes = 64 * 2**20
    """A larger response streams through and is not stored."""

    @model_validator(mode="after")
    def _tokens_exist(self) -> Self:
        for behavior in self.behaviors:
            if behavior.token is not None and behavior.token not in self.tokens:
                raise ValueError(f"behavior {behavior.path!r} names token {behavior.token!r}, which does not exist")
        return self
