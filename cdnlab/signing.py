"""Signed URLs for viewers, by the token that the document asks of a path."""

import json
import time
from pathlib import Path
from urllib.parse import urlsplit

from cdnlab.complaints import nearest
from cdnlab.document import Document, read
from cdnlab.errors import BadUsage
from policy.matching import Matcher
from policy.service import Behavior, Token
from policy.token import FastlyToken
from units.quantities import read_seconds


def signer(token: Token) -> FastlyToken:
    """The scheme with its secret; `BadUsage` when the key file cannot be read."""
    secret = token.key
    if token.key_file is not None:
        try:
            secret = token.key_file.read_text()
        except OSError as error:
            raise BadUsage(f"{token.key_file}: {error.strerror or error}") from None
    try:
        return FastlyToken(secret or "", hash=token.hash, param=token.param)
    except ValueError as error:
        raise BadUsage(f"token key: {error}") from None


def token_for(document: Document, path: str) -> Token | None:
    """What the behavior that rules `path` asks of a viewer, None when it asks nothing."""
    behavior = Matcher(document.behaviors, Behavior(path="*")).behavior_of(path)
    return None if behavior.token is None else document.tokens[behavior.token]


def signed(document: Document, url: str, *, expires_at: int) -> str:
    """`url` with its token, good until `expires_at` (Unix seconds); as it is when its path needs none."""
    token = token_for(document, urlsplit(url).path or "/")
    return url if token is None else with_token(url, token, expires_at=expires_at)


def with_token(url: str, token: Token, *, expires_at: int) -> str:
    """`url` with a token in its query."""
    parts = urlsplit(url)
    mark = "&" if parts.query else "?"
    return f"{url}{mark}{token.param}={signer(token).sign(parts.path or '/', expires_at)}"


def run(url: str, *, config: Path, valid_for: str, token: str | None, as_json: bool) -> int:
    """`cdnlab sign`: prints the signed URL."""
    document = read(config).document
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https", "") or not parts.path.startswith("/"):
        raise BadUsage(f"found {url!r}, wanted a URL with a path such as http://127.0.0.1:8081/live/multivariant.m3u8")
    try:
        expires_at = int(time.time() + read_seconds(valid_for))
    except ValueError as error:
        raise BadUsage(f"--for: found {valid_for!r}, {error}") from None
    scheme = token_for(document, parts.path)
    if token is not None:
        scheme = document.tokens.get(token)
        if scheme is None:
            hint = nearest(token, sorted(document.tokens), keys=False)
            raise BadUsage(f"--token: found {token!r}, wanted the name of a token in {config}. {hint}")
    if scheme is None:
        raise BadUsage(
            f"no token is asked of {parts.path}: the behavior that rules it names none",
            "The URL works as it is; --token NAME signs it all the same.",
        )
    made = with_token(url, scheme, expires_at=expires_at)
    print(json.dumps({"url": made, "expires_at": expires_at}) if as_json else made)
    return 0
