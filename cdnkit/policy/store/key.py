"""The cache key: what two requests must have in common to share a response (RFC 9111 §2)."""

from collections.abc import Callable, Mapping
from functools import lru_cache

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.http.negotiation import weighted
from cdnkit.policy.rules.globs import glob
from cdnkit.policy.rules.service import Behavior

SLICE_PREFIX = "\nslice: "
"""In a key: what stands before the number of a block; always the last line."""

HEAD_SUFFIX = "\nHEAD"
"""In the key of a stored response to HEAD: its end, which no request field can produce."""


KeyFunction = Callable[[RequestHead], str]


@lru_cache(maxsize=1024)
def _among(names: tuple[str, ...]) -> Callable[[str], object]:
    """Whether a name is one of these: in them, `*` stands for any characters, `?` for one.

    Source: CloudFront, "Cache behavior settings", cookies on an allow list; Fastly, `querystring.globfilter`.
    """
    if not any(letter in name for name in names for letter in "*?"):
        return frozenset(names).__contains__
    return glob(*names).match


def keyed_query(query: str | None, behavior: Behavior) -> str | None:
    """The part of the query that enters the key, in the order received."""
    wanted, unwanted = behavior.key.query, behavior.key.query_except
    if query is None or (wanted in ("all", None) and not unwanted):
        return query
    if wanted == "none":
        return None
    if isinstance(wanted, tuple):
        is_wanted = _among(wanted)
        kept = [part for part in query.split("&") if is_wanted(part.partition("=")[0])]
    else:
        is_unwanted = _among(unwanted)
        kept = [part for part in query.split("&") if not is_unwanted(part.partition("=")[0])]
    return "&".join(kept) or None


def keyed_cookies(request: RequestHead, behavior: Behavior) -> str | None:
    """The cookies that enter the key, sorted, since their order does not matter; None when there is none."""
    wanted, unwanted = behavior.key.cookies, behavior.key.cookies_except
    if wanted == "none":
        return None
    is_named, keep = (_among(wanted), True) if isinstance(wanted, tuple) else (_among(unwanted), False)
    kept = sorted(pair for pair in _cookies(request) if bool(is_named(pair.partition("=")[0])) is keep)
    return "; ".join(kept) or None


def _cookies(request: RequestHead) -> list[str]:
    pairs = (pair.strip() for line in request.headers.all("cookie") for pair in line.split(";"))
    return [pair for pair in pairs if pair]


def has_cookies_in_pairs(request: RequestHead) -> bool:
    """Whether each cookie has a name and a value, as in RFC 6265 §4.1.1; true where there is none."""
    return all(pair.find("=") > 0 for pair in _cookies(request))


def keyed_coding(request: RequestHead, behavior: Behavior) -> str | None:
    """Accept-Encoding as it enters the key: `br,gzip` or one of the two, without codings that the behavior ignores.

    Source: CloudFront, "Understand cache policies": EnableAcceptEncodingGzip and -Brotli.
    """
    enabled = behavior.key.accept_encoding
    accepted = request.headers.joined("accept-encoding") if enabled else None
    if accepted is None:
        return None
    taken = {coding for coding, weight in weighted(accepted) if weight > 0}
    return ",".join(coding for coding in ("br", "gzip") if coding in enabled and coding in taken) or None


def with_viewer_fields(request: RequestHead, fields: Mapping[str, Callable[[RequestHead], str]]) -> RequestHead:
    """The request with what this node knows of the viewer in those fields, in place of what the viewer wrote there.

    Which of them enter the key or go on to the origin depends on the behavior.
    """
    made = ((name, value_of(request)) for name, value_of in fields.items())
    return request.with_fields(request.headers.without(fields).plus(*(line for line in made if line[1])))


def cache_key(request: RequestHead, behavior: Behavior) -> str:
    """`/path?query`, then a line for each further part: host, header fields, cookies, codings, the block of a slice.

    There is no host where one node has one parent and overwrites Host: the key covers what reaches the origin.
    """
    query = keyed_query(request.query, behavior)
    text = request.path if query is None else f"{request.path}?{query}"
    for name, value in further_parts(request, behavior):
        text += f"\n{name}: {value}"
    return text


def further_parts(request: RequestHead, behavior: Behavior) -> list[tuple[str, str]]:
    """(name, value) of each further part of the key, in order; "" where the request lacks it."""
    key = behavior.key
    parts = [("host", request.host.lower())] if key.host else []
    if request.method == "OPTIONS" and "OPTIONS" in behavior.cached_methods:
        # CloudFront, "Understand the cache key": GET and HEAD share an entry, OPTIONS has one of its own.
        parts.append(("method", "OPTIONS"))
    for name in key.headers:
        value = request.headers.joined(name.lower())
        parts.append((name.lower(), "" if value is None else value.strip()))
    if key.cookies != "none":
        parts.append(("cookie", keyed_cookies(request, behavior) or ""))
    coding = keyed_coding(request, behavior)
    if coding is not None:
        parts.append(("accept-encoding", coding))
    if request.block is not None and request.block >= 0:
        parts.append(("slice", str(request.block)))
    return parts


def plain_key(behavior: Behavior) -> KeyFunction | None:
    """A faster function for the same key, where that has only path, query and host; None where it has more."""
    key = behavior.key
    if (
        behavior.slice is not None
        or key.headers
        or key.cookies != "none"
        or key.accept_encoding
        or key.query_except
        or isinstance(key.query, tuple)
    ):
        return None
    if key.query == "none":
        return _path_and_host if key.host else _path
    return _target_and_host if key.host else _target


def _path(request: RequestHead) -> str:
    return request.path


def _target(request: RequestHead) -> str:
    return request.path if request.query is None else f"{request.path}?{request.query}"


def _path_and_host(request: RequestHead) -> str:
    return f"{request.path}\nhost: {request.host.lower()}"


def _target_and_host(request: RequestHead) -> str:
    return f"{_target(request)}\nhost: {request.host.lower()}"
