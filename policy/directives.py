"""The directives that rule a response here: a targeted field's, where a valid one is sent, else Cache-Control's.

Source: RFC 9213. A targeted field is a structured dictionary (RFC 9651), read by those rules and not by
Cache-Control's: any error anywhere, or nothing in it, and the whole field is as if it were not there.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import http_sf

from policy.fields.cache_control import LONGEST, NOTHING, CacheControl, parse
from policy.messages import Headers
from policy.profile import Profile

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


@lru_cache(maxsize=1024)
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
    """The first valid targeted field of the profile's list, else Cache-Control."""
    for name in profile.targeted_fields:
        text = headers.joined(name)
        targeted = None if text is None else parse_targeted(text)
        if targeted is not None:
            return Ruling(targeted, True)
    text = headers.joined("cache-control")
    return Ruling(NOTHING if text is None else parse(text), False)
