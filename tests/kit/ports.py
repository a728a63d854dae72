"""A port to listen on that is known before anybody listens on it."""

import socket
from random import SystemRandom

NEVER_LENT = range(20_000, 32_768)
"""Linux lends from 32768 on (ip_local_port_range): such a port, while nobody listens on it, may become the near end of
somebody's connection; of one's own to that very port, even."""


def free_port(host: str = "127.0.0.1") -> int:
    while True:
        port = SystemRandom().choice(NEVER_LENT)
        with socket.socket() as found:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                found.bind((host, port))
            except OSError:
                continue
        return port
