"""Akamai EdgeAuth 2.0: `st=..~exp=..~acl=/live/*~hmac=<hex>`, an HMAC over the fields that stand before it.

A token is for ACLs (`acl=`, globs joined by `!`) or for one URL, whose path is signed but is not in the token.
Source: `EdgeAuth-Token-Python`. The signer chooses the order of the fields; the signature covers them in that order.
"""

import binascii
import hmac
import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_network
from urllib.parse import quote_plus, unquote, unquote_plus

from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.outcomes import Refusal
from cdnkit.policy.rules.globs import glob
from cdnkit.policy.token.keyed_hash import KeyedHash
from cdnkit.policy.token.scheme import Carriers, Memo, OneToken, TokenFault, refused, split_off, untimely, within

FIELDS = ("ip", "st", "exp", "acl", "id", "data", "hmac")
"""In the signer's order. A token with any other field is refused, since it may demand a check that is unknown here."""

_EPOCH = re.compile(r"[0-9]{1,11}")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a verified token allows."""

    expires_at: int
    starts_at: int | None
    address: str | None
    """The only client address that may use it."""
    acls: tuple[str, ...]
    """Globs on the path; empty: the signature covers one path."""

    def covers(self, path: str) -> bool:
        """Whether the path matches one of the globs, if there are any."""
        for acl in self.acls:  # runs for every request; faster than any()
            if matches(acl, path):
                return True
        return not self.acls


class AkamaiToken(OneToken):
    """Signs and checks; holds the key, so it is never printed."""

    __slots__ = ("_hash", "_keyed", "_leeway", "_memo", "_salt", "escape_early")

    def __init__(
        self,
        key: str,
        *,
        hash: str = "sha256",
        salt: str = "",
        param: str = "__token__",
        carriers: Carriers | None = None,
        escape_early: bool = False,
        leeway: float = 0.0,
        expired_status: int = 403,
    ) -> None:
        """`key` is hexadecimal, an even number of digits; ValueError when it is not, or is empty."""
        try:
            secret = binascii.a2b_hex(key.strip())
        except (binascii.Error, ValueError) as error:
            raise ValueError("wanted a key in hexadecimal, an even number of digits") from error
        if not secret:
            raise ValueError("found an empty one, wanted a key in hexadecimal")
        self._hash, self._keyed, self._salt = hash, KeyedHash(secret, hash), salt
        self.param, self.escape_early = param, escape_early
        self.carriers = carriers or Carriers(params=frozenset({param}))
        self._leeway, self._expired_status = leeway, expired_status
        self._memo: Memo[Grant] = Memo(self._verify)

    def sign(
        self,
        *,
        expires_at: int,
        acls: tuple[str, ...] = (),
        url: str = "",
        starts_at: int | None = None,
        ip: str = "",
        session_id: str = "",
        payload: str = "",
    ) -> str:
        """A token for `acls` (globs on the path), or for the one path `url`. Times in Unix seconds."""
        fields = [f"ip={self._escaped(ip)}"] if ip else []
        fields += [] if starts_at is None else [f"st={starts_at}"]
        fields.append(f"exp={expires_at}")
        fields += [f"acl={'!'.join(acls)}"] if acls else []
        fields += [f"id={self._escaped(session_id)}"] if session_id else []
        fields += [f"data={self._escaped(payload)}"] if payload else []
        text = "~".join(fields)
        return f"{text}~hmac={self._digest(text, '' if acls else url)}"

    def _digest(self, text: str, url: str) -> str:
        source = f"{text}~url={self._escaped(url)}" if url else text
        source += f"~salt={self._salt}" if self._salt else ""
        return self._keyed.hex(source.encode())

    def _escaped(self, text: str) -> str:
        return re.sub(r"%..", lambda m: m[0].lower(), quote_plus(text)) if self.escape_early else text

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        value = self.carriers.one(request)
        if isinstance(value, Refusal):
            return value
        path = self.carriers.path(request)
        # Only the signature of a URL token covers the path: an ACL token is verified once for all paths.
        grant = self._memo(value, "" if "~acl=" in value or value.startswith("acl=") else path)
        if isinstance(grant, Refusal) and "%" in value:
            # A client may have percent-encoded the token in its query.
            decoded = unquote(value)
            grant = self._memo(decoded, "" if "~acl=" in decoded or decoded.startswith("acl=") else path)
        if isinstance(grant, Refusal):
            return grant
        if not grant.covers(path):
            return refused(TokenFault.PATH, path, " or ".join(grant.acls))
        late = untimely(
            now, end=grant.expires_at, start=grant.starts_at, leeway=self._leeway, expired_status=self._expired_status
        )
        if late is None and grant.address is not None and not within(request.client_ip, (ip_network(grant.address),)):
            return refused(TokenFault.ADDRESS, request.client_ip or "no address", grant.address)
        return late

    def good_until(self, request: RequestHead) -> float:
        if request.query is None or len(split_off(request.query, self.carriers.params)[0]) != 1:
            return 0.0
        value = self.carriers.one(request)
        if isinstance(value, Refusal):
            return 0.0
        path = self.carriers.path(request)
        grant = self._memo(value, "" if "~acl=" in value or value.startswith("acl=") else path)
        if isinstance(grant, Refusal) or grant.address is not None:
            return 0.0
        return grant.expires_at + self._leeway

    def _verify(self, value: str, path: str) -> Grant | Refusal:
        text, mark, digest = value.rpartition("~hmac=")
        if not mark:
            return refused(TokenFault.MALFORMED, "no hmac at the end", "fields joined by ~, the last of them hmac")
        pairs = [field.partition("=")[::2] for field in text.split("~")]
        fields = dict(pairs)
        if len(fields) != len(pairs) or not set(fields) <= set(FIELDS):
            return refused(
                TokenFault.MALFORMED, f"fields {', '.join(name for name, _ in pairs)}", "each known one once"
            )
        expected = self._digest(text, "" if "acl" in fields else path)
        if not hmac.compare_digest(expected.encode(), digest.lower().encode("latin-1", "replace")):
            return refused(TokenFault.FORGED, "an hmac of something else", f"HMAC-{self._hash} of the fields before it")
        times = [fields.get("exp"), fields.get("st", "0")]
        if any(at is None or _EPOCH.fullmatch(at) is None for at in times):
            return refused(TokenFault.MALFORMED, f"exp {fields.get('exp')}, st {fields.get('st')}", "Unix seconds")
        address = unquote_plus(fields["ip"]) if "ip" in fields else None
        if address is not None:
            try:
                ip_network(address)
            except ValueError:
                return refused(TokenFault.MALFORMED, f"ip {address}", "an IP address")
        starts_at = int(fields["st"]) if "st" in fields else None
        acls = tuple(fields["acl"].split("!")) if "acl" in fields else ()
        return Grant(int(fields["exp"]), starts_at, address, acls)


@lru_cache(maxsize=4096)
def _glob(acl: str) -> re.Pattern[str]:
    return glob(acl)


def matches(acl: str, path: str) -> bool:
    """Whether an ACL covers a path: `*` is any characters, also `/`; `?` is one."""
    return _glob(acl).match(path) is not None
