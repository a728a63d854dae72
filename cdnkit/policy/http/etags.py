"""Entity tags and the lists that carry them (RFC 9110 §8.8.3, §13.1)."""

import re

from cdnkit.policy.http.memo import memoized

# A tag's opaque part may hold commas, so a list is tokenised, not split.
_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


def is_strong(tag: str) -> bool:
    return _TAG.fullmatch(tag) is not None and not tag.startswith("W/")


def is_weak(tag: str) -> bool:
    return _TAG.fullmatch(tag) is not None and tag.startswith("W/")


def weakly_equal(one: str, other: str) -> bool:
    """Same opaque part, weak or not. A malformed tag equals only itself."""
    return one.removeprefix("W/") == other.removeprefix("W/")


def strongly_equal(one: str, other: str) -> bool:
    """Same tag and both strong."""
    return one == other and is_strong(one)


@memoized(1024)
def tag_list(text: str) -> tuple[str, ...]:
    """The tags of `If-None-Match`; `("*",)` for the star; a malformed value stands as the one tag it is."""
    if text.strip() == "*":
        return ("*",)
    return tuple(_TAG.findall(text)) or (text.strip(),)
