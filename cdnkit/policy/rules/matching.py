"""Which behavior rules a request: globs on the path's normal form, first match wins.

Source: CloudFront's path patterns: `*` zero or more characters including "/", `?` exactly one, case-sensitive, the
query is not looked at, a leading "/" is optional; "Path normalization" of its cache behaviors.
"""

import re
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from cdnkit.policy.http.memo import remembered
from cdnkit.policy.http.path_forms import decoded, spelling_of
from cdnkit.policy.rules.globs import glob
from cdnkit.policy.rules.service import Behavior, Geo


def _pattern(path: str) -> re.Pattern[str]:
    return glob(decoded(path if path.startswith(("/", "*")) else "/" + path))


class Matched(Protocol):
    """What is matched by path: a behavior as it is written, or a rule that was compiled from it."""

    @property
    def path(self) -> str: ...
    @property
    def token(self) -> str | None: ...
    @property
    def geo(self) -> Geo | None: ...


M = TypeVar("M", bound=Matched)


class Matcher(Generic[M]):
    """Ordered behaviors, asked by path; answers are remembered, since a CDN sees the same paths again and again."""

    __slots__ = ("_find", "otherwise")

    def __init__(self, behaviors: Sequence[M], otherwise: M) -> None:
        compiled = [(_pattern(behavior.path), behavior) for behavior in behaviors]
        self.otherwise = otherwise

        def first(path: str) -> M:
            return next((behavior for pattern, behavior in compiled if pattern.match(path)), otherwise)

        @remembered(16_384)
        def find(path: str) -> tuple[M, str | None]:
            spelling = spelling_of(path)
            behavior = first(spelling.normal)
            others = (first(other) for other in spelling.others)
            if any(one is not behavior and (one.token is not None or one.geo is not None) for one in others):
                return behavior, "a path that may be read as one under another behavior's gate"
            if spelling.climbs and behavior.token is not None:
                # A token says by their beginnings which paths it is for.
                return behavior, "a path with dot segments, under a token"
            return behavior, None

        self._find = find

    def match(self, path: str) -> M:
        """The first that the path matches."""
        return self._find(path)[0]

    def ambiguity(self, path: str) -> str | None:
        """How the path is written, if an origin that takes liberties in reading it could be led past a gate with it."""
        return self._find(path)[1]


def covers(wide: str, narrow: str) -> bool:
    """Whether every path that glob `narrow` matches, `wide` matches too.

    Read `narrow` as a text in which its own `*` is a letter only a `*` can swallow: exact for globs of this kind but
    for one corner (`?*` against `*?`), which is answered False, the safe side.
    """
    star, any_one = "\0", "\1"
    text = "".join(
        star if c == "*" else any_one if c == "?" else c
        for c in (narrow if narrow.startswith(("/", "*")) else "/" + narrow)
    )
    anchored = wide if wide.startswith(("/", "*")) else "/" + wide
    return glob(anchored, one=f"[^{star}]").match(text) is not None


def shadowed(behaviors: Sequence[Behavior]) -> list[tuple[int, int]]:
    """Pairs (i, j), j < i: behavior i can never match, because behavior j takes all that it would."""
    found = []
    for i, behavior in enumerate(behaviors):
        for j in range(i):
            if covers(behaviors[j].path, behavior.path):
                found.append((i, j))
                break
    return found
