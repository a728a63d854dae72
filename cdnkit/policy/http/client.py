"""The client's address of a request: the socket's, or the one that a trusted proxy names.

Source: RFC 7239 (Forwarded); X-Forwarded-For as every proxy writes it: each adds its own peer's address on the right.
So a list is read from the right, and ends at the first address that is not a trusted proxy's: the viewer may have
invented all that is left of it. An unreadable element names nobody; then the nearest address that is known counts.

The settings must name the field that a proxy writes. A field that a proxy passes on unchanged is the viewer's.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, get_args

from cdnkit.policy.http.messages import Headers
from cdnkit.policy.http.place import address_of

ClientField = Literal[
    "CDNLab-Client-IP", "X-Forwarded-For", "Forwarded", "CloudFront-Viewer-Address", "Fastly-Client-IP"
]
"""Request fields that may name the viewer. `CDNLab-Client-IP` is how a load test stands in for viewers elsewhere."""

Lines = tuple[str, ...]

Claim = tuple[ClientField, Lines]
"""A field that names a viewer, and its lines in the order received."""


def canonical(peer: str) -> str:
    """One text for one address, whatever socket it came by."""
    address = address_of(peer)
    return peer if address is None else str(address)


def claim_in(headers: Headers, believed: Sequence[ClientField]) -> Claim | None:
    """The first of the fields `believed` that the request has. It counts even if it is unreadable."""
    for name in believed:
        lines = headers.all(_LOWER[name])
        if lines:
            return name, tuple(lines)
    return None


def named_in(claim: Claim, peer: str, is_trusted: Callable[[str], bool]) -> str:
    """The address that a trusted peer's claim names: the nearest that is not trusted itself, or the last known."""
    name, lines = claim
    nearest = peer
    for reported in _READERS[name](lines):
        if reported is None:
            return nearest
        nearest = reported
        if not is_trusted(nearest):
            return nearest
    return nearest


_LOWER: dict[ClientField, str] = {name: name.lower() for name in get_args(ClientField)}

Reported = Iterator[str | None]
"""Addresses from the nearest to the farthest; None for one that cannot be read, is `unknown` or obfuscated."""


def _single(lines: Lines) -> Reported:
    """Exactly one address: of two lines, one is somebody else's."""
    yield _node(lines[0]) if len(lines) == 1 else None


def _with_port(lines: Lines) -> Reported:
    """CloudFront's `address:port`, whose IPv6 addresses stand without brackets."""
    host, _, port = lines[0].strip().rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    yield _literal(bare) if len(lines) == 1 and _PORT.fullmatch(port) else None


def _list(lines: Lines) -> Reported:
    for line in reversed(lines):
        for element in reversed(line.split(",")):
            if element.strip(" \t"):
                yield _node(element)


def _forwarded(lines: Lines) -> Reported:
    for line in reversed(lines):
        for element in _elements_from_the_right(line):
            if element:
                yield _for_of(element)


_READERS: dict[ClientField, Callable[[Lines], Reported]] = {
    "CDNLab-Client-IP": _single,
    "X-Forwarded-For": _list,
    "Forwarded": _forwarded,
    "CloudFront-Viewer-Address": _with_port,
    "Fastly-Client-IP": _single,
}

_LONGEST = 45
"""Characters of the longest address, `0000:...:ffff:255.255.255.255`: nothing longer is worth remembering."""

_PORT = re.compile(r"[0-9]{1,5}")
_OBFUSCATED_PORT = re.compile(r"[0-9]{1,5}|_[A-Za-z0-9._-]+")
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PAIR = re.compile(rf'[ \t]*(?:({_TOKEN})=(?:({_TOKEN})|"((?:[^"\\]|\\.)*)"))?[ \t]*(;|\Z)')


def _literal(text: str) -> str | None:
    """An address in its own words, without a zone (that is a matter of one machine); None for anything else."""
    address = None if "%" in text or len(text) > _LONGEST else address_of(text)
    return None if address is None else str(address)


def _node(text: str, *, bare_ipv6: bool = True, port: re.Pattern[str] = _PORT) -> str | None:
    """`192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]`, `[2001:db8::1]:80`; and `2001:db8::1` where `bare_ipv6`."""
    text = text.strip(" \t")
    if text.startswith("["):
        inner, bracket, rest = text[1:].partition("]")
        good = bracket and ":" in inner and (not rest or (rest[0] == ":" and port.fullmatch(rest[1:])))
        return _literal(inner) if good else None
    if text.count(":") == 1:
        text, _, number = text.partition(":")
        return _literal(text) if port.fullmatch(number) else None
    return _literal(text) if bare_ipv6 or ":" not in text else None


def _elements_from_the_right(line: str) -> Iterator[str]:
    """The list's elements, last first. It is read backwards, so that a quote that a viewer left open swallows nothing
    that a proxy wrote behind it."""
    end, quoted = len(line), False
    for at in range(len(line) - 1, -1, -1):
        if line[at] == '"':
            quoted = not quoted
        elif line[at] == "," and not quoted:
            yield line[at + 1 : end].strip(" \t")
            end = at
    yield line[:end].strip(" \t")


def _for_of(element: str) -> str | None:
    """The address that a forwarded-element's only `for` names (RFC 7239 §4, §6)."""
    named: list[str] = []
    at = 0
    while at < len(element):
        pair = _PAIR.match(element, at)
        if pair is None:
            return None
        name, token, quoted, _ = pair.groups()
        if name is not None and name.lower() == "for":
            named.append(token if token is not None else re.sub(r"\\(.)", r"\1", quoted))
        at = pair.end()
    return _node(named[0], bare_ipv6=False, port=_OBFUSCATED_PORT) if len(named) == 1 else None
