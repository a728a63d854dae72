"""What the kernel knows of the bytes that were written to a client: which the client has acknowledged, and which wait.

A transport knows only what the kernel has taken. The kernel takes bytes in large steps, so a client that reads slowly
seems to stand still for as long as one step lasts.
"""

import fcntl
import socket
import struct
import sys
import termios
from contextlib import suppress
from typing import Protocol

KERNEL_SAYS = sys.platform == "linux"
"""Elsewhere only the transport is asked, and the kernel is to take little (`listener.UNSENT_BYTES`)."""

_ACKED = struct.Struct("@Q")
_ACKED_AT = 120
"""Of `tcpi_bytes_acked` in Linux's `struct tcp_info` (include/uapi/linux/tcp.h), since 4.1."""
_QUEUED = struct.Struct("@i")


class Written(Protocol):
    """A transport, or what stands for one."""

    def get_extra_info(self, name: str) -> object: ...

    def get_write_buffer_size(self) -> int: ...


def acknowledged(transport: Written) -> int:
    """A number that grows with each byte that the client acknowledges; or, where the kernel cannot say, with each that
    the kernel takes."""
    found = transport.get_extra_info("socket")
    if KERNEL_SAYS and found is not None:
        with suppress(OSError, ValueError):  # it is closed; uvloop's raise ValueError
            info: bytes = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKED_AT + _ACKED.size)  # type: ignore[attr-defined]
            if len(info) == _ACKED_AT + _ACKED.size:
                return int(_ACKED.unpack_from(info, _ACKED_AT)[0])
    return -buffered(transport)


def unacknowledged(transport: Written) -> int:
    """Bytes that were written, by the transport or into it, and that the client has not acknowledged; or, where the
    kernel cannot say, that the kernel has not taken."""
    waiting = buffered(transport)
    found = transport.get_extra_info("socket")
    if KERNEL_SAYS and found is not None:
        with suppress(OSError, ValueError):
            queue = fcntl.ioctl(found.fileno(), termios.TIOCOUTQ, bytes(_QUEUED.size))  # type: ignore[attr-defined]
            waiting += int(_QUEUED.unpack(queue)[0])
    return waiting


def buffered(transport: Written) -> int:
    """Bytes that were written and that the kernel has not taken."""
    with suppress(AttributeError):  # asyncio's TLS transports cannot say once they are closed
        return transport.get_write_buffer_size()
    return 0
