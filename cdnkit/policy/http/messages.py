"""Heads of HTTP messages as the policy sees them (RFC 9110 §5, §6).

Bodies never come here: the machine deals in heads, sizes and instants.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from cdnkit.policy.http.place import NOWHERE, Place
from cdnkit.policy.outcomes import Refusal

Lines = list[tuple[str, str]]
"""Field lines in the order received: (lower-case name, value). Values are octets decoded as Latin-1."""


class FieldFacts:
    """What was found out about the field lines of requests that share them, or of a response while it is decided on.
    Each is None until somebody wanted it."""

    __slots__ = ("all_well_formed", "directives", "forwarded", "plain", "recorded", "session")

    def __init__(self) -> None:
        self.all_well_formed: bool | None = None
        """`cdnkit.policy.http.target.malformed` finds no fault in any."""
        self.plain: tuple[frozenset[str], bool] | None = None
        """Whether none is in that set of names, and all are well-formed (`cdnkit/policy/gate/plain.py`)."""
        self.recorded: tuple[int, tuple[tuple[str, str], ...]] | None = None
        """As a record has them, made when so many fields were in some Vary."""
        self.session: str | None = None
        self.directives: tuple[object, Any] | None = None
        """Of a response, under that profile (`cdnkit/policy/freshness/directives.py`)."""
        self.forwarded: tuple[object, object, Lines] | None = None
        """As they go to the parent under that behavior, and with those other facts of the request
        (`cdnkit/policy/upstream/request.py`)."""


class Headers:
    """A header section: field lines in order, looked up without regard to case.

    Names are held in lower case (HTTP/2 demands it, HTTP/1.1 does not mind), so callers look up lower-case names.
    """

    __slots__ = ("facts", "lines")

    def __init__(self, lines: Iterable[tuple[str, str]] = ()) -> None:
        self.lines: Lines = [(name.lower(), value) for name, value in lines]
        self.facts: FieldFacts | None = None

    @classmethod
    def wrap(cls, lines: Lines) -> "Headers":
        """Headers over lines whose names are known to be lower case; the list is kept, not copied."""
        headers = cls.__new__(cls)
        headers.lines = lines
        headers.facts = None
        return headers

    @classmethod
    def remembered(cls, lines: Lines) -> "Headers":
        """As `wrap`, for a header section that many requests share, or that is read again and again: what is found out
        about it is kept, so that its lines must not change in what that follows from."""
        headers = cls.wrap(lines)
        headers.facts = FieldFacts()
        return headers

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.lines)

    def __contains__(self, name: str) -> bool:
        for line_name, _ in self.lines:  # noqa: SIM110  (half the time of any(), and a fill looks some thirty times)
            if line_name == name:
                return True
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self.lines == other.lines

    def __repr__(self) -> str:
        return f"Headers({self.lines!r})"

    def first(self, name: str) -> str | None:
        """The value of the first line of that name."""
        for line_name, value in self.lines:
            if line_name == name:
                return value
        return None

    def all(self, name: str) -> list[str]:
        return [value for line_name, value in self.lines if line_name == name]

    def joined(self, name: str) -> str | None:
        """All lines of a list-based field as one value (RFC 9110 §5.3); None when there is none."""
        joined: str | None = None
        for line_name, value in self.lines:
            if line_name == name:
                joined = value if joined is None else f"{joined}, {value}"
        return joined

    def without(self, names: Iterable[str]) -> "Headers":
        dropped = frozenset(names)
        return Headers.wrap([line for line in self.lines if line[0] not in dropped])

    def plus(self, *lines: tuple[str, str]) -> "Headers":
        return Headers.wrap([*self.lines, *lines])


@dataclass(slots=True)
class RequestHead:
    """A request as it reached the node (or as the node sends it on)."""

    method: str
    scheme: str
    host: str
    """Host and port as the client named them; "" if it named none."""
    path: str
    """Byte-exact path of the target, never decoded: "/live/720p/media.m3u8"."""
    query: str | None
    """Byte-exact query without its "?"; None when there is no "?" at all."""
    headers: Headers
    client_ip: str = ""
    place: Place = NOWHERE
    """What the shell found for `client_ip`."""
    client_port: int = 0
    """Source port of the connection; 0 when unknown."""
    head_bytes: int = 0
    """Size of its head in HTTP/1.1; 0 until it is `measured`."""
    head_fields: int = 0
    """Field lines of the head, as they came."""
    trusted: bool = False
    """The peer is in one of the node's trusted networks, and may see the node's internals."""
    block: int | None = None
    """The block that a node's own request for a slice of a large object is for (`cdnkit/policy/store/slices.py`)."""
    version: str = "1.1"
    """HTTP's, as the client speaks it: "1.0", "1.1", "2"."""
    peer_ip: str = ""
    """The address at the other end of the connection: the client's, or that of a proxy which named the client."""
    misdirected: Refusal | None = None
    """The refusal of a request for a host that this node or connection does not serve (RFC 9110 §15.5.20;
    `cdnkit/policy/gate/hosts.py`)."""

    @property
    def country(self) -> str:
        """ISO 3166-1 code of the viewer's country; "" when unknown."""
        return self.place.country

    @property
    def target(self) -> str:
        """Path and query, as in a request line."""
        return self.path if self.query is None else f"{self.path}?{self.query}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}{self.target}"

    def with_fields(self, headers: Headers) -> "RequestHead":
        """The same request with other fields."""
        return self.with_target(self.path, self.query, headers)

    def with_target(self, path: str, query: str | None, headers: Headers) -> "RequestHead":
        """The same request with another target and other fields; five times as fast as `dataclasses.replace`."""
        return RequestHead(
            self.method, self.scheme, self.host, path, query, headers, self.client_ip, self.place, self.client_port,
            self.head_bytes, self.head_fields, self.trusted, self.block, self.version, self.peer_ip, self.misdirected,
        )  # fmt: skip


@dataclass(slots=True)
class ResponseHead:
    """A final response (never 1xx): status 200..999 and its header section."""

    status: int
    headers: Headers


HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade", "trailer",
        "proxy-authenticate", "proxy-authentication-info", "proxy-authorization",
    }
)  # fmt: skip


def end_to_end(headers: Headers, *, named: bool = True) -> Headers:
    """The fields that belong to the message, not to one connection: what is stored and passed on.

    `named`: without those that Connection names. Source: RFC 9110 §7.6.1, RFC 9111 §3.1.
    """
    dropped = HOP_BY_HOP
    names = headers.joined("connection") if named else None
    if names is not None:
        dropped = dropped | {name.strip().lower() for name in names.split(",")}
    return Headers.wrap([line for line in headers.lines if line[0] not in dropped])


def without_port(authority: str) -> str:
    """Its host as it was written; an IPv6 address keeps its brackets."""
    host, colon, port = authority.rpartition(":")
    return host if colon and (port.isdecimal() or not port) and (":" not in host or host.endswith("]")) else authority


def get_for_url(url: str) -> RequestHead:
    """A GET for a URL or a path, without header fields, as the key function takes it."""
    scheme, host, target = split_url(url)
    path, mark, query = target.partition("?")
    return RequestHead("GET", scheme or "http", host, path, query if mark else None, Headers())


def split_url(url: str) -> tuple[str, str, str]:
    """(scheme, authority, path and query) of a URL or a path; of a path the first two are empty."""
    scheme, mark, rest = url.partition("://")
    if not mark or not rest or url.startswith("/"):  # a path's query may hold another URL
        return "", "", url
    cut = next((at for at, letter in enumerate(rest) if letter in "/?"), len(rest))
    target = rest[cut:]
    return scheme, rest[:cut], target if target.startswith("/") else f"/{target}"
