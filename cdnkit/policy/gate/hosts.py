"""Which service a host belongs to, and how a request for any other host is refused.

A name is exact, or a wildcard: `*.example.com` matches all names below `example.com`, at any depth. The exact name
wins, then the longest wildcard. Case and port do not count (RFC 9110 §4.2.3, §7.2).

Source: CloudFront, "Alternate domain names": a wildcard covers all subdomains, and the more specific name wins.
"""

from collections.abc import Collection, Mapping
from typing import Annotated

from pydantic import AfterValidator

from cdnkit.policy.gate.check import Check, Reads
from cdnkit.policy.http.messages import RequestHead, without_port
from cdnkit.policy.http.place import address_of
from cdnkit.policy.http.target import names_host
from cdnkit.policy.outcomes import Refusal, RefusalKind
from cdnkit.policy.rules.profile import FailureResponse

DEFAULT = "default"
"""The name of the service at the top level of the settings."""


def host_of(authority: str) -> str:
    """The host as it is compared: in lower case, without port and final dot."""
    return without_port(authority).lower().removesuffix(".")


def _hostname(text: str) -> str:
    labels = text.removeprefix("*.").split(".")
    letters = all(label and label.isascii() and label.replace("-", "").replace("_", "").isalnum() for label in labels)
    if not (letters or text.startswith("[")) or text != text.lower() or len(text) > 253:
        raise ValueError('wanted a host such as "img.example.com" or "*.example.com", in lower case and without a port')
    return text


Hostname = Annotated[str, AfterValidator(_hostname)]
"""A host of viewers' requests, or `*.` and the end of all such hosts."""


class Hosts:
    """Services by the hosts that they serve."""

    def __init__(self, names: Mapping[str, Collection[str]]) -> None:
        """`names`: each service's hosts. If `DEFAULT` has none, it serves all hosts that no other service has."""
        self._services = {host: service for service, hosts in names.items() for host in hosts}
        self._names = tuple(names)
        self._takes_all = not names.get(DEFAULT)

    def named(self, authority: str) -> str | None:
        """The service that has this host among its names; None: no service has it."""
        host = host_of(authority)
        if host in self._services:
            return self._services[host]
        while "." in host:
            host = host.partition(".")[2]
            if (service := self._services.get(f"*.{host}")) is not None:
                return service
        return None

    def service_of(self, authority: str) -> str | None:
        """The service that serves this host; None: none does."""
        return self.named(authority) or (DEFAULT if self._takes_all else None)

    def concerned(self, authority: str) -> Collection[str]:
        """The services that a purge of a URL with this host may mean: in doubt, more rather than fewer.

        An address is the node's own, and may mean any of its services.
        """
        service = self.named(authority)
        if service is not None:
            return (service,)
        is_own = host_of(authority) == "localhost" or address_of(host_of(authority).strip("[]")) is not None
        return self._names if self._takes_all or is_own else ()


class HostCheck(Check):
    """A Host that names no host (RFC 9112 §3.2), or one that is not served here (`RequestHead.misdirected`)."""

    __slots__ = ()
    name = "host"
    kind = RefusalKind.HOST
    reads = Reads.CLIENT

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        if not names_host(request.host):
            return Refusal(self.kind, 400, "request: Host names no host")
        return request.misdirected


def misdirected(authority: str, opened_for: str, shown: Collection[str]) -> Refusal | None:
    """The refusal of a request over TLS for a host that its connection is not for; None: it is for this host.

    `opened_for`: the host that the client named in the handshake, "" if none; `shown`: the names in the certificate
    that it got. A connection may be used for every host of its certificate (RFC 9110 §15.5.20, RFC 9113 §9.1.1).
    CloudFront and Fastly, too, respond to others with 421 ("domain fronting").
    """
    host = host_of(authority)
    if not (opened_for and host) or host == opened_for.lower() or covered(host, shown):
        return None
    return Refusal(RefusalKind.HOST, 421, f"host: this connection is for {opened_for}")


def covered(host: str, names: Collection[str]) -> bool:
    """Whether a certificate with these names covers the host: a wildcard stands for one label (RFC 6125 §6.4.3)."""
    return host.strip("[]") in names or f"*.{host.partition('.')[2]}" in names


def unknown(authority: str, response: FailureResponse) -> Refusal:
    """The refusal of a request for a host that no service has; `response`: the profile's."""
    host = host_of(authority)
    reason = f"host: no service here has {host!r}"
    return Refusal(RefusalKind.HOST, response.status, reason, words=response.words.format(host=host))


SERVICE = "cdnlab-service"
"""The field in which an edge names the service to its shield: the edge sends requests to the shield's own address,
whatever the viewer's host is."""
