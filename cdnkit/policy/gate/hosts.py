"""Which service a host belongs to, and how a request for another host is refused: several names on one address.

A name is exact, or `*.example.com` for all names beneath that one, however deep; the exact name, then the longest
wildcard, wins. Case and port are of no account (RFC 9110 §4.2.3, §7.2).

Source: CloudFront, "Alternate domain names": a wildcard stands for all subdomains, and the more specific name wins.
"""

from collections.abc import Collection, Mapping
from typing import Annotated

from pydantic import AfterValidator

from cdnkit.policy.gate.check import Check
from cdnkit.policy.http.messages import RequestHead, without_port
from cdnkit.policy.http.place import address_of
from cdnkit.policy.http.target import names_host
from cdnkit.policy.outcomes import Refusal, RefusalKind
from cdnkit.policy.rules.profile import FailureResponse

DEFAULT = "default"
"""The name of the service that the settings' top level describes."""


def host_of(authority: str) -> str:
    """The host as names are compared: in lower case, without port and final dot."""
    return without_port(authority).lower().removesuffix(".")


def _hostname(text: str) -> str:
    labels = text.removeprefix("*.").split(".")
    letters = all(label and label.isascii() and label.replace("-", "").replace("_", "").isalnum() for label in labels)
    if not (letters or text.startswith("[")) or text != text.lower() or len(text) > 253:
        raise ValueError('wanted a host such as "img.example.com" or "*.example.com", in lower case and without a port')
    return text


Hostname = Annotated[str, AfterValidator(_hostname)]
"""A host that viewers ask for, or `*.` and what all of them end in."""


class Hosts:
    """Services by the hosts that they answer for."""

    def __init__(self, names: Mapping[str, Collection[str]]) -> None:
        """`names`: each service's hosts. Without any for `DEFAULT`, that takes what is nobody else's."""
        self._services = {host: service for service, hosts in names.items() for host in hosts}
        self._names = tuple(names)
        self._takes_all = not names.get(DEFAULT)

    def named(self, authority: str) -> str | None:
        """The service that has this host by name; None: no service has."""
        host = host_of(authority)
        if host in self._services:
            return self._services[host]
        while "." in host:
            host = host.partition(".")[2]
            if (service := self._services.get(f"*.{host}")) is not None:
                return service
        return None

    def service_of(self, authority: str) -> str | None:
        """The service that answers for this host; None: nobody does here."""
        return self.named(authority) or (DEFAULT if self._takes_all else None)

    def concerned(self, authority: str) -> Collection[str]:
        """The services that a purge of a URL with this host may have meant: rather too many than too few.

        An address is a node's own, by which every service of it may have been meant.
        """
        service = self.named(authority)
        if service is not None:
            return (service,)
        is_own = host_of(authority) == "localhost" or address_of(host_of(authority).strip("[]")) is not None
        return self._names if self._takes_all or is_own else ()


class HostCheck(Check):
    """A Host that names none (RFC 9112 §3.2), or one that is not served here (`RequestHead.astray`)."""

    __slots__ = ()
    name = "host"
    kind = RefusalKind.HOST

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        if not names_host(request.host):
            return Refusal(self.kind, 400, "request: Host names no host")
        return request.astray


def misdirected(authority: str, asked_for: str, shown: Collection[str]) -> Refusal | None:
    """Why a request over TLS is refused whose host this connection was not opened for; None: it was.

    `asked_for`: the host that the client named at the handshake, "" if none; `shown`: names of the certificate that it
    got. A connection may be used for every host of its certificate (RFC 9110 §15.5.20, RFC 9113 §9.1.1); CloudFront and
    Fastly answer others with 421, too ("domain fronting").
    """
    host = host_of(authority)
    if not (asked_for and host) or host == asked_for.lower() or covered(host, shown):
        return None
    return Refusal(RefusalKind.HOST, 421, f"host: this connection is for {asked_for}")


def covered(host: str, names: Collection[str]) -> bool:
    """Whether a certificate with these names is one for the host: a wildcard is one label (RFC 6125 §6.4.3)."""
    return host.strip("[]") in names or f"*.{host.partition('.')[2]}" in names


def unknown(authority: str, said: FailureResponse) -> Refusal:
    """How a request is refused whose host no service has here; `said` as a profile has it."""
    host = host_of(authority)
    reason = f"host: no service here has {host!r}"
    return Refusal(RefusalKind.HOST, said.status, reason, words=said.words.format(host=host))


SERVICE = b"cdnlab-service"
"""A field in which an edge names the service to its shield, which is asked by its own address, whatever the viewer's
host was."""
