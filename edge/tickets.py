"""Tickets: who waits for a fill to land, and for what.

The machine gives a ticket to every request that it cannot answer at once. A ticket is open from then until its client
is served or gone; the landing of the fill puts a response on it.
"""

import asyncio
from typing import Protocol

from cdnkit.policy.http.messages import Lines
from edge.errors import EdgeError
from edge.response import Response
from edge.viewer import Interim


class Recipient(Protocol):
    """Who waits for a ticket's response without a task."""

    def put(self, response: Response) -> None:
        """The response is there; its body is the recipient's to leave."""
        ...

    def fail(self, error: EdgeError) -> None: ...

    def interim(self, status: int, fields: Lines) -> None:
        """Send the client an interim response."""
        ...


class Tickets:
    """The open tickets of one node."""

    def __init__(self) -> None:
        self._responses: dict[int, asyncio.Future[Response]] = {}
        self._interims: dict[int, Interim] = {}
        self._recipients: dict[int, Recipient] = {}
        """They have no response yet."""

    def give_to(self, ticket: int, recipient: Recipient) -> None:
        """Open the ticket: what comes for it is given to `recipient`, once."""
        self._recipients[ticket] = recipient

    def open(self, ticket: int, interim: Interim | None) -> "asyncio.Future[Response]":
        """`interim`: sends the client an interim response; None where its connection cannot carry one."""
        future = self._responses[ticket] = asyncio.get_running_loop().create_future()
        if interim is not None:
            self._interims[ticket] = interim
        return future

    def is_open(self, ticket: int) -> bool:
        return ticket in self._responses or ticket in self._recipients

    def is_waiting(self, ticket: int) -> bool:
        """Whether a client waits that has no response yet."""
        if ticket in self._recipients:
            return True
        future = self._responses.get(ticket)
        return future is not None and not future.done()

    def put(self, ticket: int, response: Response) -> None:
        """The response of a ticket that is waiting."""
        recipient = self._recipients.pop(ticket, None)
        if recipient is not None:
            recipient.put(response)
        else:
            self._responses[ticket].set_result(response)

    def fail(self, ticket: int, error: EdgeError) -> None:
        recipient = self._recipients.pop(ticket, None)
        if recipient is not None:
            recipient.fail(error)
        elif self.is_waiting(ticket):
            self._responses[ticket].set_exception(error)

    def send_interim(self, ticket: int, status: int, fields: Lines) -> None:
        if ticket in self._recipients:
            self._recipients[ticket].interim(status, fields)
        elif ticket in self._interims and self.is_waiting(ticket):
            self._interims[ticket](status, fields)

    def take(self, ticket: int) -> Response:
        """The response of a ticket that has one; from now on its body is the taker's to leave."""
        return self._responses.pop(ticket).result()

    def close(self, ticket: int) -> None:
        """The client is served or gone; the body of a response that nobody took is left."""
        self._recipients.pop(ticket, None)
        self._interims.pop(ticket, None)
        future = self._responses.pop(ticket, None)
        if future is not None and future.done() and not future.cancelled() and future.exception() is None:
            future.result().leave()
