"""Fastly's signed-URL pattern: `?token=<expiry>_<hex HMAC of path + expiry>`.

A pattern of its VCL tutorials, not a product feature: the hash is HMAC-SHA1 or HMAC-SHA256 over the URL path followed
by the decimal expiry, keyed with a base64 secret; `digest.hmac_*` yields the hex (its `0x` is stripped in VCL).
"""

import base64
import binascii
import hmac
import re
from enum import Enum

_TOKEN = re.compile(r"([0-9]{10,11})_([0-9a-fA-F]{40}|[0-9a-fA-F]{64})")


class Verdict(Enum):
    """What a token check found; the value is the word viewers and records see."""

    GOOD = "good"
    MISSING = "missing"
    MALFORMED = "malformed"
    FORGED = "signature does not match"
    EXPIRED = "expired"


class FastlyToken:
    """Signs and checks; holds the secret, so it is never printed."""

    __slots__ = ("_hash", "_secret", "param")

    def __init__(self, key: str, *, hash: str = "sha256", param: str = "token") -> None:
        """`key` is base64; ValueError when it is not, or is empty."""
        try:
            self._secret = base64.b64decode(key.strip(), validate=True)
        except binascii.Error as error:
            raise ValueError("wanted a base64 secret") from error
        if not self._secret:
            raise ValueError("wanted a base64 secret, found an empty one")
        self._hash = hash
        self.param = param

    def sign(self, path: str, expires_at: int) -> str:
        """The token for `path` (no query), good until `expires_at` (Unix seconds)."""
        digest = hmac.digest(self._secret, f"{path}{expires_at}".encode("latin-1"), self._hash)
        return f"{expires_at}_{digest.hex()}"

    def check(self, path: str, query: str | None, now: float) -> Verdict:
        """The signature first, then the time: a forged expiry must not be told from a forged anything else."""
        value = parameter(query, self.param)
        if value is None:
            return Verdict.MISSING
        match = _TOKEN.fullmatch(value)
        if match is None:
            return Verdict.MALFORMED
        if not hmac.compare_digest(self.sign(path, int(match[1])).partition("_")[2], match[2].lower()):
            return Verdict.FORGED
        return Verdict.GOOD if now < int(match[1]) else Verdict.EXPIRED


def parameter(query: str | None, name: str) -> str | None:
    """The first value of a query parameter, as it stands."""
    for part in (query or "").split("&"):
        found, _, value = part.partition("=")
        if found == name:
            return value
    return None
