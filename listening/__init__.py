"""Sockets and servers: how every program of ours listens. A leaf that knows nothing of what is served."""

from listening.certificates import SHOWN
from listening.guard import Guarded, HostName, guard_of
from listening.inbox import EMPTY_QUERY, INTERIM
from listening.limits import Limits
from listening.listener import GRACE_S, Listener, PortInUse, bind, bind_udp, url_of
from listening.patience import Left, Stalled

__all__ = [
    "EMPTY_QUERY",
    "GRACE_S",
    "INTERIM",
    "SHOWN",
    "Guarded",
    "HostName",
    "Left",
    "Limits",
    "Listener",
    "PortInUse",
    "Stalled",
    "bind",
    "bind_udp",
    "guard_of",
    "url_of",
]
