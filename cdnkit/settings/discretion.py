"""Hides the password of a source's URL in errors, in ffmpeg's command, and in ffmpeg's lines in a log."""

import re
from collections.abc import Callable

HIDDEN = "***"

_SECRET = re.compile(
    r"://[^/@:]*:(?P<password>[^/@]*)@"
    r"|[?&](?:passphrase|password|pass|access_token|token|key|api_key|sig|signature|auth)=(?P<value>[^&#]*)",
    re.IGNORECASE,
)

_TOO_SHORT = 4
"""A shorter secret may be part of any word: it is hidden in its URL only."""


def shown(url: str) -> str:
    """For people: `rtsp://user:secret@camera/` is shown as `rtsp://user:***@camera/`, `?passphrase=***` likewise."""
    parts, at = [], 0
    for start, end in _places(url):
        parts += [url[at:start], HIDDEN]
        at = end
    return "".join(parts) + url[at:]


def hiding(url: str) -> Callable[[str], str]:
    """A function that hides the URL's secrets in texts that may quote the URL or parts of it."""
    secrets = {url[start:end] for start, end in _places(url)}
    secrets = {secret for secret in secrets if len(secret) >= _TOO_SHORT}

    def hide(text: str) -> str:
        text = text.replace(url, shown(url))
        for secret in secrets:
            text = text.replace(secret, HIDDEN)
        return text

    return hide


def _places(url: str) -> list[tuple[int, int]]:
    return [found.span(found.lastgroup or 0) for found in _SECRET.finditer(url)]
