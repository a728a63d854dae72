"""What an origin says to its surrogates alone: `Surrogate-Control`, in the standard's profile.

Source: W3C Note "Edge Architecture Specification" (4 August 2001), §2. It is older than targeted fields (RFC 9213) and
no structured field, but rules as they do: alone. A surrogate shows itself to the origin in `Surrogate-Capability`, and
the origin may aim a directive at it by the token it finds there: "max-age=3600;cdnlab".

    max-age=60       fresh for 60 s               max-age=60+30   and stale for 30 s more, while it is refreshed
    no-store         not kept                     no-store-remote the same: a CDN is remote from its origin
    content="ESI/1.0"  a processor of the body is wanted: there is none here, nothing said of caching

`stale-while-revalidate` and `stale-if-error` are heard, too, as origins behind Fastly send them.
"""

import re
from collections.abc import Iterator

from cdnkit.policy.http.cache_control import CacheControl, delta_seconds, end_of_member
from cdnkit.policy.http.memo import memoized
from cdnkit.policy.http.messages import Headers

DEVICE = "cdnlab"
"""The token of every node of ours: what an origin says to one edge it says to all."""

CAPABILITY = f'{DEVICE}="Surrogate/1.0"'

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_MEMBER = re.compile(rf'({_TOKEN})(?:=(?:"([^"]*)"|({_TOKEN})))?(?:[ \t]*;[ \t]*({_TOKEN}))?')


def members(text: str) -> Iterator[tuple[str, str | None, str | None]]:
    """(directive in lower case, argument unquoted, the device it is aimed at); what cannot be read is left out."""
    position = 0
    while position < len(text):
        end = end_of_member(text, position)
        member = _MEMBER.fullmatch(text[position:end].strip(" \t"))
        if member is not None:
            yield member[1].lower(), member[2] if member[2] is not None else member[3], member[4]
        position = end + 1


def heard(text: str) -> dict[str, str | None]:
    """The directives that count here, with their arguments: one aimed at us comes before one for everybody (§2.3)."""
    for_all: dict[str, str | None] = {}
    for_us: dict[str, str | None] = {}
    for name, argument, device in members(text):
        if device is None:
            for_all.setdefault(name, argument)
        elif device == DEVICE:
            for_us.setdefault(name, argument)
    return for_all | for_us


@memoized(1024)
def parse_surrogate(text: str) -> CacheControl | None:
    """The field as directives; None when it leaves caching to the other fields. An unreadable lifetime counts as 0."""
    found = heard(text)
    no_store = "no-store" in found or "no-store-remote" in found
    if "max-age" not in found and not no_store:
        return None
    fresh, _, more = (found.get("max-age") or "").partition("+")
    while_refreshed = found.get("stale-while-revalidate", more or None)
    return CacheControl(
        max_age=(delta_seconds(fresh) or 0) if "max-age" in found else None,
        stale_while_revalidate=delta_seconds(while_refreshed),
        stale_if_error=delta_seconds(found.get("stale-if-error")),
        no_store=no_store,
    )


def capability(headers: Headers) -> tuple[str, str]:
    """The `Surrogate-Capability` that a request goes on with: those of the surrogates before us, and ours (§2.1)."""
    told = headers.joined("surrogate-capability")
    if told is None:
        return "surrogate-capability", CAPABILITY
    return "surrogate-capability", told if CAPABILITY in told else f"{told}, {CAPABILITY}"
