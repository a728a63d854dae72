"""The local certificate authority: one key in the user's folder, and a leaf for each host that clients name.

Its name constraints (RFC 5280 §4.2.1.10) allow reserved names and loopback addresses alone: a thief of its key gains
nothing beyond the lab. A leaf is made when a client first names its host (SNI), and renewed in the last third of its
life.
"""

import os
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

from cachetools import LRUCache
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cdnkit.serving.certificates import ServerContext, keep_server_name, server_context, server_name

NAMES = ("localhost", "test", "example", "example.com", "example.net", "example.org")
"""These names and all beneath them are reserved: they belong to nobody (RFC 2606, RFC 6761)."""
NETWORKS = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
ALWAYS = ("localhost", "127.0.0.1", "::1")
"""Names in every leaf, beside the host it is made for. A client that names no host gets a leaf with these alone."""
YEARS = 5
LEAF_DAYS = 30
CONTEXTS = 256
"""At most this many leaves are remembered, one a host."""


@dataclass
class BadAuthority(Exception):
    """The local CA is not there, or cannot be used."""

    where: str
    why: str
    hint: str = "`cdnlab ca` makes one."

    exit_status = 2

    def __str__(self) -> str:
        return f"{self.where}: {self.why}. {self.hint}".rstrip()


@dataclass
class NotOurs(Exception):
    """A host that the local CA may not sign for."""

    host: str

    exit_status = 2

    def __str__(self) -> str:
        names = ", ".join(NAMES)
        return (
            f"{self.host!r}: wanted {names}, a name beneath one of them, or an address in 127.0.0.0/8 or ::1. The "
            "local CA is held to these; another host wants a certificate of its own."
        )


def may_sign(host: str) -> bool:
    """Whether the constraints let the local CA sign for a host name or an address."""
    try:
        return any(ip_address(host) in network for network in NETWORKS)
    except ValueError:
        labels = host.split(".")
        plain = all(label and len(label) < 64 and label.replace("-", "").isalnum() for label in labels)
        return plain and host.isascii() and any(host == name or host.endswith(f".{name}") for name in NAMES)


class Authority:
    """The CA in a folder: `ca.pem` for everybody, `ca-key.pem` for nobody else."""

    def __init__(self, folder: Path) -> None:
        """BadAuthority where there is none that can be used."""
        self.folder = folder
        self.certificate_file, self.key_file = files_in(folder)
        try:
            self._certificate = x509.load_pem_x509_certificate(self.certificate_file.read_bytes())
            key = load_pem_private_key(self.key_file.read_bytes(), None)
        except FileNotFoundError as error:
            raise BadAuthority(str(error.filename), "there is no local CA") from error
        except OSError as error:
            raise BadAuthority(str(error.filename), error.strerror or str(error), "") from error
        except (ValueError, TypeError) as error:
            raise BadAuthority(
                str(folder), "found no CA of cdnlab's there", "`cdnlab ca --remove` and `cdnlab ca` make a new one."
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != self._certificate.public_key():
            raise BadAuthority(
                str(folder), "key and certificate do not match", "`cdnlab ca --remove` and `cdnlab ca` make a new one."
            )
        self._key = key
        self.expires_at = self._certificate.not_valid_after_utc.timestamp()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, as browsers and `openssl x509 -fingerprint` show it."""
        return self._certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    def issue(self, hosts: Sequence[str], now: float) -> tuple[bytes, bytes]:
        """A leaf for these hosts and its key, both in PEM, good from an hour before `now`. NotOurs names a bad host."""
        for host in hosts:
            if not may_sign(host):
                raise NotOurs(host)
        key = ec.generate_private_key(ec.SECP256R1())
        at = datetime.fromtimestamp(now, UTC)
        until = min(at + timedelta(days=LEAF_DAYS), self._certificate.not_valid_after_utc)
        if until <= at:
            raise BadAuthority(
                str(self.certificate_file), f"expired on {until:%Y-%m-%d}", "`cdnlab ca --remove`, then `cdnlab ca`."
            )
        issuer = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        leaf = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "cdnlab")]))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(at - timedelta(hours=1))
            .not_valid_after(until)
            .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return leaf.public_bytes(Encoding.PEM), _pem(key)


class Contexts:
    """TLS contexts signed by the local CA: one for each host that clients name."""

    def __init__(self, authority: Authority, clock: Callable[[], float], clients: Path | None = None) -> None:
        """`clock`: Unix seconds. `clients`: as for `server_context`."""
        self._authority = authority
        self._clock = clock
        self._clients = clients
        self._made: LRUCache[str, tuple[float, ServerContext]] = LRUCache(CONTEXTS)
        self.context = self._context_of("")
        self.context.sni_callback = self._on_server_name

    def _on_server_name(self, connection: ssl.SSLSocket | ssl.SSLObject, host: str | None, _: ssl.SSLContext) -> None:
        """A client has named its host, or none. For a host that the CA may not sign, it gets the leaf of `ALWAYS`."""
        keep_server_name(connection, host, self.context)
        host = server_name(connection)
        connection.context = self._context_of(host if may_sign(host) else "")

    def _context_of(self, host: str) -> ServerContext:
        now = self._clock()
        renew_at, context = self._made.get(host, (now, None))
        if context is None or now >= renew_at:
            hosts = dict.fromkeys((host, *ALWAYS)) if host else ALWAYS
            context = _context(*self._authority.issue(tuple(hosts), now), self._clients)
            self._made[host] = now + LEAF_DAYS * 86_400 * 2 / 3, context
        return context


def _context(certificate: bytes, key: bytes, clients: Path | None) -> ServerContext:
    # `ssl` reads certificates from files alone: these two are deleted once it has.
    with TemporaryDirectory(prefix="cdnlab-leaf-") as folder:
        files = Path(folder, "leaf.pem"), Path(folder, "leaf-key.pem")
        for file, pem in zip(files, (certificate, key), strict=True):
            write_new(file, pem, secret=True)
        return server_context(*files, clients)


def make(folder: Path, now: float) -> Authority:
    """A new CA in a folder that only its owner may read. FileExistsError: there is a CA in it already."""
    key = ec.generate_private_key(ec.SECP256R1())
    at = datetime.fromtimestamp(now, UTC)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "cdnlab"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"cdnlab local CA {at:%Y-%m-%d}"),
        ]
    )
    subtrees: list[x509.GeneralName] = [x509.DNSName(one) for one in NAMES]
    subtrees += [x509.IPAddress(one) for one in NETWORKS]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(hours=1))
        .not_valid_after(at + timedelta(days=365 * YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.NameConstraints(subtrees, None), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = files_in(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_new(key_file, _pem(key), secret=True)
    write_new(certificate_file, certificate.public_bytes(Encoding.PEM))
    return Authority(folder)


def files_in(folder: Path) -> tuple[Path, Path]:
    """Certificate and key of the CA in a folder."""
    return folder / "ca.pem", folder / "ca-key.pem"


def write_new(file: Path, content: bytes, *, secret: bool = False) -> None:
    """Write a new file; FileExistsError if it exists. `secret`: only its owner may read it, from the first byte on."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644), "wb") as out:
        out.write(content)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
