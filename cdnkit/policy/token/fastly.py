"""Fastly's signed-URL pattern: `?token=<expiry>_<hex HMAC of path + expiry>`.

This is a pattern from Fastly's VCL tutorials, not a product feature. The hash is HMAC-SHA1 or HMAC-SHA256 over the URL
path followed by the decimal expiry, with a base64 secret as key. `digest.hmac_*` gives the hex (VCL strips its `0x`).
"""

import base64
import binascii
import hmac
import re

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import Refusal
from cdnkit.policy.token.keyed_hash import KeyedHash
from cdnkit.policy.token.scheme import Carriers, ChildToken, Memo, OneToken, TokenFault, refused, split_off, untimely

_TOKEN = re.compile(r"([0-9]{10,11})_([0-9a-fA-F]{40}|[0-9a-fA-F]{64})")


class FastlyToken(OneToken):
    """Signs and checks; holds the secret, so it is never printed."""

    __slots__ = ("_hash", "_keyed", "_leeway", "_memo")

    def __init__(
        self,
        key: str,
        *,
        hash: str = "sha256",
        param: str = "token",
        carriers: Carriers | None = None,
        leeway: float = 0.0,
        expired_status: int = 403,
    ) -> None:
        """`key` is base64; ValueError if it is not, or is empty. `carriers`: where tokens are, if not in `param`."""
        try:
            secret = base64.b64decode(key.strip(), validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError("wanted a shared secret in base64") from error
        if not secret:
            raise ValueError("found an empty one, wanted a shared secret in base64")
        self._hash = hash
        self._keyed = KeyedHash(secret, hash)
        self.param = param
        self.carriers = carriers or Carriers(params=frozenset({param}))
        self._leeway = leeway
        self._expired_status = expired_status
        self._memo: Memo[int] = Memo(self._verify)

    def sign(self, path: str, expires_at: int) -> str:
        """The token for `path` (no query), valid until `expires_at` (Unix seconds)."""
        return f"{expires_at}_{self._digest(path, expires_at)}"

    def _digest(self, path: str, expires_at: int) -> str:
        return self._keyed.hex(f"{path}{expires_at}".encode("latin-1"))

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        """Checks the signature, then the time: a forged expiry must be refused like any other forgery."""
        value = self.carriers.one(request)
        if isinstance(value, Refusal):
            return value
        expires_at = self._memo(self.carriers.path(request), value)
        if isinstance(expires_at, Refusal):
            return expires_at
        return untimely(now, end=expires_at, leeway=self._leeway, expired_status=self._expired_status)

    def good_until(self, request: RequestHead) -> float:
        """A token covers the path and the expiry, and nothing else."""
        if request.query is None or len(split_off(request.query, self.carriers.params)[0]) != 1:
            return 0.0
        value = self.carriers.one(request)
        expires_at = self._memo(self.carriers.path(request), value)
        return 0.0 if isinstance(expires_at, Refusal) else expires_at + self._leeway

    def _verify(self, path: str, value: str) -> int | Refusal:
        match = _TOKEN.fullmatch(value)
        if match is None:
            return refused(
                TokenFault.MALFORMED, f"{len(value)} characters", "<expiry>_<hex>, such as 1767225600_0d40fb..."
            )
        if not hmac.compare_digest(self._digest(path, int(match[1])), match[2].lower()):
            return refused(TokenFault.FORGED, f"one that is not for {path}", f"HMAC-{self._hash} of path and expiry")
        return int(match[1])

    def child_token(self, request: RequestHead) -> ChildToken | None:
        """A token of this kind is for one path, so each child gets a token of its own with the same expiry."""
        value = self.carriers.one(request)
        if isinstance(value, Refusal) or not self.param or _TOKEN.fullmatch(value) is None:
            return None
        expires_at = int(value.partition("_")[0])
        return ChildToken(for_path=lambda path: f"{self.param}={self.sign(path, expires_at)}")
