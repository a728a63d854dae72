"""`cdnlab sign`: signs URLs for viewers, with the token that a path requires, or by a scheme and a key alone."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from cdnkit.policy.rules.matching import Matcher
from cdnkit.policy.rules.service import Behavior
from cdnkit.policy.rules.tokens import CloudFront, Token
from cdnlab.client.tokens import Grant, SignedResponse, sign
from cdnlab.client.viewer import split_url
from cdnlab.errors import BadUsage
from cdnlab.settings.complaints import nearest
from cdnlab.settings.document import Document, read
from cdnlab.settings.options import seconds
from edge.errors import BadKeyFile
from edge.keys import keys_of

SCHEMES = ("fastly", "cloudfront", "akamai", "jwt", "cat")


@dataclass(frozen=True)
class Flags:
    """The options of the command line; None or empty for one that was not given."""

    config: Path = Path("cdn.toml")
    token: str | None = None
    scheme: str | None = None
    key: Path | None = None
    key_id: str | None = None
    param: str | None = None
    ttl: str = "1h"
    starts_in: str | None = None
    path: str | None = None
    ip: str | None = None
    countries: tuple[str, ...] = ()
    hash_name: str | None = None
    cookies: bool = False
    as_json: bool = False


def _token_for(document: Document, path: str, authority: str) -> tuple[str, Token] | None:
    """Name and settings of the token that the behavior for `path` requires, or None.

    `authority`: that of the URL, which says whose behaviors apply.
    """
    behavior = Matcher(document.behaviors_at(authority), Behavior(path="*")).match(path)
    return None if behavior.token is None else (behavior.token, document.tokens[behavior.token])


def _signing_keys(name: str, token: Token, key: Path | None, key_id: str | None) -> dict[str, str]:
    """The keys to sign with: `key`, else the settings' private key, else the keys that nodes verify with."""
    file: Path | None = key or getattr(token, "signing_key", None)
    if isinstance(token, CloudFront):
        if file is None:
            raise BadUsage(
                f"token.{name} has public keys only, which cannot sign",
                "Name the private key: signing_key in the settings, or --key FILE.",
            )
        return {key_id or next(iter(token.keys)): _text(file)}
    if file is not None:
        return {"": _text(file)}
    try:
        return keys_of(name, token)
    except BadKeyFile as error:
        raise BadUsage(str(error)) from None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError as error:
        raise BadUsage(f"{file}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise BadUsage(f"{file}: not text, wanted a key") from None


def signed(document: Document, url: str, *, expires_at: int) -> str:
    """`url` with the token that its path requires, good until `expires_at` (Unix seconds); `url` as it is without one.

    Where the scheme can, the token is good for everything below the URL's folder: a playlist's children need it too.
    """
    path = urlsplit(url).path or "/"
    required = _token_for(document, path, urlsplit(url).netloc)
    if required is None:
        return url
    name, token = required
    folder = None if token.scheme == "fastly" else path.rpartition("/")[0] + "/*"
    return _sign(name, token, url, Grant(expires_at, path=folder)).url


def _sign(
    name: str, token: Token, url: str, grant: Grant, key: Path | None = None, key_id: str | None = None
) -> SignedResponse:
    """As `sign`, with the keys read from their files. Raises `BadUsage` for what is not a key."""
    try:
        return sign(token, _signing_keys(name, token, key, key_id), url, grant)
    except ValueError as error:
        raise BadUsage(f"the key of token {name}: {error}") from None


def run(url: str, flags: Flags) -> int:
    """Prints the signed URL, or the cookies. Returns the exit status."""
    parts = split_url(url)
    if parts.scheme not in ("http", "https", "") or not parts.path.startswith("/"):
        raise BadUsage(f"found {url!r}, wanted a URL with a path such as http://127.0.0.1:8081/live/multivariant.m3u8")
    now = time.time()
    grant = Grant(
        int(now + seconds("--ttl", flags.ttl)),
        None if flags.starts_in is None else int(now + seconds("--starts-in", flags.starts_in)),
        flags.path, flags.ip, flags.countries, flags.hash_name,
    )  # fmt: skip
    name, token = _by_flags(flags) if flags.scheme is not None else _by_settings(flags, parts.path, parts.netloc)
    made = _sign(name, token, url, grant, flags.key, flags.key_id)
    if flags.as_json:
        shown: dict[str, Any] = {"url": made.url, "expires_at": made.expires_at}
        shown |= {"cookies": made.cookies} if made.cookies else {}
        shown |= {"headers": made.headers} if made.headers else {}
        print(json.dumps(shown))
    elif flags.cookies:
        if not made.cookies:
            raise BadUsage(f"token {name} has no cookie", 'Name one in its settings: cookie = "...".')
        print("; ".join(f"{cookie}={value}" for cookie, value in made.cookies.items()))
    else:
        print(made.url)
    return 0


def _by_settings(flags: Flags, path: str, authority: str) -> tuple[str, Token]:
    document = read(flags.config).document
    if flags.token is not None:
        if flags.token not in document.tokens:
            hint = nearest(flags.token, sorted(document.tokens), keys=False)
            raise BadUsage(f"--token: found {flags.token!r}, wanted the name of a token in {flags.config}. {hint}")
        return flags.token, document.tokens[flags.token]
    required = _token_for(document, path, authority)
    if required is None:
        raise BadUsage(
            f"{path} needs no token: its behavior names none",
            "The URL works as it is; --token NAME signs it anyway.",
        )
    return required


def _by_flags(flags: Flags) -> tuple[str, Token]:
    """The token of a scheme and a key file, without a settings file."""
    scheme = str(flags.scheme)
    if scheme not in SCHEMES:
        hint = nearest(scheme, SCHEMES, keys=False)
        raise BadUsage(f"--scheme: found {scheme!r}, wanted one of {', '.join(SCHEMES)}. {hint}")
    if flags.key is None:
        raise BadUsage(
            "--scheme wants a key: --key FILE", "A key on the command line could be read by every user of the machine."
        )
    values: dict[str, Any] = {"scheme": scheme}
    if scheme == "cloudfront":
        if flags.key_id is None:
            raise BadUsage("--scheme cloudfront wants the key's id: --key-id K2JCJMDEHXQW5F")
        values["keys"] = {flags.key_id: str(flags.key)}
    else:
        values["key_file"] = flags.key
        values |= {} if flags.param is None else {"param": flags.param}
        values |= {"key_id": flags.key_id} if scheme == "cat" and flags.key_id else {}
    try:
        return scheme, TypeAdapter[Token](Token).validate_python(values)
    except ValidationError as error:
        raise BadUsage(f"--scheme {scheme}: {error.errors()[0]['msg']}") from None
