"""Who may publish what: the credentials of a request against those of the encoders that the settings name.

| the request has                                              | then                                                |
|--------------------------------------------------------------|-----------------------------------------------------|
| no credentials                                               | 401 (403 where only certificates count)             |
| an `Authorization` that is no known encoder's, or two of them| 401                                                 |
| credentials of an encoder, for a stream that is not its own  | 403                                                 |
| the same, for what concerns every stream                     | 403, unless the encoder has the stream "*"          |
| credentials of an encoder, for a stream of its own           | it is let in                                        |

Basic is RFC 7617, bearer tokens are RFC 6750 §2.1; a client certificate is proven by TLS before its names come here.
Every known credential is compared, each in constant time: neither a secret nor a name shows in how long that takes.
"""

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256

from cdnkit.settings.encoder_secrets import secrets_of
from cdnkit.settings.ingest import Encoder
from origin.errors import printable

REALM = "cdnlab ingest"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not let in."""

    status: int
    text: str
    is_wrong: bool = True
    """It brought credentials, and they are no encoder's; False: it brought none, or may not do this."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one encoder proves its identity with; secrets as digests."""

    name: str
    basic: bytes | None
    bearer: bytes | None
    certificate: str | None
    streams: tuple[str, ...]

    def may_publish(self, stream: str | None) -> bool:
        """Whether the stream is one of its own; None: what concerns every stream."""
        if stream is None:
            return "*" in self.streams
        return any(fnmatchcase(stream, one) for one in self.streams)


class Encoders:
    """The encoders of one origin."""

    def __init__(self, known: Iterable[Credentials]) -> None:
        self._known = tuple(known)

    @property
    def challenges(self) -> tuple[str, ...]:
        """The values of `WWW-Authenticate`, a line each: not every client can read two in one."""
        basic = any(one.basic is not None for one in self._known)
        bearer = any(one.bearer is not None for one in self._known)
        return (f'Basic realm="{REALM}", charset="UTF-8"',) * basic + (f'Bearer realm="{REALM}"',) * bearer

    def refusal(self, authorization: Sequence[bytes], names: frozenset[str], stream: str | None) -> Refusal | None:
        """Why a request is not let in; None: it is.

        `authorization` has the values of that field, `names` those in a proven client certificate, in lower case;
        `stream` None: it concerns every stream.
        """
        proven = self._proven_by(authorization, names)
        if not proven:
            return self._unknown(authorization, names)
        if any(one.may_publish(stream) for one in proven):
            return None
        who = ", ".join(one.name for one in proven)
        if stream is None:
            return Refusal(403, f'found the encoder {who}, wanted one whose streams are all, "*"', is_wrong=False)
        own = ", ".join(name for one in proven for name in one.streams)
        return Refusal(
            403, f"{printable(stream, 64)}: found the encoder {who}, wanted one of its streams ({own})", is_wrong=False
        )

    def _proven_by(self, authorization: Sequence[bytes], names: frozenset[str]) -> list[Credentials]:
        if not authorization:
            return [one for one in self._known if one.certificate is not None and one.certificate in names]
        scheme, _, given = authorization[0].strip().partition(b" ")
        kind, given = scheme.lower(), given.strip()
        digest = sha256(_decoded(given) if kind == b"basic" else given).digest()
        kept = {b"basic": [one.basic for one in self._known], b"bearer": [one.bearer for one in self._known]}.get(
            kind, []
        )
        same = [hmac.compare_digest(digest, one or bytes(32)) for one in kept]
        found = [one for one, is_same in zip(self._known, same, strict=False) if is_same]
        return found if len(authorization) == 1 else []

    def _unknown(self, authorization: Sequence[bytes], names: frozenset[str]) -> Refusal:
        ways = {
            "Basic credentials": any(one.basic for one in self._known),
            "a bearer token": any(one.bearer for one in self._known),
            "a client certificate": any(one.certificate for one in self._known),
        }
        wanted = " or ".join(way for way, is_known in ways.items() if is_known)
        status = 401 if self.challenges else 403
        if len(authorization) > 1:
            return Refusal(status, f"Authorization: found {len(authorization)} of them, wanted one")
        if authorization:
            return Refusal(status, f"Authorization: found credentials that are no encoder's, wanted {wanted}")
        if names:
            return Refusal(status, f"found a client certificate of no encoder's name, wanted {wanted}")
        return Refusal(status, f"Authorization: found none, wanted {wanted}", is_wrong=False)


def _decoded(given: bytes) -> bytes:
    """User and password; what cannot be decoded is nobody's."""
    try:
        return base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        return b""


def encoders_of(settings: Mapping[str, Encoder]) -> Encoders:
    """The encoders that the settings name. `BadCredentials`: a file cannot be read, or holds no secret."""
    return Encoders(_credentials(name, encoder) for name, encoder in settings.items())


def _credentials(name: str, encoder: Encoder) -> Credentials:
    secrets = dict(secrets_of(name, encoder))
    password, token = secrets.get("password"), secrets.get("token")
    return Credentials(
        name=name,
        basic=None if password is None else sha256(f"{name}:{password}".encode()).digest(),
        bearer=None if token is None else sha256(token.encode()).digest(),
        certificate=None if encoder.certificate is None else encoder.certificate.lower(),
        streams=encoder.streams,
    )
