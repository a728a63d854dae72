"""Token keys, read once from where the settings have them, before anything is served; never shown to anybody."""

from pathlib import Path

from cdnkit.policy.rules.service import Service
from cdnkit.policy.rules.tokens import CloudFront, Token
from cdnkit.policy.token import scheme_of
from edge.errors import BadKeyFile


def read_keys(service: Service) -> dict[str, dict[str, str]]:
    """Keys by token name and key id; BadKeyFile for the first that cannot be read or is no key."""
    return {name: keys_of(name, token) for name, token in service.tokens.items()}


def keys_of(name: str, token: Token, folder: Path = Path()) -> dict[str, str]:
    """One token's keys by key id, relative files from `folder`; BadKeyFile says which is bad, and why."""
    keys = token.inline_keys()
    for key_id, file in token.key_files().items():
        where = f"token.{name}.keys.{key_id}" if isinstance(token, CloudFront) else f"token.{name}.key_file"
        try:
            keys[key_id] = (folder / file).read_text(encoding="ascii").strip()
        except OSError as error:
            raise BadKeyFile(where, str(file), error.strerror or str(error)) from error
        except UnicodeDecodeError as error:
            raise BadKeyFile(where, str(file), f"not text: octet {error.start} is not ASCII") from error
    try:
        scheme_of(token, keys)
    except ValueError as error:
        # Never the value itself: it may be a key with a typing error.
        files = ", ".join(map(str, token.key_files().values()))
        raise BadKeyFile(f"token.{name}", files or "key", str(error)) from error
    return keys
