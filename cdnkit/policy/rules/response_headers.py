"""Settings of what is put on answers, or taken off them, as they leave: CORS, security fields, and any others.

Source: CloudFront, "Understand response headers policies", whose parts these are; `append` is Fastly's (a header object
of its VCL). What is stored is the origin's: this is for the viewer alone.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from cdnkit.units import FieldName, FieldValue, Seconds, Settings

Method = Literal["GET", "DELETE", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]
SecurityField = Literal[
    "Content-Security-Policy",
    "Referrer-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
]

NODES_OWN = frozenset(
    {"age", "x-amz-cf-id", "x-amz-cf-pop", "x-cache", "x-cache-hits", "x-served-by", "x-timer"}
)  # fmt: skip
"""Fields by which nodes tell of themselves: no setting writes them, and what a parent wrote there does not go on."""

UNTOUCHED = NODES_OWN | frozenset(
    {
        "connection", "content-encoding", "content-length", "expect", "host", "keep-alive", "proxy-authenticate",
        "proxy-authorization", "proxy-connection", "trailer", "transfer-encoding", "upgrade", "via", "warning",
        "x-forwarded-proto", "x-real-ip", "cache-status", "content-range",
    }
)  # fmt: skip
"""Fields that frame a message, or that a node writes itself. Most of them are on CloudFront's own list."""


class Cors(Settings):
    """Which other origins may read responses (Fetch, "CORS protocol"). Applies to requests with an `Origin` field."""

    origins: tuple[str, ...] = Field(default=("*",), min_length=1)
    """Origins that may: "*", or a list such as "https://www.example.org". An entry without a scheme matches any scheme;
    a leading "*." stands for one label of the host. A request whose origin matches gets it back in
    `Access-Control-Allow-Origin`, and responses then carry `Vary: Origin`."""

    methods: Literal["ALL"] | tuple[Method, ...] = ()
    """`Access-Control-Allow-Methods` in responses to preflight requests; "ALL" for all of these."""

    headers: tuple[FieldName, ...] = ()
    """`Access-Control-Allow-Headers` in responses to preflight requests: names of request fields, or "*"."""

    expose: tuple[FieldName, ...] = ()
    """`Access-Control-Expose-Headers`: names of response fields that scripts may read, or "*"."""

    max_age: Seconds | None = None
    """`Access-Control-Max-Age`: how long a browser may cache the response to a preflight request."""

    credentials: bool = False
    """`Access-Control-Allow-Credentials`: whether such requests may carry cookies; requires origins by name."""

    override: bool = True
    """False: a CORS field that the origin sent is kept."""

    preflight: Literal["forward", "answer"] = "forward"
    """Who responds to preflight requests: "forward", the origin, as to every OPTIONS; "answer", the node, with a 204
    (as Fastly's VCL could; CloudFront does not)."""

    @field_validator("origins")
    @classmethod
    def _readable(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [origin for origin in origins if not _ORIGIN.fullmatch(origin)]
        if wrong:
            raise ValueError(
                f'wanted "*" or origins such as "https://www.example.org" or "*.example.org", not {wrong[0]!r}'
            )
        return origins

    @model_validator(mode="after")
    def _no_stars_with_credentials(self) -> Self:
        # Fetch 3.2.5: with credentials "*" is no wildcard, and to tell every origin back would let everybody in.
        if self.credentials and "*" in (*self.origins, *self.headers, *self.expose):
            raise ValueError('wanted names instead of "*" with credentials: browsers do not accept "*" then')
        return self


_ORIGIN = re.compile(
    r"\*|(?:[a-z][a-z0-9+.-]*://)?(?:\*\.)?[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9-]+)*(?::[0-9]{1,5})?"
)


class Hsts(Settings):
    """How long a browser uses only HTTPS for the host (RFC 6797)."""

    max_age: Seconds = 31_536_000.0
    """How long the browser remembers this."""

    include_subdomains: bool = False
    """Whether it also holds for all subdomains."""

    preload: bool = False
    """Whether browsers may include the host in their preload lists."""


class Security(Settings):
    """Security fields for browsers. A field that is left out is not added."""

    content_security_policy: FieldValue | None = Field(default=None, max_length=1783)
    """`Content-Security-Policy`."""

    referrer_policy: (
        Literal[
            "no-referrer",
            "no-referrer-when-downgrade",
            "origin",
            "origin-when-cross-origin",
            "same-origin",
            "strict-origin",
            "strict-origin-when-cross-origin",
            "unsafe-url",
        ]
        | None
    ) = None
    """`Referrer-Policy`."""

    strict_transport_security: Hsts | None = None
    """`Strict-Transport-Security`."""

    content_type_options: bool = False
    """`X-Content-Type-Options: nosniff`."""

    frame_options: Literal["DENY", "SAMEORIGIN"] | None = None
    """`X-Frame-Options`."""

    xss_protection: Annotated[str, StringConstraints(pattern=r"^(0|1|1; mode=block|1; report=[!-~]+)$")] | None = None
    """`X-XSS-Protection`: "0", "1", "1; mode=block" or "1; report=URI"."""

    override: bool | tuple[SecurityField, ...] = True
    """Whether these fields replace the origin's: all of them, none, or those listed."""


class ResponseHeaders(Settings):
    """A response headers policy: fields that a node sets, adds or removes on responses to viewers."""

    cors: Cors | None = None
    """Which other origins may read responses."""

    security: Security = Security()
    """Security fields for browsers."""

    set: dict[FieldName, FieldValue] = Field(default={})
    """Fields by name; each replaces the origin's field of that name."""

    set_if_absent: dict[FieldName, FieldValue] = Field(default={})
    """Fields that are added where the origin's response has none of that name."""

    append: dict[FieldName, FieldValue] = Field(default={})
    """Fields that are added to the origin's fields of the same name."""

    remove: tuple[FieldName, ...] = ()
    """Fields that are removed from the origin's response before the others are applied."""

    server_timing: Literal["off"] | Annotated[float, Field(ge=0, le=100)] = "off"
    """With cloudfront: like a behavior's `server_timing`, which takes precedence where it is set."""

    @model_validator(mode="after")
    def _may_be_touched(self) -> Self:
        for key in ("set", "set_if_absent", "append", "remove"):
            wrong = [name for name in getattr(self, key) if name.lower() in UNTOUCHED]
            if wrong:
                raise ValueError(f"{key}: {wrong[0]} frames the message, or the node writes it; wanted other fields")
        return self
