"""A certificate and its key in two files: whether they can be used, and the TLS context made of them.

`cryptography` is imported where it reads one: a listener without TLS starts sooner, and in 10 MB less.
"""

import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ALPN = ["h2", "http/1.1"]
"""Protocols offered over TLS, the preferred first (RFC 7301)."""

TLS_NAMES = "cdnlab.tls_names"
"""ASGI extension of scopes over TLS: the host that the client named at the handshake, "" if none, and the names in the
certificate that it got."""

CLIENT_NAMES = "cdnlab.client_names"
"""ASGI extension of scopes over TLS, where the client has proven a certificate of its own: the names in it."""


def flaw_of(certificate: Path, key: Path, now: float) -> tuple[Path, str] | None:
    """The file that a listener cannot use, and why; None: the pair is good at `now` (Unix seconds).

    The certificate file may hold the chain after the leaf, as every server takes it; the key has no passphrase.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    for file in (certificate, key):
        try:
            file.read_bytes()
        except OSError as error:
            return file, error.strerror or str(error)
    try:
        leaf = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    except ValueError:
        return certificate, "no certificate in PEM"
    try:
        private = load_pem_private_key(key.read_bytes(), None)
    except TypeError:
        return key, "a key with a passphrase"
    except Exception:  # cryptography raises ValueError, and errors of its own for kinds that it does not know
        return key, "no private key in PEM"
    public = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*public) != leaf.public_key().public_bytes(*public):
        return key, f"not the key of {certificate}"
    at = datetime.fromtimestamp(now, UTC)
    if at > leaf.not_valid_after_utc:
        return certificate, f"expired on {leaf.not_valid_after_utc:%Y-%m-%d}"
    if at < leaf.not_valid_before_utc:
        return certificate, f"not valid before {leaf.not_valid_before_utc:%Y-%m-%d}"
    return None


def flaw_of_authorities(file: Path) -> str | None:
    """Why the certificates in a file cannot verify anybody; None: they can."""
    from cryptography import x509

    try:
        x509.load_pem_x509_certificates(file.read_bytes())
    except OSError as error:
        return error.strerror or str(error)
    except ValueError:
        return "no certificate in PEM"
    return None


class ServerContext(ssl.SSLContext):
    """The TLS context of a listener."""

    names: frozenset[str]
    """Names in its certificate: hosts, wildcards, addresses."""


def server_name(connection: ssl.SSLSocket | ssl.SSLObject) -> str:
    """The host that the client named at the handshake (SNI), in lower case; "" if none."""
    return str(getattr(connection, "cdnlab_server_name", ""))


def keep_server_name(connection: ssl.SSLSocket | ssl.SSLObject, host: str | None, _: ssl.SSLContext) -> None:
    """An `sni_callback` for `server_name`: on a server, `ssl` itself does not keep the name that its client sent."""
    connection.cdnlab_server_name = (host or "").lower()  # type: ignore[union-attr]


def names_of(certificate: bytes) -> frozenset[str]:
    """The hosts and addresses that the first certificate in PEM is for."""
    from cryptography import x509

    leaf = x509.load_pem_x509_certificates(certificate)[0]
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()  # today's clients take names from nowhere else
    hosts = [name.lower() for name in names.get_values_for_type(x509.DNSName)]
    return frozenset([*hosts, *(str(address) for address in names.get_values_for_type(x509.IPAddress))])


def client_names(connection: ssl.SSLObject) -> frozenset[str]:
    """The names in the certificate that the client has proven, in lower case; none if it showed none.

    They are those of `subjectAltName` and the common name, which encoders' certificates often have alone.
    """
    shown: Any = connection.getpeercert()
    if not shown:
        return frozenset()
    others = [value for _, value in shown.get("subjectAltName", ())]
    subject = [value for pairs in shown.get("subject", ()) for name, value in pairs if name == "commonName"]
    return frozenset(str(name).lower() for name in (*others, *subject))


def server_context(certificate: Path, key: Path, clients: Path | None = None) -> ServerContext:
    """TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1. OSError (SSLError is one): a bad pair.

    `clients`: the authorities of clients' certificates; a client may show one, and a bad one fails its handshake.
    """
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.names = names_of(certificate.read_bytes())
    context.sni_callback = keep_server_name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # HTTP/2 forbids both (RFC 9113 section 9.2.1); they cost servers memory besides.
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(ALPN)
    if clients is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(clients)
    return context
