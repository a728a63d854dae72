"""The directives that rule a response here: a targeted field's, where a valid one is sent, else Cache-Control's.

Source: RFC 9213. A targeted field is a structured dictionary (RFC 9651), read by those rules and not by
Cache-Control's: any error anywhere, or nothing in it, and the whole field is as if it were not there.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import cast

import http_sf

from cdnkit.policy.freshness.surrogate import parse_surrogate
from cdnkit.policy.http.cache_control import LONGEST, NOTHING, CacheControl, parse
from cdnkit.policy.http.memo import memoized
from cdnkit.policy.http.messages import Headers
from cdnkit.policy.rules.profile import Profile

_FLAGS = frozenset(
    {"no_store", "no_cache", "private", "public", "must_revalidate", "proxy_revalidate", "must_understand", "immutable"}
)
_LIFETIMES = frozenset({"max_age", "s_maxage", "stale_while_revalidate", "stale_if_error"})


@dataclass(slots=True, frozen=True)
class Ruling:
    """What a response says of its own caching."""

    control: CacheControl
    targeted: bool
    """A targeted field rules alone: `Cache-Control` and `Expires` of the same response are not looked at (§2.2)."""
    surrogate: bool = False
    """The lifetime is `Surrogate-Control`'s."""


@memoized(1024)
def parse_targeted(text: str) -> CacheControl | None:
    """A targeted field's members as directives; None when the field is to be ignored.

    A member of the wrong type is not used (§2.1): `max-age="60"`, `max-age=6.0`.
    """
    try:
        members = cast(dict[str, tuple[object, object]], http_sf.parse(text.encode("latin-1"), tltype="dictionary"))
    except http_sf.StructuredFieldError:
        return None
    if not members:
        return None
    found: dict[str, bool | int] = {}
    for name, member in members.items():
        field, value = name.replace("-", "_"), member[0]
        if field in _FLAGS and value is True:
            found[field] = True
        elif field in _LIFETIMES and isinstance(value, int) and not isinstance(value, bool):
            found[field] = min(max(value, 0), LONGEST)
    return CacheControl(**found)  # type: ignore[arg-type]


def ruling(headers: Headers, profile: Profile) -> Ruling:
    """The first valid targeted field of the profile's list, else Surrogate-Control, else Cache-Control."""
    for name in profile.targeted_fields:
        text = headers.joined(name)
        targeted = None if text is None else parse_targeted(text)
        if targeted is not None:
            return Ruling(targeted, True)
    aimed = headers.joined("surrogate-control") if profile.surrogate else None
    surrogate = None if aimed is None else parse_surrogate(aimed)
    if surrogate is not None:
        return Ruling(surrogate, True, True)
    text = headers.joined("cache-control")
    if profile.surrogate_control or profile.pass_words is not None or profile.directive_case:
        beside = headers.joined("surrogate-control") if profile.surrogate_control else None
        return _vendor_ruling(
            text, beside, own_pass_rule=profile.pass_words is not None, as_written=profile.directive_case,
            search=profile.directives_searched,
        )  # fmt: skip
    return Ruling(NOTHING if text is None else parse(text), False)


@lru_cache(maxsize=4096)
def _vendor_ruling(
    text: str | None, surrogate_text: str | None, *, own_pass_rule: bool, as_written: bool, search: bool
) -> Ruling:
    """Cache-Control under Fastly's rules: each of Surrogate-Control's lifetimes comes before its own.

    `own_pass_rule`: `private`, `no-store` and `no-cache` mean what the profile's pass words say, and nothing else.
    Source: Fastly, "Cache freshness"; boilerplate vcl_fetch.
    """
    control = NOTHING if text is None else parse(text, as_written=as_written, search=search)
    if own_pass_rule:
        control = replace(control, private=False, no_store=False, no_cache=False, must_understand=False)
        control = replace(control, private_fields=(), no_cache_fields=())
    surrogate = NOTHING if surrogate_text is None else parse(surrogate_text)
    if surrogate.max_age is not None:
        control = replace(control, max_age=surrogate.max_age, s_maxage=None)
    if surrogate.stale_while_revalidate is not None:
        control = replace(control, stale_while_revalidate=surrogate.stale_while_revalidate)
    if surrogate.stale_if_error is not None:
        control = replace(control, stale_if_error=surrogate.stale_if_error)
    return Ruling(control, False, surrogate.max_age is not None)
