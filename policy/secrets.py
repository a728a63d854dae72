"""What of a request nobody is shown: tokens, credentials, signatures, wherever they stand.

A record keeps a mark in a secret's place, since a replay must tell equal ones from others (`edge/recording.py`);
`explain` keeps nothing, unless one who may asks for it.
"""

from collections.abc import Iterable

FIELDS = frozenset(
    {
        "authorization", "cookie", "proxy-authorization", "set-cookie", "fastly-key", "x-api-key", "x-auth-token",
        "x-amz-security-token", "x-csrf-token",
    }
)  # fmt: skip
"""Fields whose values are secrets whatever the settings say."""

PARAMS = frozenset(
    {
        "access_token", "id_token", "refresh_token", "token", "sig", "signature", "api_key", "apikey", "hdnts", "hdnea",
        "__token__", "Signature", "Policy", "Key-Pair-Id", "X-Amz-Signature", "X-Amz-Credential",
        "X-Amz-Security-Token",
    }
)  # fmt: skip
"""Query parameters that are, by what the usual schemes call them; a service's own come on top."""

URLS = frozenset({"referer", "location", "content-location"})
"""Fields that name a URL: its query may carry such parameters, as after a sign-in elsewhere."""

HIDDEN = "(hidden)"


class Veil:
    """Takes secrets out of texts for people; one for a node."""

    __slots__ = ("_fields", "_params")

    def __init__(self, params: Iterable[str], fields: Iterable[str]) -> None:
        """Names of query parameters and, in lower case, of fields, beside the usual ones."""
        self._params = PARAMS | frozenset(params)
        self._fields = FIELDS | frozenset(fields)

    def query(self, query: str) -> str:
        return "&".join(map(self.pair, query.split("&")))

    def pair(self, pair: str) -> str:
        """`name=value` of a query."""
        name, mark, _ = pair.partition("=")
        return f"{name}={HIDDEN}" if mark and name in self._params else pair

    def value(self, name: str, value: str) -> str:
        """The value of a field, or of a part of a cache key that is named like one."""
        if name == "query":
            return self.query(value)
        if name in URLS:
            before, mark, query = value.partition("?")
            return before + mark + self.query(query)
        return HIDDEN if value and name in self._fields else value

    def key(self, key: str) -> str:
        """A cache key (`policy.key.cache_key`)."""
        target, *parts = key.split("\n")
        path, mark, query = target.partition("?")
        lines = [path + mark + self.query(query)]
        for part in parts:
            name, colon, value = part.partition(": ")
            lines.append(name + colon + self.value(name, value))
        return "\n".join(lines)


class Bare(Veil):
    """Takes nothing out."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__((), ())
        self._params = self._fields = frozenset()
