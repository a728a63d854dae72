"""Whether a server can listen on an address, what holds it if not, and free ports in place of taken ones."""

import contextlib
import errno
import os
import socket
from dataclasses import dataclass, replace

from cdnkit.units import split_address
from cdnlab.errors import USAGE, LabError
from cdnlab.settings.addresses import places, spelled_place, with_address
from cdnlab.settings.document import Loaded

TAKEN = "taken"
"""What `why_taken` returns for an address that another socket holds."""


@dataclass(frozen=True)
class Taken:
    """A setting whose address cannot be listened on."""

    setting: str
    address: str
    holder: str
    reason: str

    def __str__(self) -> str:
        by = f" by {self.holder}" if self.holder else ""
        return f"{self.setting}: found {self.address}, which is {self.reason}{by}; wanted a free address."


@dataclass
class PortsTaken(LabError):
    """All settings whose addresses cannot be listened on."""

    taken: list[Taken]

    exit_status = USAGE

    def __str__(self) -> str:
        advice = "Set another port there; port 0 takes any free one."
        if any(one.reason == TAKEN for one in self.taken):
            advice = f"Stop what holds it, or set another port there; `cdnlab up {FREE_PORTS}` takes free ones instead."
        return "\n".join([*map(str, self.taken), advice])


FREE_PORTS = "--free-ports"
"""The option of `cdnlab up` that uses free ports in place of taken ones."""


def why_taken(address: str) -> str:
    """The reason in a few words why a server cannot listen there now; "" when it can.

    The probe binds as servers do (SO_REUSEADDR), so a port whose last connections linger in TIME_WAIT counts as free.
    """
    host, port = split_address(address)
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        return f"not an address of this machine ({error.strerror})"
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(target)
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return TAKEN
            if error.errno == errno.EADDRNOTAVAIL:
                return "not an address of this machine"
            return error.strerror or str(error)
    return ""


def holder_of(address: str) -> str:
    """The process that listens there: `nginx (pid 123)`; "" when it cannot be seen (another user's, or no psutil)."""
    try:
        import psutil
    except ModuleNotFoundError:
        return ""
    _, port = split_address(address)
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                name = psutil.Process(connection.pid).name()
                return f"{name} (pid {connection.pid})" if connection.pid != os.getpid() else "this very process"
    return ""


def check(addresses: dict[str, str]) -> None:
    """Raises `PortsTaken` for all of `{setting: address}` that cannot be listened on."""
    reasons = {setting: why_taken(address) for setting, address in addresses.items()}
    taken = [
        Taken(setting, address, holder_of(address) if reasons[setting] == TAKEN else "", reasons[setting])
        for setting, address in addresses.items()
        if reasons[setting]
    ]
    if taken:
        raise PortsTaken(taken)


def with_free_ports(loaded: Loaded) -> tuple[Loaded, list[str]]:
    """The settings with a free port in place of each taken one, and the taken addresses in words."""
    document, taken = loaded.document, []
    for place, address in places(document):
        if why_taken(address) == TAKEN:
            taken.append(f"{spelled_place(document, place)} {address}")
            host, _ = split_address(address)
            document = with_address(document, place, f"[{host}]:0" if ":" in host else f"{host}:0")
    return replace(loaded, document=document), taken
