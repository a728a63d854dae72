"""The plain request: a GET for the whole of its target, without a field that could change the response.

Nearly all requests to a cache are of this kind. Each of them gets the same from a fresh response that does not vary; so
there is a fast path to it (`Rule.plain_key`), and a thousand that wait for one fill share one answer.
"""

from cdnkit.policy.http.messages import Lines, RequestHead
from cdnkit.policy.http.target import is_token

DECISIVE = frozenset(
    {
        "cache-control", "pragma", "via", "range", "if-range", "if-none-match", "if-modified-since", "authorization",
        "content-length", "transfer-encoding",
    }
)  # fmt: skip
"""Request fields that may change what a fresh stored response is good for, or what is told with it; without them, and
without those that the profile `extra_fields` by, a hit is a hit. A record keeps them all (`edge/recorder.py`), so that
a replay takes the same way."""


def is_plain(request: RequestHead, decisive: frozenset[str] = DECISIVE) -> bool:
    """Whether it is a plain request, all of whose fields are well-formed beyond doubt
    (`cdnkit.policy.http.target.malformed`)."""
    query = request.query
    if request.method != "GET" or not (query is None or (query.isascii() and query.isprintable() and " " not in query)):
        return False
    facts = request.headers.facts
    if facts is None:
        return _are_plain(request.headers.lines, decisive)
    if facts.plain is None or facts.plain[0] is not decisive:
        facts.plain = decisive, _are_plain(request.headers.lines, decisive)
    return facts.plain[1]


def _are_plain(lines: Lines, decisive: frozenset[str]) -> bool:
    for name, value in lines:  # noqa: SIM110  (half the time of all())
        if name in decisive or not value.isprintable() or not is_token(name):
            return False
    return True
