"""The secrets of a request, which nobody is shown: tokens, credentials, signatures, wherever they are.

A record has a mark in place of a secret, since a replay must distinguish equal secrets from others (`edge/blind.py`).
`explain` hides secrets, unless it may reveal them and is asked to.

A client that misspells a parameter's name has sent its token all the same, although it is refused because none was
found. So a name is recognised in every form that some program might accept: in another case, percent-encoded once or
more, followed by brackets, after a semicolon, in a URL within a parameter, as a parameter of a path.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from html import unescape
from urllib.parse import unquote_plus

from cdnkit.policy.http.memo import memoized

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
        "X-Amz-Security-Token", "X-Goog-Signature", "X-Goog-Credential", "jwt", "authz", "auth_token", "client_secret",
        "password", "hdntl",
    }
)  # fmt: skip
"""Query parameters with secret values in the usual schemes; a service's own are added."""

URLS = frozenset({"referer", "location", "content-location"})
"""Fields that hold a URL: its query may have such parameters, as after a sign-in at another site."""

HIDDEN = "(hidden)"

_MOST_DECODED = 4
"""Times that a text is decoded: there are rarely more proxies in a row that each decode once."""

_NAMED = re.compile(r"([^=:&;,?#/\s{}()\"']{1,64})[\"']?\s*[=:]")
"""What may be a name, by the characters before and after it."""

_HINTS = frozenset("=:%")
"""A text without any of these has no name in it."""


def _decoded(text: str) -> str:
    for _ in range(_MOST_DECODED):
        plain = unescape(unquote_plus(text))
        if plain == text:
            return plain
        text = plain
    return text


@memoized(4096)
def _plain(name: str) -> frozenset[str]:
    """The letters and digits that all forms of a name have in common; those of each part, too, as in `user[token]`."""
    text = unicodedata.normalize("NFKC", _decoded(name)).casefold()
    return frozenset("".join(filter(str.isalnum, part)) for part in (text, *re.split(r"[.\[\]]", text)))


_LONGEST_NAME = 256
"""Only the end of a longer name is compared, so that a name is found whatever was put before it."""


def _any_spelling(names: Iterable[str]) -> frozenset[str]:
    return frozenset().union(*map(_plain, names)) - {""}


class Veil:
    """Removes secrets from texts; a node has one."""

    __slots__ = ("_fields", "_hide", "_params", "_plain", "_prefixes")

    def __init__(
        self,
        params: Iterable[str],
        fields: Iterable[str],
        prefixes: Iterable[str] = (),
        hide: Callable[[str], str] = lambda _: HIDDEN,
    ) -> None:
        """`params`, `fields` (in lower case): names in addition to the usual ones; `prefixes`: beginnings of paths
        before a token; `hide`: gives what replaces a secret."""
        self._params = PARAMS | frozenset(params)
        self._plain = _any_spelling(self._params)
        self._fields = FIELDS | frozenset(fields)
        self._prefixes = [[part.casefold() for part in prefix.split("/") if part] for prefix in prefixes]
        self._hide = hide

    def is_secret(self, name: str) -> bool:
        if name.startswith("#"):
            name = f"&{name}"  # a character reference of HTML, split as a query is: `&#116;oken`
        return name in self._params or not self._plain.isdisjoint(_plain(name[-_LONGEST_NAME:]))

    def target(self, target: str) -> str:
        """A path or a whole URL, with its query and fragment."""
        if self._prefixes:
            target = self._without_tokens_after(target)
        if _HINTS.isdisjoint(target):
            return target
        path, *rest = re.split(r"([?]|(?<!&)#)", target)
        pieces = ["/".join(part if _HINTS.isdisjoint(part) else self.pair(part) for part in path.split("/"))]
        for mark, text in zip(rest[::2], rest[1::2], strict=True):
            pieces += [mark, self.query(text)]
        return "".join(pieces)

    def query(self, query: str) -> str:
        return "&".join(map(self.pair, query.split("&")))

    def pair(self, pair: str) -> str:
        """`name=value` of a query, or any other text between two delimiters of a URL."""
        if _HINTS.isdisjoint(pair):
            return pair
        name, mark, value = pair.partition("=")
        if mark and self.is_secret(name):
            return f"{name}={self._hide(value)}"
        if not any(self.is_secret(found) for found in _NAMED.findall(_decoded(pair))):
            return pair
        # The name is nested: after a semicolon, in an inner URL, behind an encoded sign. What is before it goes, too.
        return f"{name}={self._hide(value)}" if mark else self._hide(pair)

    @property
    def fields_looked_at(self) -> frozenset[str]:
        """Names whose values `value` may change."""
        return self._fields | URLS | {"query", "path"}

    def value(self, name: str, value: str) -> str:
        """The value of a field, or of a part of a cache key with a field's name."""
        if name == "query":
            return self.query(value)
        if name == "path" or name in URLS:
            return self.target(value)
        return self._hide(value) if value and name in self._fields else value

    def key(self, key: str) -> str:
        """A cache key (`cdnkit.policy.store.key.cache_key`)."""
        target, *parts = key.split("\n")
        lines = [self.target(target)]
        for part in parts:
            name, colon, value = part.partition(": ")
            lines.append(name + colon + self.value(name, value))
        return "\n".join(lines)

    def _without_tokens_after(self, target: str) -> str:
        """Hides a token after another form of a prefix: `/T/TOKEN/a`, `//t/TOKEN/a`, `/%74/TOKEN/a`."""
        path, mark, query = target.partition("?")
        parts = path.split("/")
        places = [at for at, part in enumerate(parts) if part not in ("", ".")]
        words = [_decoded(parts[at]).casefold() for at in places[:8]]
        for prefix in self._prefixes:
            if words[: len(prefix)] == prefix and len(places) > len(prefix):
                at = places[len(prefix)]
                parts[at] = self._hide(parts[at])
        return "/".join(parts) + mark + query


class Bare(Veil):
    """Removes nothing."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__((), ())
        self._params = self._plain = self._fields = frozenset()
