"""The fields that a Fastly node writes on an upstream request: its client, whether it came over TLS, the nodes on its
way.

Source: "Header reference", the pages CDN-Loop, Fastly-Client, Fastly-Client-IP, Fastly-FF, Fastly-SSL, X-Forwarded-For,
X-Forwarded-Host, X-Forwarded-Server and X-Varnish (2026); the forms of Fastly-Client and X-Varnish as in published
captures of requests. Fastly's edge and shield speak TLS to one another where the origin does; here a node writes how
the request came to the node itself.
"""

from base64 import b64encode
from hashlib import sha256

from cdnkit.policy.http.messages import Headers, Lines
from cdnkit.policy.rules.profile import Hop
from cdnkit.vendors.fastly.names import server_identity

_SERVICE = b64encode(sha256(b"cdnlab").digest()).decode()
"""In place of the salted hash of the service's id: all nodes of a lab belong to one service."""


def hop_fields(hop: Hop) -> Lines:
    """The lines of these fields. Only a request that came over TLS gets X-Forwarded fields, or an entry in them. A
    client's own Fastly-Client-IP and Fastly-SSL are kept."""
    request, headers = hop.request, hop.request.headers
    server, over_tls = server_identity(hop.node), request.scheme == "https"
    mark = f"{_SERVICE}!{hop.node[:3].upper()}!{server}"
    id = int(sha256(hop.request_id.encode()).hexdigest()[:8], 16)
    lines = [
        ("cdn-loop", _with(headers, "cdn-loop", "Fastly")),
        ("fastly-ff", _with(headers, "fastly-ff", mark)),
        ("fastly-client", "1"),
        *(("x-varnish", value) for value in (*headers.all("x-varnish"), str(id))),
    ]
    if request.client_ip and "fastly-client-ip" not in headers:
        lines.append(("fastly-client-ip", request.client_ip))
    if over_tls and "fastly-ssl" not in headers:
        lines.append(("fastly-ssl", "1"))
    # To a shield, the client is the edge.
    client = request.client_ip if hop.faces_viewers else request.peer_ip or request.client_ip
    for name, own in (
        ("x-forwarded-for", client),
        ("x-forwarded-host", request.host.lower()),
        ("x-forwarded-server", server),
    ):
        value = _with(headers, name, own) if over_tls and own else headers.joined(name)
        if value is not None:
            lines.append((name, value))
    return lines


def _with(headers: Headers, name: str, own: str) -> str:
    """The field's list with our entry at its end."""
    before = headers.joined(name)
    return f"{before}, {own}" if before else own
