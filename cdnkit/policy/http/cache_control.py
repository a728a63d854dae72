"""Cache-Control, in requests and responses (RFC 9111 §5.2, RFC 5861, RFC 8246)."""

import re
from dataclasses import dataclass

from cdnkit.policy.http.memo import memoized

LONGEST = 2**31
"""What a delta-seconds too big to hold counts as (RFC 9111 §1.2.2)."""

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_END = re.compile(r"[ \t]*(?:,|$)")
_PLAIN = re.compile(r'[^,"]*')


@dataclass(slots=True, frozen=True)
class CacheControl:
    """The directives cdnlab knows, read once. Lifetimes are whole seconds; None means the directive is absent.

    An unreadable lifetime counts as 0 (stale): it must not fall through to the next source (RFC 9111 §4.2.1).
    """

    max_age: int | None = None
    s_maxage: int | None = None
    stale_while_revalidate: int | None = None
    stale_if_error: int | None = None
    no_store: bool = False
    no_cache: bool = False
    """Unqualified."""
    no_cache_fields: tuple[str, ...] = ()
    private: bool = False
    """Unqualified."""
    private_fields: tuple[str, ...] = ()
    public: bool = False
    must_revalidate: bool = False
    proxy_revalidate: bool = False
    must_understand: bool = False
    immutable: bool = False
    only_if_cached: bool = False
    max_stale: int | None = None
    """LONGEST for a bare `max-stale`."""
    min_fresh: int | None = None


def directives(text: str, *, as_written: bool = False) -> dict[str, str | None]:
    """Directive names, lower case, with their arguments unquoted; the first of a name wins (RFC 9111 §4.2.1).

    `as_written`: names keep their case, so that "Max-Age" is another one than "max-age".

    A directive is `token`, `token=token` or `token="quoted"`, without white space around "=". Any other text up to the
    next comma is skipped as a whole; commas inside a quoted string belong to that string, wherever it stands, and what
    follows a quote that never ends belongs to no directive. One pass, whatever the text.
    """
    found: dict[str, str | None] = {}
    position = 0
    while position < len(text):
        if text[position] in ", \t":
            position += 1
            continue
        name = _NAME.match(text, position)
        argument: str | None = None
        after = position
        if name is not None:
            after = name.end()
            if text.startswith('="', after):
                quoted = _QUOTED.match(text, after + 1)
                if quoted is None:
                    break
                argument, after = re.sub(r"\\(.)", r"\1", quoted[1]), quoted.end()
            elif text.startswith("=", after):
                value = _NAME.match(text, after + 1)
                name, after = (name, value.end()) if value is not None else (None, after)
                argument = value[0] if value is not None else None
        if name is not None and _END.match(text, after):
            found.setdefault(name[0] if as_written else name[0].lower(), argument)
            position = after
        else:
            position = end_of_member(text, position)
    return found


def end_of_member(text: str, position: int) -> int:
    """The place of the next comma outside quotes, or the end."""
    while position < len(text) and text[position] != ",":
        if text[position] == '"':
            quoted = _QUOTED.match(text, position)
            if quoted is None:
                return len(text)
            position = quoted.end()
        else:
            plain = _PLAIN.match(text, position)
            position = plain.end() if plain is not None else len(text)
    return position


def delta_seconds(text: str | None) -> int | None:
    """`1*DIGIT` as seconds, at most `LONGEST`; None when it is anything else (RFC 9111 §1.2.2)."""
    if text is None or not text.isascii() or not text.isdigit():
        return None
    return min(int(text), LONGEST) if len(text) < 20 else LONGEST


_TOKEN = r"!#$%&'*+\-.^_`|~0-9A-Za-z"
_LIFETIMES = ("max-age", "s-maxage", "stale-while-revalidate", "stale-if-error")


def searched(text: str, *, as_written: bool = False) -> dict[str, str | None]:
    """As `directives`, but lifetimes are looked for anywhere, in quotes too, with or without white space around "=".

    The first of a name with a token as argument counts; one with an argument in quotes is ignored.
    """
    found = directives(text, as_written=as_written)
    for name in _LIFETIMES:
        if found.get(name) is not None:
            del found[name]
        pattern = rf"(?<![{_TOKEN}]){name}[ \t]*=[ \t]*([{_TOKEN}]+)"
        argument = re.search(pattern, text, 0 if as_written else re.IGNORECASE)
        if argument is not None:
            found[name] = argument[1]
    return found


@memoized(4096)
def parse(text: str, *, as_written: bool = False, search: bool = False) -> CacheControl:
    """All lines of the field, joined, as values. Never fails: unreadable directives are ignored.

    `as_written`: only names in lower case count. `search`: lifetimes are `searched` for.
    """
    found = (searched if search else directives)(text, as_written=as_written)

    def lifetime(name: str) -> int | None:
        return (delta_seconds(found[name]) or 0) if name in found else None

    def names(name: str) -> tuple[str, ...]:
        return tuple(field.strip().lower() for field in (found.get(name) or "").split(",") if field.strip())

    def bare(name: str) -> bool:
        return name in found and not names(name)

    max_stale = None
    if "max-stale" in found:
        max_stale = LONGEST if found["max-stale"] is None else lifetime("max-stale")
    return CacheControl(
        max_age=lifetime("max-age"),
        s_maxage=lifetime("s-maxage"),
        stale_while_revalidate=lifetime("stale-while-revalidate"),
        stale_if_error=lifetime("stale-if-error"),
        no_store="no-store" in found,
        no_cache=bare("no-cache"),
        no_cache_fields=names("no-cache"),
        private=bare("private"),
        private_fields=names("private"),
        public="public" in found,
        must_revalidate="must-revalidate" in found,
        proxy_revalidate="proxy-revalidate" in found,
        must_understand="must-understand" in found,
        immutable="immutable" in found,
        only_if_cached="only-if-cached" in found,
        max_stale=max_stale,
        min_fresh=lifetime("min-fresh"),
    )


NOTHING = CacheControl()


def of(text: str | None) -> CacheControl:
    """`parse`, for a field that may be absent."""
    return NOTHING if text is None else parse(text)
