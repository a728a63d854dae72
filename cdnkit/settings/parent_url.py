"""The URL of a parent: scheme, host and port. It has no path, since upstream requests keep the viewer's path."""

import re
from urllib.parse import SplitResult, urlsplit

WANTED = "an http:// or https:// URL of a host and no path, such as http://127.0.0.1:9000"

_HOST = re.compile(r"[^\s\\\"<>^`{|}]+")


def parent_url(text: str) -> SplitResult | None:
    """The URL in parts, with a valid port or none; None if it is not the URL of a parent."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    bare = parts.path in ("", "/") and not (parts.query or parts.fragment or "@" in parts.netloc)
    fits = parts.scheme in ("http", "https") and bool(_HOST.fullmatch(parts.hostname or "")) and bare and port != 0
    return parts if fits else None
