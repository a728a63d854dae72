"""Client certificates that no authority of ours has signed: the log names them. Nothing else would.

TLS ends at the handshake, so there is no request, and the event loop says nothing of a handshake that fails.
"""

import logging
import ssl
from collections.abc import Callable

from origin.ingest.failed_attempts import FailedAttempts

log = logging.getLogger("origin")


def name_strangers(context: ssl.SSLContext, clock: Callable[[], float]) -> None:
    """Logs what this context refuses, as rarely as other failed attempts."""
    attempts = FailedAttempts()

    class Handshake(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except ssl.SSLCertVerificationError as error:
                # Whose connection it is, TLS does not know: all are one source.
                if (more := attempts.on_attempt("", 0, clock())) is not None:
                    found = f"found a client certificate that cannot be verified ({error.verify_message})"
                    log.warning("ingest: %s, wanted one that ingest_client_ca's authorities have signed%s", found, more)
                raise

    context.sslobject_class = Handshake
