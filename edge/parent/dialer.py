"""How a connection to the parent is made: over the simulated wire if there is one, in the protocol that ALPN names."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

from cdnkit.policy.outcomes import Failure
from cdnkit.policy.upstream.link import Link
from cdnkit.policy.upstream.retry import Reach
from edge.errors import UpstreamFailed
from edge.parent.http1 import Http1Connection
from edge.parent.http2 import Http2Connection
from edge.parent.linked import Linked

ParentConnection = Http1Connection | Http2Connection


@dataclass(slots=True)
class Dialer:
    """Where the parent is, and how long it may take to reach it."""

    url: str
    host: str
    port: int
    tls: ssl.SSLContext | None
    link: Link | None
    within: float

    @property
    def bare(self) -> bool:
        """Whether a connection's transport is a socket's, without TLS or simulated wire."""
        return self.tls is None and self.link is None

    async def dial(self, speak: Callable[[str | None], ParentConnection]) -> ParentConnection:
        """A connection just made; UpstreamFailed where none is. `speak`: the protocol for what ALPN says."""
        try:
            async with asyncio.timeout(self.within):
                if self.link is not None:
                    await asyncio.sleep(self.link.connects_in(tls=self.tls is not None))
                _, made = await asyncio.get_running_loop().create_connection(
                    partial(self._protocol, speak), self.host, self.port, ssl=self.tls
                )
        except TimeoutError as error:
            raise UpstreamFailed(Failure.CONNECT_TIMEOUT, self.url, Reach.CONNECTING) from error
        except (OSError, UnicodeError) as error:
            found = getattr(error, "strerror", None) or str(error) or repr(error)
            # A name that the resolver does not know, or that cannot be a name.
            why = Failure.NAME if isinstance(error, socket.gaierror | UnicodeError) else Failure.CONNECT
            raise UpstreamFailed(why, f"{self.url}: {found}", Reach.CONNECTING) from error
        inner = made.inner if isinstance(made, Linked) else made
        return cast(ParentConnection, inner.chosen if isinstance(inner, _Greeting) else inner)

    def _protocol(self, speak: Callable[[str | None], ParentConnection]) -> asyncio.Protocol:
        protocol = speak(None) if self.tls is None else _Greeting(speak)
        return protocol if self.link is None else Linked(protocol, self.link)


class _Greeting(asyncio.Protocol):
    """A TLS connection until its protocol is known: ALPN has chosen it when the connection is made."""

    chosen: ParentConnection

    def __init__(self, choose: Callable[[str | None], ParentConnection]) -> None:
        self._choose = choose

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        tls = transport.get_extra_info("ssl_object")
        self.chosen = self._choose(tls.selected_alpn_protocol())
        transport.set_protocol(self.chosen)
        self.chosen.connection_made(transport)
