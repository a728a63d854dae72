"""`Surrogate-Control`: directives of an origin for its surrogates alone, as the standard's profile reads them.

Source: W3C Note "Edge Architecture Specification" (4 August 2001), §2. It is older than targeted fields (RFC 9213) and
not a structured field, but like them it overrides Cache-Control. A surrogate announces itself to the origin in
`Surrogate-Capability`, and the origin may address a directive to it by the token found there: "max-age=3600;cdnlab".

    max-age=60       fresh for 60 s               max-age=60+30   and stale for 30 s more, while it is refreshed
    no-store         not stored                   no-store-remote the same: a CDN is remote from its origin
    content="ESI/1.0"  asks for a processor of the body: there is none here, and it says nothing of caching

`stale-while-revalidate` and `stale-if-error` count too, since origins behind Fastly send them.
"""

import re
from collections.abc import Iterator

from cdnkit.policy.http.cache_control import CacheControl, delta_seconds, end_of_member
from cdnkit.policy.http.memo import memoized
from cdnkit.policy.http.messages import Headers

DEVICE = "cdnlab"
"""The token of every node: what an origin says to one edge applies to all."""

CAPABILITY = f'{DEVICE}="Surrogate/1.0"'

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_MEMBER = re.compile(rf'({_TOKEN})(?:=(?:"([^"]*)"|({_TOKEN})))?(?:[ \t]*;[ \t]*({_TOKEN}))?')


def members(text: str) -> Iterator[tuple[str, str | None, str | None]]:
    """(directive in lower case, argument unquoted, the device it is addressed to); unreadable members are left out."""
    position = 0
    while position < len(text):
        end = end_of_member(text, position)
        member = _MEMBER.fullmatch(text[position:end].strip(" \t"))
        if member is not None:
            yield member[1].lower(), member[2] if member[2] is not None else member[3], member[4]
        position = end + 1


def effective(text: str) -> dict[str, str | None]:
    """The directives that count here, with their arguments: one addressed to us overrides one for everybody (§2.3)."""
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
    found = effective(text)
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
    """The `Surrogate-Capability` that is forwarded: that of the surrogates before us, and ours (§2.1)."""
    received = headers.joined("surrogate-capability")
    if received is None:
        return "surrogate-capability", CAPABILITY
    return "surrogate-capability", received if CAPABILITY in received else f"{received}, {CAPABILITY}"
