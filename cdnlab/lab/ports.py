"""Whether an address can be listened on, who has it if not, and free ports in the place of those that are taken."""

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
"""What `why_taken` says of an address that another socket has."""


@dataclass(frozen=True)
class Taken:
    """A setting that names an address which cannot be listened on."""

    setting: str
    address: str
    holder: str
    reason: str

    def __str__(self) -> str:
        by = f" by {self.holder}" if self.holder else ""
        return f"{self.setting}: found {self.address}, which is {self.reason}{by}; wanted a free address."


@dataclass
class PortsTaken(LabError):
    """Every setting whose address cannot be listened on."""

    taken: list[Taken]

    exit_status = USAGE

    def __str__(self) -> str:
        advice = "Set another port there; port 0 takes any free one."
        if any(one.reason == TAKEN for one in self.taken):
            advice = f"Stop what holds it, or set another port there; `cdnlab up {FREE_PORTS}` takes free ones instead."
        return "\n".join([*map(str, self.taken), advice])


FREE_PORTS = "--free-ports"
"""The option of `cdnlab up` that takes free ports in the place of those that are taken."""


def why_taken(address: str) -> str:
    """ "" if a server could listen there now, else the reason in a few words.

    Bound the way servers bind (SO_REUSEADDR), so a port whose last connections linger in TIME_WAIT counts as free.
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
    """Who listens there: `nginx (pid 123)`; "" when that cannot be seen (another user's process, or no psutil)."""
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
    """The settings with any free port in the place of each that is taken; what was taken, as a person reads it."""
    document, taken = loaded.document, []
    for place, address in places(document):
        if why_taken(address) == TAKEN:
            taken.append(f"{spelled_place(document, place)} {address}")
            host, _ = split_address(address)
            document = with_address(document, place, f"[{host}]:0" if ":" in host else f"{host}:0")
    return replace(loaded, document=document), taken
