"""Sockets and servers: how every program of ours listens. A leaf that knows nothing of what is served."""

from cdnkit.serving.certificates import SHOWN
from cdnkit.serving.guard import Guarded, HostName, guard_of
from cdnkit.serving.inbox import EMPTY_QUERY, INTERIM
from cdnkit.serving.limits import Limits
from cdnkit.serving.listener import GRACE_S, Listener, PortInUse, bind, bind_udp, url_of
from cdnkit.serving.patience import Left, Stalled

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
