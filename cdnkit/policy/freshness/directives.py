"""The directives that count for a response: a targeted field's where it has a valid one, else Cache-Control's.

Source: RFC 9213. A targeted field is a structured dictionary (RFC 9651), parsed by those rules and not by
Cache-Control's. A field that is empty, or has an error anywhere, is ignored as a whole.
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
class ResponseDirectives:
    """The directives that count, and which field they come from."""

    control: CacheControl
    targeted: bool
    """They are a targeted field's: `Cache-Control` and `Expires` of the same response are ignored (§2.2)."""
    surrogate: bool = False
    """The lifetime comes from `Surrogate-Control`."""


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


def response_directives(headers: Headers, profile: Profile) -> ResponseDirectives:
    """The first valid targeted field of the profile's list, else Surrogate-Control, else Cache-Control."""
    facts = headers.facts
    if facts is None:
        return _directives_in(headers, profile)
    if facts.directives is None or facts.directives[0] is not profile:
        facts.directives = profile, _directives_in(headers, profile)
    found: ResponseDirectives = facts.directives[1]
    return found


def _directives_in(headers: Headers, profile: Profile) -> ResponseDirectives:
    for name in profile.targeted_fields:
        text = headers.joined(name)
        targeted = None if text is None else parse_targeted(text)
        if targeted is not None:
            return ResponseDirectives(targeted, True)
    surrogate_text = headers.joined("surrogate-control") if profile.surrogate else None
    surrogate = None if surrogate_text is None else parse_surrogate(surrogate_text)
    if surrogate is not None:
        return ResponseDirectives(surrogate, True, True)
    text = headers.joined("cache-control")
    if profile.surrogate_control or profile.pass_words is not None or profile.directive_case:
        beside = headers.joined("surrogate-control") if profile.surrogate_control else None
        return _vendor_directives(
            text, beside, pass_words=profile.pass_words is not None, as_written=profile.directive_case,
            search=profile.directives_searched,
        )  # fmt: skip
    return ResponseDirectives(NOTHING if text is None else parse(text), False)


@lru_cache(maxsize=4096)
def _vendor_directives(
    text: str | None, surrogate_text: str | None, *, pass_words: bool, as_written: bool, search: bool
) -> ResponseDirectives:
    """Cache-Control under Fastly's rules: each lifetime in Surrogate-Control overrides the same one in it.

    `pass_words`: `private`, `no-store` and `no-cache` count only as the profile's pass words.
    Source: Fastly, "Cache freshness"; boilerplate vcl_fetch.
    """
    control = NOTHING if text is None else parse(text, as_written=as_written, search=search)
    if pass_words:
        control = replace(control, private=False, no_store=False, no_cache=False, must_understand=False)
        control = replace(control, private_fields=(), no_cache_fields=())
    surrogate = NOTHING if surrogate_text is None else parse(surrogate_text)
    if surrogate.max_age is not None:
        control = replace(control, max_age=surrogate.max_age, s_maxage=None)
    if surrogate.stale_while_revalidate is not None:
        control = replace(control, stale_while_revalidate=surrogate.stale_while_revalidate)
    if surrogate.stale_if_error is not None:
        control = replace(control, stale_if_error=surrogate.stale_if_error)
    return ResponseDirectives(control, False, surrogate.max_age is not None)
