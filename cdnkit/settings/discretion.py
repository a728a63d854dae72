"""A source's password is nobody's to read: not in an error, nor in ffmpeg's command and its lines in a log."""

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
    """For people: `rtsp://user:secret@camera/` is said as `rtsp://user:***@camera/`, `?passphrase=***` likewise."""
    said, at = [], 0
    for start, end in _places(url):
        said += [url[at:start], HIDDEN]
        at = end
    return "".join(said) + url[at:]


def hiding(url: str) -> Callable[[str], str]:
    """Takes the secrets of a URL out of texts that may repeat it, or parts of it."""
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
