"""Certificates that somebody made: a pair of files, read, held against each other, and spoken with."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

ALPN = ["h2", "http/1.1"]
"""What is spoken over TLS, the best first (RFC 7301)."""


def flaw_of(certificate: Path, key: Path, now: float) -> tuple[Path, str] | None:
    """The file that a listener cannot use and why; None: the pair is good at `now` (Unix seconds).

    The certificate file holds its chain behind it, as every server takes it; the key has no passphrase.
    """
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


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """What a listener speaks TLS with: 1.2 and 1.3, HTTP/2 and HTTP/1.1. OSError (SSLError is one): a bad pair."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # HTTP/2 forbids both (RFC 9113 section 9.2.1); they cost servers memory besides.
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(ALPN)
    return context
