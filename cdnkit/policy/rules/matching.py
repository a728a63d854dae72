"""The behavior that a request is under: globs on the path's normal form, first match wins.

Source: CloudFront's path patterns: `*` zero or more characters including "/", `?` exactly one, case-sensitive, the
query is not looked at, a leading "/" is optional; "Path normalization" of its cache behaviors.
"""

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from cdnkit.policy.http.memo import memoized
from cdnkit.policy.http.path_forms import decoded, has_one_form, path_forms
from cdnkit.policy.rules.first_glob import FirstGlob
from cdnkit.policy.rules.service import Behavior, Geo


def _anchored(path: str) -> str:
    return path if path.startswith(("/", "*")) else "/" + path


class Matched(Protocol):
    """What is matched by path: a behavior, or a rule compiled from one."""

    @property
    def path(self) -> str: ...
    @property
    def token(self) -> str | None: ...
    @property
    def geo(self) -> Geo | None: ...


M = TypeVar("M", bound=Matched)


class Matcher(Generic[M]):
    """Finds the first behavior for a path; results are memoized, since a CDN sees the same paths again and again."""

    __slots__ = ("_find", "default")

    def __init__(self, behaviors: Sequence[M], otherwise: M) -> None:
        # The results are made once: a collector of cycles walks over all that are memoized.
        globs: FirstGlob[tuple[M, None]] = FirstGlob()
        for one in behaviors:
            globs.add(decoded(_anchored(one.path)), (one, None))
        self.default, no_other = otherwise, (otherwise, None)

        def first(path: str) -> tuple[M, None]:
            return globs.first(path) or no_other

        @memoized(16_384)
        def find(path: str) -> tuple[M, str | None]:
            if has_one_form(path):
                return first(path)
            spelling = path_forms(path)
            found = first(spelling.normal)
            behavior = found[0]
            others = (first(other)[0] for other in spelling.lenient)
            if any(one is not behavior and (one.token is not None or one.geo is not None) for one in others):
                return behavior, "a path that may be read as one under another behavior's gate"
            if spelling.has_dot_segments and behavior.token is not None:
                # A token is for paths with a common prefix.
                return behavior, "a path with dot segments, under a token"
            return found

        self._find = find

    def match(self, path: str) -> M:
        """The first behavior that the path matches."""
        return self._find(path)[0]

    def ambiguity(self, path: str) -> str | None:
        """Why the path is refused, if a lenient origin could read it as one behind a gate; None: it is not."""
        return self._find(path)[1]


_STAR, _ANY_ONE = "\0", "\1"
"""Characters that stand for the wildcards of a glob that is read as a text."""


def shadowed(behaviors: Sequence[Behavior]) -> list[tuple[int, int]]:
    """Pairs (i, j), j < i: behavior i can never match, because behavior j matches every path that it would.

    The later glob is read as a text in which its `*` is a character that only a `*` matches. That is exact for these
    globs, except for `?*` behind `*?`, which is not named: the safe side.
    """
    found = []
    before: FirstGlob[int] = FirstGlob(one=f"[^{_STAR}]")
    for i, behavior in enumerate(behaviors):
        path = _anchored(behavior.path)
        j = before.first(path.replace("*", _STAR).replace("?", _ANY_ONE))
        if j is not None:
            found.append((i, j))
        before.add(path, i)
    return found
