"""What the kernel knows of written bytes."""

import socket
import time
from collections.abc import Iterator

import pytest

from cdnkit.serving import acknowledged as module
from cdnkit.serving.acknowledged import acknowledged, buffered, unacknowledged
from tests.kit.late import GUARD_S


class Transport:
    """One that holds `waiting` bytes back."""

    def __init__(self, own: socket.socket | None, waiting: int = 0) -> None:
        self._own = own
        self._waiting = waiting

    def get_extra_info(self, name: str) -> object:
        return self._own

    def get_write_buffer_size(self) -> int:
        return self._waiting


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A server's end, and that of a client whose kernel takes a few kilobytes that nobody reads."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        client.connect(listener.getsockname())
        own, _ = listener.accept()
        with own:
            own.setblocking(False)
            yield own, client


@pytest.mark.skipif(not module.KERNEL_SAYS, reason="only Linux says it")
def test_what_is_written_is_acknowledged_or_waits(pair: tuple[socket.socket, socket.socket]) -> None:
    own, client = pair
    transport = Transport(own, waiting=1000)
    assert acknowledged(transport) == 0 and unacknowledged(transport) == 1000
    written = own.send(bytes(1_000_000))
    assert acknowledged(transport) + unacknowledged(transport) == written + 1000
    assert acknowledged(transport) < 100_000  # what the client's kernel took
    taken, until = 0, time.monotonic() + GUARD_S
    while taken < written:
        taken += len(client.recv(65_536))
    while acknowledged(transport) < written:
        assert time.monotonic() < until
    assert unacknowledged(transport) == 1000


def test_where_the_kernel_cannot_say_the_transport_is_asked(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair[0].send(bytes(1_000_000))
    monkeypatch.setattr(module, "KERNEL_SAYS", False)
    assert acknowledged(Transport(pair[0], waiting=7)) == -7
    assert unacknowledged(Transport(pair[0], waiting=7)) == 7


def test_what_is_no_connection_of_tcp_says_nothing() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert acknowledged(Transport(one, waiting=7)) == -7
    assert acknowledged(Transport(None, waiting=7)) == -7
    assert acknowledged(Transport(one, waiting=7)) == -7  # it is closed


def test_a_transport_may_not_know_its_buffer() -> None:
    class Closed(Transport):
        def get_write_buffer_size(self) -> int:
            raise AttributeError

    assert buffered(Closed(None)) == 0
