"""What of a request nobody is shown: tokens, credentials, signatures, wherever they stand.

A record keeps a mark in a secret's place, since a replay must tell equal ones from others (`edge/blind.py`);
`explain` keeps nothing, unless one who may asks for it.

Who misspells a parameter's name has sent his token all the same, and is refused for want of one. So a name is known in
any spelling that some reader might take for it: in another case, percent-encoded once or more, with brackets behind it,
behind a semicolon, in a URL within a parameter, as a parameter of a path.
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
"""Query parameters that are, by what the usual schemes call them; a service's own come on top."""

URLS = frozenset({"referer", "location", "content-location"})
"""Fields that name a URL: its query may carry such parameters, as after a sign-in elsewhere."""

HIDDEN = "(hidden)"

_MOST_DECODED = 4
"""Times that a text is decoded: proxies in a row that each decode once are rarely more."""

_NAMED = re.compile(r"([^=:&;,?#/\s{}()\"']{1,64})[\"']?\s*[=:]")
"""What may be a name, by what stands before it and behind."""

_HINTS = frozenset("=:%")
"""Without any of these a text names nothing."""


def _decoded(text: str) -> str:
    for _ in range(_MOST_DECODED):
        plain = unescape(unquote_plus(text))
        if plain == text:
            return plain
        text = plain
    return text


@memoized(4096)
def _plain(name: str) -> frozenset[str]:
    """What all spellings of a name have in common, its letters and digits; of `user[token]`, of each part too."""
    text = unicodedata.normalize("NFKC", _decoded(name)).casefold()
    return frozenset("".join(filter(str.isalnum, part)) for part in (text, *re.split(r"[.\[\]]", text)))


_LONGEST_NAME = 256
"""Of a longer one the end is looked at: what was put before a name is no reason to pass over it."""


def _any_spelling(names: Iterable[str]) -> frozenset[str]:
    return frozenset().union(*map(_plain, names)) - {""}


class Veil:
    """Takes secrets out of texts; one for a node."""

    __slots__ = ("_fields", "_hide", "_params", "_plain", "_prefixes")

    def __init__(
        self,
        params: Iterable[str],
        fields: Iterable[str],
        prefixes: Iterable[str] = (),
        hide: Callable[[str], str] = lambda _: HIDDEN,
    ) -> None:
        """Names of query parameters and, in lower case, of fields, beside the usual ones; beginnings of paths that a
        token follows. `hide`: what stands in a secret's place."""
        self._params = PARAMS | frozenset(params)
        self._plain = _any_spelling(self._params)
        self._fields = FIELDS | frozenset(fields)
        self._prefixes = [[part.casefold() for part in prefix.split("/") if part] for prefix in prefixes]
        self._hide = hide

    def is_secret(self, name: str) -> bool:
        if name.startswith("#"):
            name = f"&{name}"  # a letter as HTML writes it, parted as a query is: `&#116;oken`
        return name in self._params or not self._plain.isdisjoint(_plain(name[-_LONGEST_NAME:]))

    def target(self, target: str) -> str:
        """A path, or a whole URL, with its query and fragment."""
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
        """`name=value` of a query, or what else stands between two marks of a URL."""
        if _HINTS.isdisjoint(pair):
            return pair
        name, mark, value = pair.partition("=")
        if mark and self.is_secret(name):
            return f"{name}={self._hide(value)}"
        if not any(self.is_secret(found) for found in _NAMED.findall(_decoded(pair))):
            return pair
        # It lies deeper: behind a semicolon, in a URL within, under an encoded sign. What is before it goes, too.
        return f"{name}={self._hide(value)}" if mark else self._hide(pair)

    def value(self, name: str, value: str) -> str:
        """The value of a field, or of a part of a cache key that is named like one."""
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
        """A token behind a prefix that is spelled otherwise: `/T/TOKEN/a`, `//t/TOKEN/a`, `/%74/TOKEN/a`."""
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
    """Takes nothing out."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__((), ())
        self._params = self._plain = self._fields = frozenset()
