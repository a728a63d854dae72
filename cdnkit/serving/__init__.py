"""Sockets and servers: how every program of ours listens. It knows nothing of what is served."""

from cdnkit.serving.asgi_frames import ASIDE
from cdnkit.serving.certificates import CLIENT_NAMES, TLS_NAMES
from cdnkit.serving.exchange import status_line
from cdnkit.serving.front_roles import Client, Later, Outlet, Whole
from cdnkit.serving.guard import Guarded, HostName, guard_of
from cdnkit.serving.heads import Fields
from cdnkit.serving.hpack import field_block, status_block
from cdnkit.serving.inbox import EMPTY_QUERY, GONE, INTERIM
from cdnkit.serving.limits import ListenerLimits
from cdnkit.serving.listener import GRACE_S, Listener, PortInUse, bind, bind_several, bind_udp, url_of
from cdnkit.serving.patience import Left, Stalled

__all__ = [
    "ASIDE",
    "CLIENT_NAMES",
    "EMPTY_QUERY",
    "GONE",
    "GRACE_S",
    "INTERIM",
    "TLS_NAMES",
    "Client",
    "Fields",
    "Guarded",
    "HostName",
    "Later",
    "Left",
    "Listener",
    "ListenerLimits",
    "Outlet",
    "PortInUse",
    "Stalled",
    "Whole",
    "bind",
    "bind_several",
    "bind_udp",
    "field_block",
    "guard_of",
    "status_block",
    "status_line",
    "url_of",
]
