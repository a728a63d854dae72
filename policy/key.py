"""The cache key: what two requests must share to share an answer (RFC 9111 §2)."""

from policy.messages import RequestHead
from policy.service import Behavior


def drop_parameter(query: str | None, name: str) -> str | None:
    """The query without that parameter, all else byte for byte; None when nothing is left."""
    if query is None or name not in query:
        return query
    kept = [part for part in query.split("&") if part.partition("=")[0] != name]
    return "&".join(kept) or None


def keyed_query(query: str | None, behavior: Behavior) -> str | None:
    """The part of the query that enters the key, in the order received."""
    wanted = behavior.key.query
    if query is None or wanted == "all":
        return query
    if wanted == "none":
        return None
    kept = [part for part in query.split("&") if part.partition("=")[0] in wanted]
    return "&".join(kept) or None


def cache_key(request: RequestHead, behavior: Behavior) -> str:
    """`/path?query`, then a line for each header field of the behavior's key.

    The key covers what reaches the origin: host is not part of it, since one node asks one parent and overwrites Host.
    """
    query = keyed_query(request.query, behavior)
    key = request.path if query is None else f"{request.path}?{query}"
    for name in behavior.key.headers:
        value = request.headers.joined(name.lower())
        key += f"\n{name.lower()}: {'' if value is None else value.strip()}"
    return key
