"""What a node shows to viewers who come over TLS: a pair of files, or leaves of the local CA."""

import ssl
from collections.abc import Callable, Iterable

from edge.errors import BadCertificate
from edge.settings import Node
from listening.authority import ALWAYS, Authority, Contexts, may_sign
from listening.certificates import flaw_of, server_context
from listening.folder import authority_folder


def pair_of(node: Node, hosts: Iterable[str], clock: Callable[[], float]) -> tuple[bytes, bytes]:
    """Certificate and key, in PEM, where one is for all hosts: of the local CA for those of these that it may sign for,
    and for this machine's own names."""
    if node.tls == "local":
        own = dict.fromkeys((*filter(may_sign, hosts), *ALWAYS))
        return Authority(authority_folder()).issue(tuple(own), clock())
    return node.tls.certificate.read_bytes(), node.tls.key.read_bytes()


def context_of(node: Node, clock: Callable[[], float]) -> ssl.SSLContext:
    """What `node.listen_tls` speaks with. BadCertificate and BadAuthority say what is wrong with what is there."""
    if node.tls == "local":
        return Contexts(Authority(authority_folder()), clock).context
    flaw = flaw_of(node.tls.certificate, node.tls.key, clock())
    if flaw is not None:
        raise BadCertificate(f"node {node.name}: tls", str(flaw[0]), flaw[1])
    return server_context(node.tls.certificate, node.tls.key)
