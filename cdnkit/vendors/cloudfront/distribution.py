"""A CloudFront DistributionConfig as cdnlab's settings, or the name of what in it cdnlab cannot honour.

Source: the API model 2020-05-31 in botocore, whose names and error codes these are. A member that is not read here and
has an effect is refused: nothing is dropped in silence. Taken without effect, since a lab on one machine does not need
them: Comment, Aliases, PriceClass, HttpVersion, IsIPV6Enabled, and an origin's keep-alive and TLS versions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, isnan, nan
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cdnkit.policy.rules.matching import shadowed
from cdnkit.policy.rules.parent_headers import ParentHeaders
from cdnkit.policy.rules.resolve import resolve
from cdnkit.policy.rules.service import Behavior, ErrorPage, Geo, Key, Ttl
from cdnkit.policy.upstream.failover import MAY_NAME
from cdnkit.vendors.cloudfront.profile import CLOUDFRONT
from cdnkit.vendors.misfits import misfits

CACHE_POLICY_IDS = {
    "2e54312d-136d-493c-8eb9-b001f22f67d2": "Amplify",
    "4135ea2d-6df8-44a3-9df3-4b5a84be39ad": "CachingDisabled",
    "658327ea-f89d-4fab-a63d-7e88639e58f6": "CachingOptimized",
    "b2884449-e4de-46a7-ac36-70bc7f1ddd6d": "CachingOptimizedForUncompressedObjects",
    "08627262-05a9-4f76-9ded-b50ca2e3a84f": "Elemental-MediaPackage",
}
ORIGIN_REQUEST_POLICY_IDS = {
    "216adef6-5c7f-47e4-b989-5492eafa07d3": "AllViewer",
    "b689b0a8-53d0-40ab-baf2-68738e2966ac": "AllViewerExceptHostHeader",
    "59781a5b-3903-41f3-afcb-af62929ccde1": "CORS-CustomOrigin",
    "88a5eaf4-2fd4-4709-b370-b4c650ea3fcf": "CORS-S3Origin",
    "bf0718e1-ba1e-49d1-88b1-f726733018ae": "HostHeaderOnly",
    "acba4595-bd28-49b8-b9fe-13317c0390fa": "UserAgentRefererHeaders",
}
RESPONSE_HEADERS_POLICY_IDS = {
    "60669652-455b-4ae9-85a4-c4c02393f86c": "SimpleCORS",
    "5cc3b908-e619-4b99-88e5-2cf7f45965bd": "CORS-With-Preflight",
    "67f7725c-6f97-4210-82d7-5512b31e9d03": "SecurityHeadersPolicy",
    "e61eb60c-9c35-4d20-a928-2b84e02af89c": "CORS-and-SecurityHeadersPolicy",
    "eaab4381-ed33-4a86-88ca-d9558dc6cd63": "CORS-with-preflight-and-SecurityHeadersPolicy",
}
"""The ids of the managed policies that `policies.py` carries out."""

_METHODS = {
    frozenset({"GET", "HEAD"}): "GET, HEAD",
    frozenset({"GET", "HEAD", "OPTIONS"}): "GET, HEAD, OPTIONS",
    frozenset({"GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"}): "all",
}
_CACHED = (frozenset({"GET", "HEAD"}), frozenset({"GET", "HEAD", "OPTIONS"}))
_HEADERS: TypeAdapter[dict[str, str]] = TypeAdapter(ParentHeaders)
_ERRORS = ("400", "403", "404", "405", "414", "416", "500", "501", "502", "503", "504")
_FAILOVER = tuple(map(str, sorted(MAY_NAME)))
_WITHOUT_EFFECT = ("CallerReference", "Comment", "Aliases", "PriceClass", "HttpVersion", "IsIPV6Enabled")
_QUOTAS = (
    ("CacheBehaviors", 75, "TooManyCacheBehaviors"),
    ("Origins", 100, "TooManyOrigins"),
    ("OriginGroups", 10, "TooManyOriginGroupsPerDistribution"),
)
"""What an account may have unless it asked for more. Source: CloudFront, "Quotas"."""
_NOTHING = frozenset({"", "0", "false", "none"})


@dataclass
class NotHonoured(Exception):
    """A part of a config that is wrong, or that cdnlab does not have; `code` is one of the API's."""

    where: str
    why: str
    code: str = "InvalidArgument"
    status: int = 400

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


@dataclass(frozen=True)
class OriginServer:
    """One origin: its URL, how long it is waited for (seconds), and the headers of every request to it."""

    url: str
    connect: float
    attempts: int
    read: float
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Translated:
    """A distribution as cdnlab's settings."""

    behaviors: tuple[Behavior, ...]
    error_pages: tuple[ErrorPage, ...]
    origins: tuple[OriginServer, ...]
    """The primary, and the secondary for when it fails."""
    statuses: tuple[int, ...] = ()
    """The primary counts as failed when it responds with one of these."""


def translate(config: Mapping[str, Any], *, https: bool = False) -> Translated:
    """`config`: the members by name, values as texts, `Items` as lists of the same. Raises `NotHonoured`.

    `https`: viewers can come over HTTPS, to every edge.
    """
    top = _Part("DistributionConfig", config)
    top.take_without_effect(*_WITHOUT_EFFECT)
    top.flag("Enabled")  # the store of distributions uses it; here only its value is checked
    for member, most, code in _QUOTAS:
        top.at_most(most, member, code)
    origins = {origin.id: origin.server for origin in (_origin(part) for part in top.items("Origins"))}
    groups = dict(_group(part, origins) for part in top.items("OriginGroups"))
    certificate = top.part("ViewerCertificate")
    certificate.take_without_effect("CloudFrontDefaultCertificate", "MinimumProtocolVersion", "CertificateSource")
    certificate.end()
    geo = _geo(top)
    error_ttls, pages = _errors(top)
    rows = [(part, part.text("PathPattern")) for part in top.items("CacheBehaviors")]
    rows.append((top.part("DefaultCacheBehavior"), "*"))
    targets: set[str] = set()
    behaviors = []
    for part, path in rows:
        targets.add(part.text("TargetOriginId"))
        behaviors.append(_behavior(part, path, geo, error_ttls, https=https))
    top.end()
    for never, by in shadowed(tuple(behaviors)):
        raise NotHonoured("CacheBehaviors", f"{rows[never][1]} can never match: {rows[by][1]} comes first.")
    if unknown := sorted(targets - origins.keys() - groups.keys()):
        raise NotHonoured("TargetOriginId", f"found {unknown[0]!r}, wanted the Id of an origin.", "NoSuchOrigin", 404)
    if len(targets) != 1:
        raise NotHonoured(
            "TargetOriginId", f"found {sorted(targets)}, wanted one origin, or one group, for all behaviors."
        )
    (target,) = targets
    if target in groups:
        members, statuses = groups[target]
        if members[0].headers != members[1].headers:
            raise NotHonoured("CustomHeaders", "found different ones, wanted the same for both origins of a group.")
        return Translated(tuple(behaviors), pages, members, statuses)
    return Translated(tuple(behaviors), pages, (origins[target],))


class _Part:
    """One structure of a config, and which of its members have not been read yet."""

    def __init__(self, where: str, members: Mapping[str, Any]) -> None:
        self.where = where
        self._left = dict(members)

    def text(self, name: str, default: str = "") -> str:
        value = self._left.pop(name, None)
        return default if value is None or value == "" else str(value)

    def number(self, name: str, default: float) -> float:
        written = self.text(name)
        if not written:
            return default
        try:
            value = float(written)
        except ValueError:
            value = nan
        if not isfinite(value):
            raise NotHonoured(f"{self.where}.{name}", f"found {written!r}, wanted a number.")
        return value

    def flag(self, name: str) -> bool:
        return self.one_of(name, "false", "true").lower() == "true"

    def one_of(self, name: str, default: str, *others: str) -> str:
        """One of some words, whatever their case."""
        written = self.text(name, default)
        if written.lower() not in (default, *others):
            raise NotHonoured(f"{self.where}.{name}", f"found {written!r}, wanted {' or '.join((default, *others))}.")
        return written

    def has(self, name: str) -> bool:
        return name in self._left

    def part(self, name: str) -> "_Part":
        value = self._left.pop(name, None)
        return _Part(f"{self.where}.{name}", value if isinstance(value, Mapping) else {})

    def items(self, name: str) -> list["_Part"]:
        return [_Part(f"{self.where}.{name}[{index}]", one) for index, one in enumerate(self._items(name))]

    def texts(self, name: str) -> list[str]:
        return [str(one) for one in self._items(name)]

    def _items(self, name: str) -> list[Any]:
        held = self._left.pop(name, None)
        held = held if isinstance(held, Mapping) else {}
        items = list(held.get("Items") or ())
        quantity = str(held.get("Quantity", len(items)))
        if quantity != str(len(items)):
            why = f"found Quantity {quantity!r}, wanted the number of Items, {len(items)}."
            raise NotHonoured(f"{self.where}.{name}", why, "InconsistentQuantities")
        return items

    def at_most(self, most: int, name: str, code: str) -> None:
        """A quota on the Items of a member."""
        held = self._left.get(name)
        found = len(held.get("Items") or ()) if isinstance(held, Mapping) else 0
        if found > most:
            raise NotHonoured(f"{self.where}.{name}", f"found {found}, wanted at most {most}.", code)

    def take_without_effect(self, *names: str) -> None:
        """Members that may have any value."""
        for name in names:
            self._left.pop(name, None)

    def end(self) -> None:
        """Refuses members that nothing has read and that have an effect."""
        for name, value in self._left.items():
            if not _has_no_effect(value):
                raise NotHonoured(f"{self.where}.{name}", "cdnlab cannot honour this.")


def _has_no_effect(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_has_no_effect(inner) for inner in value.values())
    if isinstance(value, list | tuple):
        return not value
    return value is None or str(value).lower() in _NOTHING


@dataclass(frozen=True)
class _Named:
    id: str
    server: OriginServer


def _origin(part: _Part) -> _Named:
    name, domain = part.text("Id"), part.text("DomainName")
    scheme, port, read = "http", "80", 30.0
    if part.has("CustomOriginConfig"):
        custom = part.part("CustomOriginConfig")
        http, https = custom.text("HTTPPort", "80"), custom.text("HTTPSPort", "443")
        # Viewers come over HTTP here, and so match-viewer is HTTP.
        scheme = "https" if custom.text("OriginProtocolPolicy") == "https-only" else "http"
        port = https if scheme == "https" else http
        read = custom.number("OriginReadTimeout", 30.0)
        custom.take_without_effect("OriginSslProtocols", "OriginKeepaliveTimeout", "IpAddressType")
        if custom.text("OriginHttpVersion", "http1.1") != "http1.1":
            raise NotHonoured(f"{custom.where}.OriginHttpVersion", "wanted http1.1.")
        custom.end()
    if not port.isdecimal() or not 0 < int(port) < 65536 or not domain or set(domain) & set("/:@?# "):
        raise NotHonoured(
            f"{part.where}.DomainName",
            f"found {domain!r}, port {port!r}, wanted a host and a port of it.",
            "InvalidOrigin",
        )
    connect, attempts = part.number("ConnectionTimeout", 10.0), part.number("ConnectionAttempts", 3)
    if not 1 <= connect <= 10 or attempts not in (1, 2, 3):
        raise NotHonoured(
            part.where,
            f"found ConnectionTimeout {connect:g} and ConnectionAttempts {attempts:g}, wanted 1 to 10 and 1 to 3.",
        )
    if not 1 <= read <= 120:
        why = f"found OriginReadTimeout {read:g}, wanted from 1 to 120."
        raise NotHonoured(part.where, why, "InvalidOriginReadTimeout")
    headers = _origin_headers(part)
    part.end()
    return _Named(name, OriginServer(f"{scheme}://{domain}:{port}", connect, int(attempts), read, headers))


def _origin_headers(part: _Part) -> dict[str, str]:
    where = f"{part.where}.CustomHeaders"
    part.at_most(30, "CustomHeaders", "TooManyOriginCustomHeaders")
    rows = [(one.text("HeaderName"), one.text("HeaderValue")) for one in part.items("CustomHeaders")]
    headers = dict(rows)
    if len(headers) < len(rows):
        raise NotHonoured(where, f"found {sorted(name for name, _ in rows)}, wanted each name once.")
    if any(name.lower() == "host" for name in headers):
        raise NotHonoured(where, "found Host, which is forwarded by a policy that lists it, or is the origin's own.")
    try:
        return _HEADERS.validate_python(headers)
    except ValidationError as error:
        raise NotHonoured(where, _first(error)) from None


def _group(
    part: _Part, origins: Mapping[str, OriginServer]
) -> tuple[str, tuple[tuple[OriginServer, ...], tuple[int, ...]]]:
    name = part.text("Id")
    members = [member.text("OriginId") for member in part.items("Members")]
    criteria = part.part("FailoverCriteria")
    codes = criteria.texts("StatusCodes")
    if wrong := [code for code in codes if code not in _FAILOVER]:
        raise NotHonoured(
            f"{criteria.where}.StatusCodes", f"found {wrong[0]!r}, wanted some of {', '.join(_FAILOVER)}."
        )
    statuses = tuple(map(int, codes))
    if (selection := part.text("SelectionCriteria", "default")) != "default":
        raise NotHonoured(f"{part.where}.SelectionCriteria", f"found {selection!r}, wanted default.")
    part.end()
    if len(members) != 2 or not set(members) <= origins.keys():
        raise NotHonoured(f"{part.where}.Members", f"found {members}, wanted the Ids of two origins.")
    return name, (tuple(origins[member] for member in members), statuses)


def _geo(top: _Part) -> Geo | None:
    restriction = top.part("Restrictions").part("GeoRestriction")
    kind = restriction.one_of("RestrictionType", "none", "whitelist", "blacklist")
    countries = tuple(str(one) for one in restriction._left.get("Items") or ())
    if kind == "none":
        return None
    try:
        return Geo(allow=countries) if kind == "whitelist" else Geo(deny=countries)
    except ValidationError as error:
        raise NotHonoured(restriction.where, _first(error), "InvalidGeoRestrictionParameter") from None


def _errors(top: _Part) -> tuple[dict[int, float], tuple[ErrorPage, ...]]:
    """By status: the lifetimes of errors that are not the default. And the pages that are sent in place of errors."""
    pages = []
    ttls: dict[int, float] = {}
    for part in top.items("CustomErrorResponses"):
        code, page = part.text("ErrorCode"), part.text("ResponsePagePath")
        if code not in _ERRORS:
            why = f"found {code!r}, wanted one of {', '.join(_ERRORS)}."
            raise NotHonoured(f"{part.where}.ErrorCode", why, "InvalidErrorCode")
        if part.has("ErrorCachingMinTTL"):
            ttl = part.number("ErrorCachingMinTTL", 10.0)
            if ttl < 0:
                raise NotHonoured(f"{part.where}.ErrorCachingMinTTL", f"found {ttl:g}, wanted 0 or more.")
            # "Control how long CloudFront caches errors": a TTL for 416 is taken but not used, since no 416 is cached.
            if code != "416":
                ttls[int(code)] = ttl
        answer = part.text("ResponseCode", code)
        part.end()
        if page:
            try:
                # Texts from the wire: the model wants numbers.
                pages.append(
                    ErrorPage.model_validate({"status": int(code), "page": page, "response_status": int(answer)})
                )
            except (ValidationError, ValueError) as error:
                why = _first(error) if isinstance(error, ValidationError) else str(error)
                raise NotHonoured(part.where, why, "InvalidResponseCode") from None
    return ttls, tuple(pages)


def _behavior(part: _Part, path: str, geo: Geo | None, error_ttls: dict[int, float], *, https: bool) -> Behavior:
    protocol = part.text("ViewerProtocolPolicy", "allow-all")
    if protocol in ("https-only", "redirect-to-https") and not https:
        raise NotHonoured(
            f"{part.where}.ViewerProtocolPolicy",
            f"found {protocol}, wanted allow-all: there is an edge without listen_tls, so viewers come over HTTP.",
        )
    allowed, kept = _methods(part)
    values: dict[str, Any] = {"path": path, "methods": allowed, "cached_methods": kept, "error_ttls": error_ttls}
    values["viewer_protocol"] = protocol
    if geo is not None:
        values["geo"] = geo
    compress = part.flag("Compress")
    values["compress"] = compress
    for policy, field, ids in (
        ("CachePolicy", "cache_policy", CACHE_POLICY_IDS),
        ("OriginRequestPolicy", "origin_request_policy", ORIGIN_REQUEST_POLICY_IDS),
        ("ResponseHeadersPolicy", "response_headers_policy", RESPONSE_HEADERS_POLICY_IDS),
    ):
        member = f"{policy}Id"
        id = part.text(member)
        if id and id not in ids:
            known = ", ".join(f"{name} {one}" for one, name in ids.items())
            raise NotHonoured(
                f"{part.where}.{member}", f"found {id}; cdnlab carries out {known}.", f"NoSuch{policy}", 404
            )
        if id:
            values[field] = ids[id]
    if "cache_policy" not in values:
        values["ttl"], values["key"] = _legacy(part, compress)
    part.end()
    if len(path) > 255:
        raise NotHonoured(f"{part.where}.PathPattern", f"found {len(path)} characters, wanted at most 255.")
    try:
        behavior = Behavior.model_validate(values)
        resolve(behavior, CLOUDFRONT)
    except ValidationError as error:
        raise NotHonoured(part.where, _first(error)) from None
    except ValueError as error:
        raise NotHonoured(part.where, str(error)) from None
    for misfit in misfits(behavior, CLOUDFRONT):
        member = ".ForwardedValues.Headers" if misfit.path[:2] == ("key", "headers") else ""
        raise NotHonoured(f"{part.where}{member}", f"found {misfit.found}, wanted {misfit.wanted}.")
    return behavior


def _methods(part: _Part) -> tuple[str, str]:
    """The methods that are allowed, and the methods whose responses are cached."""
    members = part._left.get("AllowedMethods")
    cached = _Part(part.where, members if isinstance(members, Mapping) else {}).texts("CachedMethods")
    kept = frozenset(cached) or frozenset({"GET", "HEAD"})
    allowed = frozenset(part.texts("AllowedMethods")) or frozenset({"GET", "HEAD"})
    if allowed not in _METHODS:
        why = f"found {', '.join(sorted(allowed))}; wanted GET, HEAD; these and OPTIONS; or all seven."
        raise NotHonoured(f"{part.where}.AllowedMethods", why)
    if kept not in _CACHED or not kept <= allowed:
        raise NotHonoured(
            f"{part.where}.AllowedMethods.CachedMethods",
            f"found {', '.join(sorted(kept))}; wanted GET and HEAD; or these and OPTIONS, where it is allowed.",
        )
    return _METHODS[allowed], _METHODS[kept]


def _legacy(part: _Part, compress: bool) -> tuple[Ttl, Key]:
    """ForwardedValues and the three TTLs, for a behavior without a cache policy."""
    least = part.number("MinTTL", 0.0)
    times = {"default": part.number("DefaultTTL", nan), "max": part.number("MaxTTL", nan)}
    try:
        ttl = Ttl.model_validate({"min": least, **{name: value for name, value in times.items() if not isnan(value)}})
    except ValidationError as error:
        raise NotHonoured(part.where, _first(error), "InvalidTTLOrder") from None
    forwarded = part.part("ForwardedValues")
    forwarded.at_most(10, "Headers", "TooManyHeadersInForwardedValues")
    cookies = forwarded.part("Cookies")
    cookies.at_most(10, "WhitelistedNames", "TooManyCookieNamesInWhiteList")
    how = cookies.one_of("Forward", "none", "all", "whitelist")
    names = tuple(cookies.texts("WhitelistedNames"))  # with another Forward, CloudFront deletes them by itself
    cookies.end()
    headers = tuple(forwarded.texts("Headers"))
    if "*" in headers:
        raise NotHonoured(f"{forwarded.where}.Headers", 'cdnlab cannot honour "*".')
    query = forwarded.flag("QueryString")
    forwarded.end()
    key = Key(
        query="all" if query else "none",
        cookies="all" if how == "all" else names if how == "whitelist" else "none",
        headers=headers,
        accept_encoding=("gzip",) if compress else (),  # Brotli is for cache policies
    )
    return ttl, key


def _first(error: ValidationError) -> str:
    return error.errors()[0]["msg"].removeprefix("Value error, ")
