"""What all token schemes share: where a token is in a request, what may be wrong with it, which are verified already.

A check has two halves. The first verifies that the holder of the key signed these bytes: a pure function of what was
signed, expensive (an RSA signature takes 30 µs or more), and memoized. The second decides whether the signed text
allows this request: the time, the address and the country are compared for every request, also for a hit or a range.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Generic, Protocol, TypeVar
from urllib.parse import quote

from cdnkit.policy.http.messages import Headers, Lines, RequestHead
from cdnkit.policy.outcomes import Refusal, RefusalKind

LONGEST = 8192
"""Characters of the longest token or signed policy that is read: CloudFront's longest URL. A longer one is refused."""


class TokenFault(Enum):
    """What may be wrong with a token; viewers and records see the value."""

    MISSING = "missing"
    MALFORMED = "malformed"
    TOO_LONG = "too long"
    UNKNOWN_KEY = "key is not known"
    FORGED = "signature does not match"
    EARLY = "not yet valid"
    EXPIRED = "expired"
    PATH = "not for this URL"
    ADDRESS = "not for this address"
    COUNTRY = "not for this country"
    METHOD = "not for this method"
    FIELD = "not for this request"
    ISSUER = "from another issuer"
    AUDIENCE = "for another audience"
    UNSUPPORTED = "asks for a check that is not made here"


def refused(
    fault: TokenFault,
    found: str = "",
    wanted: str = "",
    *,
    seconds: float | None = None,
    expired_status: int = 403,
    page: tuple[str, str] | None = None,
) -> Refusal:
    """The refusal of a request for its token. `found` and `wanted` are for an operator (`explain`), and hold no secret.

    `seconds`: how long past its end, or how long before its start; `expired_status`: the status for an expired token;
    `page`: the vendor's own content type and body.
    """
    facts: dict[str, object] = {"check": fault.value}
    if found:
        facts["found"] = found
    if wanted:
        facts["wanted"] = wanted
    if seconds is not None:
        facts["seconds_past" if fault is TokenFault.EXPIRED else "seconds_early"] = round(seconds, 3)
    status = expired_status if fault is TokenFault.EXPIRED else 403
    return Refusal(RefusalKind.TOKEN, status, f"token: {fault.value}", facts, page=page)


@dataclass(frozen=True, slots=True)
class Carriers:
    """Where a scheme's secrets are in a request. All of them are removed before cache key, origin and record."""

    params: frozenset[str] = frozenset()
    """Names of query parameters."""
    cookies: frozenset[str] = frozenset()
    headers: frozenset[str] = frozenset()
    """Names of request fields, lower case."""
    prefix: str = ""
    """After this beginning of a path come the token and the path proper: "/t/" for `/t/TOKEN/live/a.m3u8`."""
    _fields: frozenset[str] = field(init=False, repr=False, compare=False)
    """Request fields that may hold a secret."""
    _described: str = field(init=False, repr=False, compare=False)
    _missing: Refusal = field(init=False, repr=False, compare=False)
    """Of a request without any token, which costs an attacker nothing to send."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_described", self._places())
        object.__setattr__(self, "_missing", refused(TokenFault.MISSING, wanted=self._described))
        object.__setattr__(self, "_fields", self.headers | {"cookie"} if self.cookies else self.headers)

    def may_be_in(self, headers: Headers) -> bool:
        """Whether a field of these may hold a secret."""
        return any(name in self._fields for name, _ in headers.lines)

    def stripped(self, request: RequestHead) -> RequestHead:
        """The request without its secrets; the same object if it has none."""
        path, query, lines = self.path(request), request.query, request.headers.lines
        if query is not None and self.params:
            query = split_off(query, self.params)[1]
        if self._fields:
            for name, _ in lines:
                if name in self._fields:
                    lines = self._public_lines(lines)
                    break
        headers = request.headers if lines is request.headers.lines else Headers.wrap(lines)
        if path is request.path and query is request.query and headers is request.headers:
            return request
        return request.with_target(path, query, headers)

    def _public_lines(self, lines: Lines) -> Lines:
        kept: Lines = []
        for line in lines:
            name, value = line
            if name in self.headers:
                continue
            if name == "cookie" and self.cookies:
                pairs = value.split(";")
                public = [pair for pair in pairs if pair.partition("=")[0].strip() not in self.cookies]
                if not public:
                    continue
                if len(public) < len(pairs):
                    line = (name, ";".join(public).strip())
            kept.append(line)
        return lines if kept == lines else kept

    def path(self, request: RequestHead) -> str:
        """The path proper: the origin has it, signatures cover it, and the cache key has it."""
        if self.prefix and request.path.startswith(self.prefix):
            return split_path(request.path, self.prefix)[1]
        return request.path

    def one(self, request: RequestHead) -> str | Refusal:
        """The token of a scheme that has one text: from the path, else the query, a request field, a cookie."""
        found: list[str] = []
        if self.prefix and request.path.startswith(self.prefix):
            found = [split_path(request.path, self.prefix)[0]]
        if not found and request.query is not None and self.params:
            found = [value for _, value in split_off(request.query, self.params)[0]]
        if not found and self.headers:
            found = [bare(value) for name, value in request.headers.lines if name in self.headers]
        if not found and self.cookies:
            found = [value for name, value in cookies(request.headers) if name in self.cookies]
        if not found:
            return self._missing
        if len(found) > 1:
            # Two readers might each read another one, so both are refused.
            return refused(TokenFault.MALFORMED, f"{len(found)} tokens", "one")
        if len(found[0]) > LONGEST:
            return refused(TokenFault.TOO_LONG, f"{len(found[0])} characters", f"at most {LONGEST}")
        return found[0]

    def by_cookie(self, request: RequestHead) -> bool:
        """Whether the token is in cookies and nowhere else."""
        if self.path(request) is not request.path or any(name in self.headers for name, _ in request.headers.lines):
            return False
        if request.query is not None and split_off(request.query, self.params)[0]:
            return False
        return any(name in self.cookies for name, _ in cookies(request.headers))

    def described(self) -> str:
        """The places, for people: "query parameter token, cookie token"."""
        return self._described

    def _places(self) -> str:
        places = [f"a path under {self.prefix}"] if self.prefix else []
        places += [f"query parameter {name}" for name in sorted(self.params)]
        places += [f"field {name}" for name in sorted(self.headers)]
        places += [f"cookie {name}" for name in sorted(self.cookies)]
        return ", ".join(places)


class Scheme(Protocol):
    """One format and signature of tokens."""

    carriers: Carriers

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        """Why the request's token does not allow it; None: it does. The request still has its secrets; `now` in Unix
        seconds."""
        ...

    def good_until(self, request: RequestHead) -> float:
        """The request has a good token: until when one for this URL has, whatever its fields and its client; 0: not
        known, or these decide, too."""
        ...

    def child_token(self, request: RequestHead) -> "ChildToken | None":
        """What the children of a playlist inherit of this request's (valid) token; None: nothing."""
        ...


@dataclass(frozen=True, slots=True)
class ChildToken:
    """The token that children inherit: one for all, or one made for each."""

    query: str = ""
    """Parameters as in a query: `token=abc`."""
    cookies: tuple[tuple[str, str], ...] = ()
    """Names and values."""
    for_path: Callable[[str], str] | None = None
    """Gives the parameters for one child's path, if a token is for one path only."""

    def parameters_for(self, path: str) -> str:
        return self.query if self.for_path is None else self.for_path(path)


class OneToken:
    """The part of all schemes whose token is one text. Children inherit it unchanged."""

    __slots__ = ("_expired_status", "carriers", "param")

    carriers: Carriers
    param: str
    """The query parameter in which children inherit it; "" for none."""
    _expired_status: int

    def good_until(self, request: RequestHead) -> float:
        return 0.0

    def child_token(self, request: RequestHead) -> ChildToken | None:
        value = self.carriers.one(request)
        if isinstance(value, Refusal):
            return None
        return ChildToken(
            query=f"{self.param}={for_query(value)}" if self.param else "",
            cookies=tuple((name, value) for name in sorted(self.carriers.cookies)),
        )


def split_path(path: str, prefix: str) -> tuple[str, str]:
    """Token and path proper of a path that begins with `prefix`: "/t/abc/live/a" -> ("abc", "/live/a")."""
    token, _, rest = path[len(prefix) :].partition("/")
    return token, f"/{rest}"


Pairs = tuple[tuple[str, str], ...]


def _split_off(query: str, names: frozenset[str]) -> tuple[Pairs, str | None]:
    found, kept = [], []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name in names:
            found.append((name, value))
        else:
            kept.append(part)
    # The same object if nothing was removed: callers compare by identity.
    return tuple(found), (query if not found else "&".join(kept) or None)


_remembered = lru_cache(maxsize=1024)(_split_off)


def split_off(query: str, names: frozenset[str]) -> tuple[Pairs, str | None]:
    """The parameters with those names, not decoded, and the query without them (None if nothing is left).

    It is called two or three times for each request, and a viewer's requests often have the same query.
    """
    return _remembered(query, names) if len(query) <= LONGEST else _split_off(query, names)


def cookies(headers: Headers) -> list[tuple[str, str]]:
    """Names and values of all cookies in order (RFC 6265 §5.4)."""
    pairs = (pair.partition("=") for line in headers.all("cookie") for pair in line.split(";"))
    return [(name.strip(), value.strip()) for name, _, value in pairs]


def for_query(value: str) -> str:
    """A token's text, escaped for a query and for the quotation marks of a playlist's attribute."""
    return quote(value, safe="%~=*!/:,.-_@;$+")


def bare(value: str) -> str:
    """A field's value without the word `Bearer` (RFC 6750 §2.1)."""
    value = value.strip()
    return value[7:].strip() if value[:7].lower() == "bearer " else value


def untimely(
    now: float,
    *,
    end: float,
    start: float | None = None,
    leeway: float = 0.0,
    expired_status: int = 403,
    page: tuple[str, str] | None = None,
) -> Refusal | None:
    """The refusal if `now` is outside [start, end), each bound moved out by `leeway`; the rest as for `refused`."""
    if start is not None and now < start - leeway:
        return refused(TokenFault.EARLY, f"now {now:.0f}", f"{start:.0f} or later", seconds=start - now, page=page)
    if now >= end + leeway:
        found, wanted = f"now {now:.0f}", f"before {end:.0f}"
        return refused(TokenFault.EXPIRED, found, wanted, seconds=now - end, expired_status=expired_status, page=page)
    return None


def within(client_ip: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    """Whether an address is in one of the networks; an IPv4 address inside an IPv6 one counts as itself."""
    try:
        address = ip_address(client_ip)
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in networks)


V = TypeVar("V")


class Memo(Generic[V]):
    """The results of earlier verifications, by everything that was signed: a valid signature stays valid.

    Only valid ones are kept, so a flood of forgeries evicts nothing. There are two generations: an entry that is used
    moves to the younger one, and when that is full, the older one is dropped. A lookup takes a third of an `LRUCache`'s
    time.
    """

    __slots__ = ("_half", "_old", "_verify", "_young")

    def __init__(self, verify: Callable[..., V | Refusal], room: int = 16_384) -> None:
        """`verify` parses what was signed, or gives a Refusal; the result depends on its arguments alone."""
        self._verify = verify
        self._half = room // 2
        self._young: dict[Hashable, V] = {}
        self._old: dict[Hashable, V] = {}

    def __call__(self, *signed: Hashable) -> V | Refusal:
        known = self._young.get(signed)
        if known is not None:
            return known
        known = self._old.get(signed)
        found = self._verify(*signed) if known is None else known
        if isinstance(found, Refusal):
            return found
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[signed] = found
        return found

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())

    def forget(self) -> None:
        self._young, self._old = {}, {}
