"""The URL of a parent: scheme, host and port. What is asked for there is what the viewer asked for: it has no path."""

import re
from urllib.parse import SplitResult, urlsplit

WANTED = "an http:// or https:// URL of a host and no path, such as http://127.0.0.1:9000"

_HOST = re.compile(r"[^\s\\\"<>^`{|}]+")


def parent_url(text: str) -> SplitResult | None:
    """The URL in parts, its port a number or left out; None if it is not that."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    bare = parts.path in ("", "/") and not (parts.query or parts.fragment or "@" in parts.netloc)
    fits = parts.scheme in ("http", "https") and bool(_HOST.fullmatch(parts.hostname or "")) and bare and port != 0
    return parts if fits else None
