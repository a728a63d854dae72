"""The plain request: a GET for the whole of what its URL names, without a field that could change the answer.

Nearly all that a cache is asked for is of this kind. Of a fresh response that varies on nothing, each such request gets
the same; so a short way leads to it (`Deciding`), and a thousand who wait for one fill share one answer (`Keeping`).
"""

from collections.abc import Callable, Iterable

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.http.target import is_token
from cdnkit.policy.rules.service import Behavior, Service
from cdnkit.policy.store.key import plain_key

DECISIVE = frozenset(
    {
        "cache-control", "pragma", "via", "range", "if-range", "if-none-match", "if-modified-since", "authorization",
        "content-length", "transfer-encoding",
    }
)  # fmt: skip
"""Request fields that may change what a fresh stored response is good for, or what is told with it; without them, and
without those that the profile `asks_more` by, a hit is a hit. A record keeps them all (`edge/recording.py`), so that a
replay takes the same way."""

KeyOf = Callable[[RequestHead], str]


def is_plain(request: RequestHead, decisive: frozenset[str] = DECISIVE) -> bool:
    """A GET that asks for nothing but the whole of what its URL names, and that is nowhere written so that it would
    have to be looked at twice (`cdnkit.policy.http.target.malformed`)."""
    query = request.query
    if request.method != "GET" or not (query is None or (query.isascii() and query.isprintable() and " " not in query)):
        return False
    for name, value in request.headers.lines:
        if name in decisive or not value.isprintable() or not is_token(name):
            return False
    return True


class ShortWays:
    """The behaviors (by identity) whose plain hits need no look at key rules, and how each makes its keys."""

    __slots__ = ("guarded", "unguarded")

    def __init__(self, service: Service, behaviors: Iterable[Behavior], *, paged: bool) -> None:
        """`paged`: a page may stand in for an error that is stored."""
        self.unguarded: dict[int, KeyOf] = {}
        """Nor at the gate."""
        self.guarded: dict[int, KeyOf] = {}
        """The gate is to be asked all the same."""
        for behavior in behaviors:
            key_of = plain_key(behavior)
            # With Server-Timing for some, some hits carry it and others do not.
            if key_of is None or not behavior.cache or paged or behavior.server_timing not in ("off", 0):
                continue
            rules = (behavior.token, behavior.geo, behavior.rate_limit, service.rate_limit)
            bound = behavior.viewer_protocol != "allow-all" or any(rule is not None for rule in rules)
            (self.guarded if service.gate and bound else self.unguarded)[id(behavior)] = key_of

    def key_of(self, request: RequestHead, behavior: Behavior) -> str | None:
        """The key of a request that is plain; None where there is no short way."""
        which = id(behavior)
        key_of = self.unguarded.get(which) or self.guarded.get(which)
        return None if key_of is None else key_of(request)
