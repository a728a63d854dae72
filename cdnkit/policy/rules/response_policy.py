"""A response headers policy: it changes the field lines of a response on its way out, by the settings.

It has two steps: changes that are the same for every request, and CORS, which depends on the request's `Origin`. The
first can be part of a prepared head, to which the second is added.

Source: CloudFront, "Understand response headers policies": fields are removed first, then added; CORS fields are for
CORS requests, three of them for preflight requests alone. Fetch, "CORS protocol".
"""

import re

from cachetools import LRUCache

from cdnkit.policy.http.messages import Lines, RequestHead
from cdnkit.policy.rules.response_headers import Cors, Hsts, ResponseHeaders, Security

ALLOW_ORIGIN = "access-control-allow-origin"
REQUEST_METHOD = "access-control-request-method"


def is_preflight(request: RequestHead) -> bool:
    """Whether it is a CORS-preflight request (Fetch standard)."""
    headers = request.headers
    return request.method == "OPTIONS" and "origin" in headers and REQUEST_METHOD in headers


class ResponsePolicy:
    """One policy, compiled once."""

    __slots__ = ("_absent", "_added", "_gone", "cors", "names")

    def __init__(self, settings: ResponseHeaders) -> None:
        absent, instead = _security(settings.security)
        absent += _lines(settings.set_if_absent)
        instead += _lines(settings.set)
        self._absent = absent
        self._added = instead + _lines(settings.append)
        self._gone = frozenset(name.lower() for name in settings.remove) | {name for name, _ in instead}
        self.cors = None if settings.cors is None else CorsRules(settings.cors)
        self.names = frozenset(name for name, _ in (*self._absent, *self._added)) | (
            self.cors.names if self.cors is not None else frozenset()
        )
        """Every field that it may add, in lower case."""

    def applied(self, lines: Lines) -> Lines:
        """The origin's lines with the changes that every response gets."""
        kept = [line for line in lines if line[0] not in self._gone] if self._gone else list(lines)
        if self._absent:
            present = {name for name, _ in kept}
            kept += [line for line in self._absent if line[0] not in present]
        return kept + self._added


class CorsRules:
    """The CORS fields of responses."""

    __slots__ = ("_answers", "_hosts", "_override", "_preflight", "_simple", "_star", "names", "preflight")

    def __init__(self, settings: Cors) -> None:
        self._star = "*" in settings.origins
        self._hosts = [_matcher(origin) for origin in settings.origins if origin != "*"]
        self._override = settings.override
        self.preflight = settings.preflight
        credentials = [("access-control-allow-credentials", "true")] if settings.credentials else []
        expose = [("access-control-expose-headers", ", ".join(settings.expose))] if settings.expose else []
        self._simple: Lines = credentials + expose
        self._preflight: Lines = [*self._simple]
        methods = _ALL if settings.methods == "ALL" else settings.methods
        if methods:
            self._preflight.append(("access-control-allow-methods", ", ".join(methods)))
        if settings.headers:
            self._preflight.append(("access-control-allow-headers", ", ".join(settings.headers)))
        if settings.max_age is not None:
            self._preflight.append(("access-control-max-age", str(int(settings.max_age))))
        self.names = frozenset({ALLOW_ORIGIN, "vary", *(name for name, _ in self._preflight)})
        self._answers: LRUCache[tuple[str | None, bool], Lines] = LRUCache(1024)

    def inputs_of(self, request: RequestHead) -> tuple[str | None, bool]:
        """All of a request that the CORS fields depend on."""
        return request.headers.first("origin"), request.method == "OPTIONS" and is_preflight(request)

    def answers_preflight(self, request: RequestHead) -> bool:
        """Whether the node itself answers this preflight request."""
        return self.preflight == "answer" and is_preflight(request)

    def applied(self, lines: Lines, request: RequestHead, *, ours: bool = False) -> Lines:
        """A response's lines with its CORS fields. `ours`: the node generated the response, so no origin wrote any."""
        asked = self.inputs_of(request)
        added = self._answers.get(asked)
        if added is None:
            added = self._answers[asked] = self._made(*asked)
        if self._override or ours:
            # Only the policy's fields: those in the response may be for another origin.
            names = self.names if asked[0] is not None else frozenset()
            kept = [line for line in lines if line[0] not in names or line[0] == "vary"] if names else list(lines)
        else:
            present = {name for name, _ in lines}
            kept, added = list(lines), [line for line in added if line[0] not in present]
        return _varying(kept + added) if not self._star else kept + added

    def _made(self, origin: str | None, preflight: bool) -> Lines:
        if origin is None or not (self._star or any(pattern.fullmatch(origin) for pattern in self._hosts)):
            return []
        allowed = (ALLOW_ORIGIN, "*" if self._star else origin)
        return [allowed, *(self._preflight if preflight else self._simple)]


_ALL = ("GET", "DELETE", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


def _matcher(origin: str) -> re.Pattern[str]:
    """Scheme and host are compared without regard to case; `*.` is one label, as in a certificate (unverified)."""
    scheme, mark, host = origin.rpartition("://")
    any_label = host.startswith("*.")
    pattern = "[^.:/]+" + re.escape(host[1:]) if any_label else re.escape(host)
    return re.compile((re.escape(scheme + mark) if mark else "[a-z][a-z0-9+.-]*://") + pattern, re.IGNORECASE)


def _varying(lines: Lines) -> Lines:
    """The lines with `Origin` in Vary: another origin may get other fields."""
    vary = [value for name, value in lines if name == "vary"]
    members = {member.strip().lower() for value in vary for member in value.split(",")}
    if members & {"origin", "*"}:
        return lines
    return [*(line for line in lines if line[0] != "vary"), ("vary", ", ".join([*vary, "Origin"]))]


def _security(settings: Security) -> tuple[Lines, Lines]:
    """(lines that the origin's own override, lines that override the origin's)"""
    hsts = settings.strict_transport_security
    fields = [
        ("Content-Security-Policy", settings.content_security_policy),
        ("Referrer-Policy", settings.referrer_policy),
        ("Strict-Transport-Security", None if hsts is None else _hsts(hsts)),
        ("X-Content-Type-Options", "nosniff" if settings.content_type_options else None),
        ("X-Frame-Options", settings.frame_options),
        ("X-XSS-Protection", settings.xss_protection),
    ]
    instead: Lines = []
    absent: Lines = []
    override = settings.override
    for name, value in fields:
        if value is not None:
            wins = override if isinstance(override, bool) else name in override
            (instead if wins else absent).append((name.lower(), value))
    return absent, instead


def _hsts(settings: Hsts) -> str:
    parts = [f"max-age={int(settings.max_age)}"]
    parts += ["includeSubDomains"] if settings.include_subdomains else []
    parts += ["preload"] if settings.preload else []
    return "; ".join(parts)


def _lines(fields: dict[str, str]) -> Lines:
    return [(name.lower(), value) for name, value in fields.items()]
