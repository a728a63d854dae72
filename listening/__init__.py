"""Sockets and servers: how every program of ours listens. A leaf that knows nothing of what is served."""

from listening.listener import GRACE_S, INTERIM, Listener, PortInUse, bind, url_of

__all__ = ["GRACE_S", "INTERIM", "Listener", "PortInUse", "bind", "url_of"]
