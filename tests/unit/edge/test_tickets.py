"""Tickets: who is given a response, who is not, and that no body is held for a client that is gone."""

import asyncio

import pytest

from cdnkit.policy.machine.machine import EdgeMachine
from cdnkit.policy.rules.service import Service
from edge.bodies import Body, Reader
from edge.errors import EdgeError
from edge.response import Response
from edge.tickets import Tickets

HEAD = EdgeMachine(Service(name="fra", room=1, largest=1)).unreadable(400, "request: not HTTP", 0.0)


def response(body: Body | None = None) -> Response:
    return Response(HEAD, None if body is None else Reader(body, 0))


def test_a_response_that_is_taken_is_its_takers_to_leave() -> None:
    async def run() -> None:
        tickets, body = Tickets(), Body(kept=False)
        coming = tickets.open(1, None)
        assert tickets.is_open(1) and tickets.is_waiting(1)
        tickets.put(1, response(body))
        assert tickets.is_open(1) and not tickets.is_waiting(1)
        await coming
        taken = tickets.take(1)
        tickets.close(1)
        assert not tickets.is_open(1) and body.readers == {taken.reader}
        taken.leave()
        assert not body.readers

    asyncio.run(run())


def test_nobody_reads_for_a_client_that_left_before_it_took_its_response() -> None:
    async def run() -> None:
        tickets, body = Tickets(), Body(kept=False)
        tickets.open(1, None)
        tickets.put(1, response(body))
        tickets.close(1)
        assert not body.readers and not tickets.is_open(1)
        tickets.close(1)  # harmless when repeated

    asyncio.run(run())


def test_a_landing_that_fails_fails_those_who_wait_and_nobody_else() -> None:
    async def run() -> None:
        tickets = Tickets()
        waiting, served = tickets.open(1, None), tickets.open(2, None)
        tickets.put(2, response())
        for ticket in (1, 2, 3):
            tickets.fail(ticket, EdgeError("the landing failed"))
        with pytest.raises(EdgeError, match="the landing failed"):
            await waiting
        assert (await served).head.status == 400
        tickets.close(1)

    asyncio.run(run())


def test_an_interim_response_goes_to_those_who_wait_and_can_take_one() -> None:
    async def run() -> None:
        tickets = Tickets()
        came: list[tuple[int, int]] = []
        for ticket in (1, 2):
            tickets.open(ticket, lambda status, _, ticket=ticket: came.append((ticket, status)))  # type: ignore[misc]
        tickets.open(3, None)
        tickets.put(2, response())
        for ticket in (1, 2, 3, 4):
            tickets.send_interim(ticket, 103, [])
        assert came == [(1, 103)]

    asyncio.run(run())


class Waiting:
    """Waits without a task."""

    def __init__(self) -> None:
        self.came: list[object] = []

    def put(self, response: Response) -> None:
        self.came.append(response.head.status)

    def fail(self, error: EdgeError) -> None:
        self.came.append(str(error))

    def interim(self, status: int, fields: object) -> None:
        self.came.append(status)


def test_who_waits_without_a_task_is_given_one_response() -> None:
    tickets, waiting = Tickets(), Waiting()
    tickets.give_to(1, waiting)
    tickets.send_interim(1, 103, [])
    assert tickets.is_open(1) and tickets.is_waiting(1)
    tickets.put(1, response())
    tickets.send_interim(1, 103, [])
    tickets.fail(1, EdgeError("late"))
    assert waiting.came == [103, 400]
    assert not tickets.is_open(1) and not tickets.is_waiting(1)


def test_who_waits_without_a_task_hears_of_a_failure_and_of_nothing_once_it_left() -> None:
    tickets, failed, left = Tickets(), Waiting(), Waiting()
    tickets.give_to(1, failed)
    tickets.give_to(2, left)
    tickets.close(2)
    for ticket in (1, 2):
        tickets.fail(ticket, EdgeError("the landing failed"))
        tickets.send_interim(ticket, 103, [])
    assert (failed.came, left.came) == (["the landing failed"], [])
