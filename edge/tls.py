"""TLS of a node: what it shows viewers, a pair of files or leaves of the local CA; and who vouches for its parents."""

import ssl
from collections.abc import Callable, Iterable

from cdnkit.serving.authority import ALWAYS, Authority, Contexts, may_sign
from cdnkit.serving.certificates import flaw_of, flaw_of_authorities, server_context
from cdnkit.serving.folder import authority_folder
from cdnkit.settings.edge import Node
from edge.errors import BadCertificate


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


def trust_of(node: Node) -> ssl.SSLContext | None:
    """By which parents at https:// URLs are verified; None: by the system's authorities alone.

    BadCertificate and BadAuthority as above.
    """
    if node.parent_ca == "system":
        return None
    file = Authority(authority_folder()).certificate_file if node.parent_ca == "local" else node.parent_ca
    flaw = flaw_of_authorities(file)
    if flaw is not None:
        raise BadCertificate(f"node {node.name}: parent_ca", str(file), flaw, "certificates of authorities in PEM")
    context = ssl.create_default_context()
    context.load_verify_locations(file)
    return context
