"""Misfits: settings of a behavior that a profile cannot carry out.

The settings file and the control API both look here before they take a behavior, so that both refuse the same.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cdnkit.policy.freshness.lifetime import NEGATIVE_STATUSES
from cdnkit.policy.http.messages import HOP_BY_HOP
from cdnkit.policy.http.target import is_token
from cdnkit.policy.rules.profile import Profile
from cdnkit.policy.rules.service import Behavior
from cdnkit.policy.upstream.forward import NOT_FORWARDED
from cdnkit.vendors import PROFILES

VIEWER_PREFIXES = tuple(prefix for profile in PROFILES.values() for prefix in profile.viewer_prefixes)
"""How the names of the vendors' fields about a viewer begin. Where no node writes such a field, its value would be the
viewer's own."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """One setting without effect."""

    path: tuple[str | int, ...]
    """The setting's path within the behavior: ("key", "headers", 0)."""
    found: object
    wanted: str
    known: tuple[str, ...] = ()
    """Values that may have been meant."""


def misfits(behavior: Behavior, profile: Profile) -> Iterator[Misfit]:
    """Every setting of the behavior that would do nothing under the profile, or something else than it says."""
    yield from _viewer_fields(behavior, profile)
    yield from _keyed_headers(behavior, profile)
    yield from _nameless(behavior)
    yield from _query_names(behavior, profile)
    yield from _error_ttls(behavior, profile)


def _viewer_fields(behavior: Behavior, profile: Profile) -> Iterator[Misfit]:
    known = tuple(sorted(profile.viewer_fields))
    named: list[tuple[tuple[str | int, ...], str]] = [
        (("viewer_headers", number), name) for number, name in enumerate(behavior.viewer_headers)
    ]
    named += [
        (("key", "headers", number), name)
        for number, name in enumerate(behavior.key.headers)
        if name.lower().startswith(VIEWER_PREFIXES)
    ]
    for path, name in named:
        if name.lower() not in known:
            yield Misfit(path, name, f'a field that nodes with profile = "{profile.name}" write', known)


def _keyed_headers(behavior: Behavior, profile: Profile) -> Iterator[Misfit]:
    """Fields in the key that never reach the origin: no response can depend on them."""
    for number, name in enumerate(behavior.key.headers):
        lower = name.lower()
        if not is_token(name):
            yield Misfit(("key", "headers", number), name, "the name of a field (RFC 9110 §5.1)")
        elif lower in HOP_BY_HOP | frozenset(NOT_FORWARDED):
            yield Misfit(
                ("key", "headers", number), name, "a field that goes on to the origin; this one ends at the node"
            )
        elif any(lower.startswith(one[:-1]) if one.endswith("*") else lower == one for one in profile.never_keyed):
            instead = "; the cookies in the key are key.cookies' to name" if lower == "cookie" else ""
            yield Misfit(
                ("key", "headers", number), name, f'a field that profile = "{profile.name}" takes into the key{instead}'
            )
        elif lower == "accept-encoding" and behavior.key.accept_encoding:
            yield Misfit(
                ("key", "headers", number), name, "no Accept-Encoding beside key.accept_encoding, which cuts it"
            )


_UNNAMED = {
    "cookies": (
        re.compile(r"|\s.*|.*\s|.*[=;].*", re.DOTALL),
        "the name of a cookie, which has neither = nor a semicolon",
    ),
    "query": (
        re.compile(r".*[=&#\s].*", re.DOTALL),
        "the name of a query parameter as URLs have it: no =, &, # or space",
    ),
}
"""By key of the settings: names that no cookie or query parameter can have, and what is wanted instead."""


def _nameless(behavior: Behavior) -> Iterator[Misfit]:
    """A cookie or a query parameter that no request can have."""
    for kind, (unnamed, wanted) in _UNNAMED.items():
        for key in (kind, f"{kind}_except"):
            names = getattr(behavior.key, key)
            for number, name in enumerate(names if isinstance(names, tuple) else ()):
                if unnamed.fullmatch(name):
                    yield Misfit(("key", key, number), name, wanted)


def _query_names(behavior: Behavior, profile: Profile) -> Iterator[Misfit]:
    if profile.query_patterns:
        return
    for key in ("query", "query_except"):
        names = getattr(behavior.key, key)
        for number, name in enumerate(names if isinstance(names, tuple) else ()):
            if "*" in name or "?" in name:
                yield Misfit(
                    ("key", key, number), name,
                    f'a name in full: with profile = "{profile.name}", only names of cookies may have * and ?',
                )  # fmt: skip


def _error_ttls(behavior: Behavior, profile: Profile) -> Iterator[Misfit]:
    errors = profile.error_caching
    kept = NEGATIVE_STATUSES if errors is None else errors.always | errors.if_explicit
    for status in behavior.error_ttls:
        if status not in kept:
            statuses = ", ".join(map(str, sorted(kept)))
            wanted = f'an error that profile = "{profile.name}" keeps, one of {statuses}'
            yield Misfit(("error_ttls", str(status)), status, wanted)
