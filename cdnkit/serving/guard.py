"""A guard for listeners that take orders: it refuses requests that a web page made its visitor's browser send.

Any page can send forms and `no-cors` fetches to this machine. It can also point a name of its own at this machine's
address, and then read the responses too (DNS rebinding). Browsers mark such requests by `Origin` (Fetch standard,
section 3.2), `Sec-Fetch-Site` (Fetch Metadata, section 2.1) and `Host`. Programs send neither of the first two.

| the request has                                          | it is refused with |
|----------------------------------------------------------|--------------------|
| a Host that is no address, no localhost and not known    | 421                |
| an Origin other than the one of this host                | 403                |
| Sec-Fetch-Site other than `same-origin` and `none`       | 403                |
| POST with a content type that a form can send            | 415                |
"""

import logging
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated

from pydantic import AfterValidator
from starlette.types import ASGIApp, Receive, Scope, Send

from cdnkit.units import is_loopback, split_address

FORM_TYPES = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
"""Content types that pages may send to other sites without a preflight (Fetch standard, CORS-safelisted)."""

_AUTHORITY = re.compile(r"(\[[0-9a-f:.%a-z]+\]|[^\[\]:]+)(?::[0-9]*)?", re.I)
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")


def _check_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError('wanted the name of a host, without a port, such as "origin.example.com"')
    return value


HostName = Annotated[str, AfterValidator(_check_name)]
"""The name of a host without a port, as settings list the hosts that a listener knows."""


@dataclass(frozen=True)
class Refusal:
    """The status and the text with which a request is refused."""

    status: int
    text: str


@dataclass(frozen=True)
class Guard:
    """The rules of one listener."""

    hosts: frozenset[str]
    """Names that the listener is reached by, in lower case; addresses and localhost are always known."""
    setting: str
    """The setting that adds names: "origin.ingest_hosts"."""
    credentials: bool = False
    """Orders need credentials in fields that no form can send: then content types are not looked at."""

    def refusal(self, method: str, fields: Iterable[tuple[str, str]]) -> Refusal | None:
        """Why to refuse a request; None: a program, or a person at the address bar, may have sent it.

        `fields` have names in lower case.
        """
        values: dict[str, list[str]] = {}
        for name, value in fields:
            values.setdefault(name, []).append(value.strip())
        hosts = values.get("host", [])
        for host in hosts:
            if not self._knows(host):
                return Refusal(
                    421,
                    f"Host: found {host!a}, wanted an address, localhost, or a name in the setting {self.setting}",
                )
        for origin in values.get("origin", ()):
            if origin.partition("://")[2].lower() not in (host.lower() for host in hosts if host):
                return Refusal(403, f"Origin: found {origin!a}, wanted none: web pages give no orders here")
        for site in values.get("sec-fetch-site", ()):
            if site not in ("same-origin", "none"):
                return Refusal(403, f"Sec-Fetch-Site: found {site!a}, wanted none: web pages give no orders here")
        if method == "POST" and not self.credentials:
            for line in values.get("content-type", ()):
                if line.partition(";")[0].strip().lower() in FORM_TYPES:
                    return Refusal(
                        415,
                        f"Content-Type: found {line!a}, which any web page can send, wanted the content's own, "
                        "such as application/json or video/mp4 (curl: -H 'Content-Type: ...')",
                    )
        return None

    def _knows(self, authority: str) -> bool:
        match = _AUTHORITY.fullmatch(authority)
        if match is None:
            return False
        host = match[1].lower().removesuffix(".")
        if host == "localhost" or host.endswith(".localhost") or host in self.hosts:
            return True
        try:
            ip_address(host.removeprefix("[").removesuffix("]"))
        except ValueError:
            return False
        return True  # a page cannot point an address elsewhere, as it can a name


def guard_of(address: str, names: Iterable[str], setting: str, *, credentials: bool = False) -> Guard:
    """The guard of a listener on `address`: it knows `names`, its own host and, beyond loopback, this machine."""
    hosts = {*names, split_address(address)[0]}
    if not is_loopback(address):
        own = socket.gethostname()
        hosts |= {own, f"{own}.local"}
    return Guard(frozenset(host.lower().removesuffix(".") for host in hosts), setting, credentials)


class Guarded:
    """An application behind a guard."""

    def __init__(self, app: ASGIApp, guard: Guard, log: logging.Logger) -> None:
        self._app = app
        self._guard = guard
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = None
        if scope["type"] == "http":
            fields = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
            refusal = self._guard.refusal(scope["method"], fields)
        if refusal is None:
            await self._app(scope, receive, send)
            return
        self._log.warning("%.20a %.200a refused: %.500s", scope["method"], scope["path"], refusal.text)
        body = f"{refusal.text}\n".encode()
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"x-content-type-options", b"nosniff"),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
