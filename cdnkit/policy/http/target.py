"""The target and host of a request as it came, and whether they are well-formed.

The next hop reads a request with a parser of its own. What the grammar does not allow is refused, so that no two
parsers can read different things in it.
"""

import re
from functools import lru_cache
from urllib.parse import urljoin

from cdnkit.policy.http.memo import memoized
from cdnkit.policy.http.messages import RequestHead

_ABSOLUTE = re.compile(r"https?://([^/?#]*)", re.IGNORECASE)
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._~%-]*)(?::([0-9]{0,5}))?")
_TARGET = re.compile(r"/[!\"$-~]*")
_IN_QUERY = bytes(range(0x21, 0x7F))  # "#" too: a record's mark of a secret begins with it, and does no harm in a key
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def origin_form(target: str, host: str) -> tuple[str, str]:
    """(path, host) of a target without its query: one in absolute form names the host itself, whatever Host says.

    Source: RFC 9112 §3.2.2. Other forms are left as they are.
    """
    absolute = None if target.startswith("/") else _ABSOLUTE.match(target)
    return (target[absolute.end() :] or "/", absolute[1]) if absolute is not None else (target, host)


@memoized(4096)
def names_host(host: str) -> bool:
    """Whether it is a host, with a port or without; "" is allowed, where a client named none (RFC 9112 §3.2).

    RFC 3986 allows sub-delims such as "," in names too; they are refused, since no host name has one, and "," separates
    lists.
    """
    found = _HOST.fullmatch(host)
    return found is not None and int(found[1] or 0) < 65_536


@lru_cache(maxsize=512)  # asked of every field: long names are kept within bounds by their number
def is_token(name: str) -> bool:
    return _TOKEN.fullmatch(name) is not None


def malformed(request: RequestHead) -> str | None:
    """Why a request that could be parsed is still malformed; None: it is not.

    Source: RFC 9110 §5.1 (names), §5.5 (control characters), §9.1; RFC 9112 §3.2; RFC 9113 §8.3.1.
    """
    if not is_token(request.method):
        return "a method that is no token"
    if _TARGET.fullmatch(request.path) is None and not (request.path == "*" and request.method == "OPTIONS"):
        return 'a target that is no path: "/" begins one, and it holds neither spaces nor "#"'
    query = request.query
    # A signed URL's query has hundreds of characters, and deleting the allowed ones is the fastest check.
    if query is not None and (not query.isascii() or query.encode().translate(None, _IN_QUERY)):
        return "a query with a space or a control character in it"
    facts = request.headers.facts
    if facts is not None and facts.all_well_formed:
        return None
    for name, value in request.headers.lines:
        if not is_token(name):
            return "a field whose name is no token"
        if not value.isprintable() and _CONTROL.search(value) is not None:
            return f"a control character in {name}"
    if facts is not None:
        facts.all_well_formed = True
    return None


def resolved(request: RequestHead, reference: str) -> str:
    """A URI reference of a response, absolute: relative ones against the request's target."""
    return urljoin(request.url, reference.strip())
