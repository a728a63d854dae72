"""TLS of the ingest listener: its own certificate, and the authorities of its encoders' certificates."""

import ssl
from collections.abc import Callable

from cdnkit.serving.authority import Authority, Contexts
from cdnkit.serving.certificates import flaw_of, flaw_of_authorities, server_context
from cdnkit.serving.folder import authority_folder
from cdnkit.settings.encoder_secrets import BadCredentials
from cdnkit.settings.origin import Origin


def context_of(settings: Origin, clock: Callable[[], float]) -> ssl.SSLContext | None:
    """The context of `ingest`; None: it speaks HTTP. `BadCredentials` and `BadAuthority` say what is wrong."""
    tls, clients = settings.ingest_tls, settings.ingest_client_ca
    if tls is None:
        return None
    if clients is not None and (flaw := flaw_of_authorities(clients)) is not None:
        raise BadCredentials("ingest_client_ca", f"{str(clients)!r} ({flaw})", "certificates of authorities in PEM")
    if tls == "local":
        return Contexts(Authority(authority_folder()), clock, clients).context
    if (bad := flaw_of(tls.certificate, tls.key, clock())) is not None:
        wanted = "a certificate that is valid today, and its key"
        raise BadCredentials("ingest_tls", f"{str(bad[0])!r} ({bad[1]})", wanted)
    return server_context(tls.certificate, tls.key, clients)
