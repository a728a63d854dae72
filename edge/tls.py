"""TLS of a node: the certificate for its viewers, from files or from the local CA, and the trust in its parents."""

import ssl
from collections.abc import Callable, Iterable

from cdnkit.serving.certificates import flaw_of, flaw_of_authorities, server_context
from cdnkit.serving.folder import authority_folder
from cdnkit.settings.edge import Node
from edge.errors import BadCertificate


def pair_of(node: Node, hosts: Iterable[str], clock: Callable[[], float]) -> tuple[bytes, bytes]:
    """One certificate for all hosts, and its key, in PEM. From the local CA: for this machine's own names, and for
    those of `hosts` that it may sign for."""
    if node.tls == "local":
        from cdnkit.serving.authority import ALWAYS, Authority, may_sign

        own = dict.fromkeys((*filter(may_sign, hosts), *ALWAYS))
        return Authority(authority_folder()).issue(tuple(own), clock())
    return node.tls.certificate.read_bytes(), node.tls.key.read_bytes()


def context_of(node: Node, clock: Callable[[], float]) -> ssl.SSLContext:
    """The context of `node.listen_tls`. BadCertificate and BadAuthority say what is wrong with the files."""
    if node.tls == "local":
        from cdnkit.serving.authority import Authority, Contexts

        return Contexts(Authority(authority_folder()), clock).context
    flaw = flaw_of(node.tls.certificate, node.tls.key, clock())
    if flaw is not None:
        raise BadCertificate(f"node {node.name}: tls", str(flaw[0]), flaw[1])
    return server_context(node.tls.certificate, node.tls.key)


def trust_of(node: Node) -> ssl.SSLContext | None:
    """The context that verifies parents at https:// URLs; None: the system's authorities alone do.

    BadCertificate and BadAuthority as above.
    """
    if node.parent_ca == "system":
        return None
    file = node.parent_ca
    if file == "local":
        from cdnkit.serving.authority import Authority

        file = Authority(authority_folder()).certificate_file
    flaw = flaw_of_authorities(file)
    if flaw is not None:
        raise BadCertificate(f"node {node.name}: parent_ca", str(file), flaw, "certificates of authorities in PEM")
    context = ssl.create_default_context()
    context.load_verify_locations(file)
    return context
