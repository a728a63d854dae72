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
    """Who may read answers from other origins (Fetch, "CORS protocol"). For requests that have an `Origin`."""

    origins: tuple[str, ...] = Field(default=("*",), min_length=1)
    """Origins that may: "*", or such as "https://www.example.org"; without a scheme for any; "*." at the beginning of
    the host stands for one label. One that matches is told back to it, and then answers say `Vary: Origin`."""

    methods: Literal["ALL"] | tuple[Method, ...] = ()
    """Methods that a preflight request is told, "ALL" for all of these."""

    headers: tuple[FieldName, ...] = ()
    """Request fields that a preflight request is told, or "*"."""

    expose: tuple[FieldName, ...] = ()
    """Response fields that scripts may read, or "*"."""

    max_age: Seconds | None = None
    """How long a browser may remember what a preflight request was told."""

    credentials: bool = False
    """Whether cookies may come with such requests; wants origins by name."""

    override: bool = True
    """False: what the origin says of one of these fields stands."""

    preflight: Literal["forward", "answer"] = "forward"
    """Where preflight requests are answered: by the origin as every OPTIONS, or by the node with a 204 (what Fastly's
    VCL would do; CloudFront does not)."""

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
            raise ValueError('wanted names instead of "*" with credentials: browsers take no "*" then')
        return self


_ORIGIN = re.compile(
    r"\*|(?:[a-z][a-z0-9+.-]*://)?(?:\*\.)?[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9-]+)*(?::[0-9]{1,5})?"
)


class Hsts(Settings):
    """How long a browser comes by HTTPS alone (RFC 6797)."""

    max_age: Seconds = 31_536_000.0
    """Seconds that it remembers."""

    include_subdomains: bool = False
    """Also for all hosts below this one."""

    preload: bool = False
    """The host may stand on browsers' own lists."""


class Security(Settings):
    """Fields by which browsers take more care. What is left out is not added."""

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
    """Whether these stand in the place of the origin's: all, none, or those of these names."""


class ResponseHeaders(Settings):
    """What answers carry beside, or instead of, what the origin sent: a response headers policy."""

    cors: Cors | None = None
    """Who may read answers from other origins."""

    security: Security = Security()
    """Fields by which browsers take more care."""

    set: dict[FieldName, FieldValue] = Field(default={})
    """Fields by name, in the place of the origin's."""

    set_if_absent: dict[FieldName, FieldValue] = Field(default={})
    """Fields that are added where the origin sent none of the name."""

    append: dict[FieldName, FieldValue] = Field(default={})
    """Fields that are added beside the origin's."""

    remove: tuple[FieldName, ...] = ()
    """Fields of the origin's that are taken off first."""

    server_timing: Literal["off"] | Annotated[float, Field(ge=0, le=100)] = "off"
    """With cloudfront: as a behavior's `server_timing`, which counts where it is set."""

    @model_validator(mode="after")
    def _may_be_touched(self) -> Self:
        for key in ("set", "set_if_absent", "append", "remove"):
            wrong = [name for name in getattr(self, key) if name.lower() in UNTOUCHED]
            if wrong:
                raise ValueError(f"{key}: {wrong[0]} frames the message, or is the node's own to write")
        return self
