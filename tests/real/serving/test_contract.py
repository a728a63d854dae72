"""What `cdnkit/serving` leans on in hypercorn, h11, h2 and aioquic beyond what they promise, by name.

An upgrade that takes one of these away, or calls it otherwise, fails here and says which. The privates are complete: a
test reads the source for every one that is touched. And the files of the room import in one direction.
"""

import ast
import asyncio
import inspect
from collections.abc import Callable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import h11
import hypercorn.protocol.events as stream_events
import pytest
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import QuicServer
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection, QuicNetworkPath
from aioquic.quic.stream import QuicStream
from h2.connection import H2Connection
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import EventWrapper, WorkerContext
from hypercorn.config import Config
from hypercorn.protocol.h2 import H2Protocol, StreamBuffer
from hypercorn.protocol.h11 import H2ProtocolAssumedError, H11Protocol
from hypercorn.protocol.http_stream import ASGIHTTPState, HTTPStream
from hypercorn.typing import ConnectionState

from cdnkit.serving.connection import Connection
from cdnkit.serving.http1 import Http1, Requests
from cdnkit.serving.http2 import Http2, Outgoing
from cdnkit.serving.http3 import Http3, _Server
from cdnkit.serving.inbox import Starter

SERVING = Path(__file__).parents[3] / "cdnkit/serving"


def _protocol(kind: type[H11Protocol] | type[H2Protocol]) -> Any:
    nothing: Any = None
    state = ConnectionState({})
    return kind(nothing, Config(), WorkerContext(None), TaskGroup(nothing), state, False, None, None, nothing)


def _stream() -> HTTPStream:
    nothing: Any = None
    return HTTPStream(nothing, Config(), WorkerContext(None), TaskGroup(nothing), False, None, None, nothing, 1)


def _tcp() -> TCPServer:
    nothing: Any = None
    return TCPServer(nothing, nothing, Config(), WorkerContext(None), ConnectionState({}), nothing, nothing)


def _quic() -> QuicConnection:
    return QuicConnection(configuration=QuicConfiguration(is_client=True))


MADE: dict[str, tuple[Callable[[], Any], str]] = {
    "hypercorn TCPServer": (
        _tcp,
        "app config context loop reader writer send_lock run protocol_send _read_data _close",
    ),
    "asyncio StreamReader": (lambda: asyncio.StreamReader(loop=asyncio.new_event_loop()), "_buffer"),
    "hypercorn TaskGroup": (lambda: TaskGroup(None), "_loop _task_group spawn spawn_app"),  # type: ignore[arg-type]
    "hypercorn WorkerContext": (lambda: WorkerContext(None), "event_class terminated mark_request"),
    "hypercorn EventWrapper": (EventWrapper, "_event set clear wait"),
    "hypercorn Config": (
        Config,
        "errorlog include_server_header include_date_header alt_svc_headers keep_alive_max_requests response_headers "
        "h11_max_incomplete_size h2_max_header_list_size h2_max_concurrent_streams",
    ),
    "hypercorn H11Protocol": (
        lambda: _protocol(H11Protocol),
        "app config context task_group ssl client server connection connection_state stream keep_alive_requests handle "
        "initiate stream_send _create_stream _check_protocol _send_error_response",
    ),
    "hypercorn H2ProtocolAssumedError": (lambda: H2ProtocolAssumedError(b""), "data"),
    "hypercorn H2Protocol": (
        lambda: _protocol(H2Protocol),
        "app config context ssl client server connection connection_state streams stream_buffers priority has_data "
        "closed keep_alive_requests send handle initiate send_task stream_send _create_stream _handle_events "
        "_send_data _flush",
    ),
    "hypercorn StreamBuffer": (
        lambda: StreamBuffer(EventWrapper),
        "buffer complete set_complete drain push pop close _complete _is_empty _paused",
    ),
    "hypercorn HTTPStream": (_stream, "state handle"),
    "hypercorn ASGIHTTPState": (lambda: ASGIHTTPState, "REQUEST"),
    "h11 Connection": (
        lambda: h11.Connection(h11.SERVER),
        "_receive_buffer _receive_buffer_closed next_event client_is_waiting_for_100_continue",
    ),
    "h11 ReceiveBuffer": (
        lambda: h11.Connection(h11.SERVER)._receive_buffer,
        "_data maybe_extract_at_most",
    ),
    "h2 Decoder": (lambda: H2Connection().decoder, "max_header_list_size"),
    "aioquic QuicConnection": (_quic, "_network_paths _streams reset_stream stop_stream"),
    "aioquic QuicNetworkPath": (lambda: QuicNetworkPath(("::1", 1)), "addr"),
    "aioquic QuicStreamSender": (lambda: QuicStream(0).sender, "_buffer_start _buffer_stop"),
    "aioquic QuicConnectionProtocol": (
        lambda: QuicConnectionProtocol(_quic()),
        "_quic _transport transmit datagram_received quic_event_received",
    ),
    "aioquic QuicServer": (
        lambda: QuicServer(configuration=QuicConfiguration(), create_protocol=QuicConnectionProtocol),
        "_protocols _configuration datagram_received close",
    ),
}
"""Class -> one of it, and what of it is used."""


@pytest.mark.parametrize("used", [f"{kind}.{name}" for kind, (_, names) in MADE.items() for name in names.split()])
def test_it_is_there(used: str) -> None:
    kind, _, name = used.partition(".")

    async def look() -> bool:
        return hasattr(MADE[kind][0](), name)

    assert asyncio.run(look()), f"{used} is gone"


CALLED: list[tuple[Callable[..., Any], str]] = [
    (TCPServer.__init__, "self app loop config context state reader writer"),
    (H11Protocol.__init__, "self app config context task_group connection_state ssl client server send"),
    (H2Protocol.__init__, "self app config context task_group connection_state ssl client server send"),
    (HTTPStream.__init__, "self app config context task_group ssl client server send stream_id"),
    (StreamBuffer.__init__, "self event_class"),
    (TaskGroup.spawn, "self func args"),
    (Config.response_headers, "self protocol"),
    (stream_events.Request.__init__, "self stream_id headers http_version method raw_path state"),
    (stream_events.Body.__init__, "self stream_id data"),
    (QuicConnectionProtocol.__init__, "self quic stream_handler"),
    (QuicConnection.reset_stream, "self stream_id error_code"),
    (QuicConnection.stop_stream, "self stream_id error_code"),
]
"""What we call by position, or by these names."""


@pytest.mark.parametrize(("called", "parameters"), CALLED, ids=lambda one: getattr(one, "__qualname__", ""))
def test_it_is_called_so(called: Callable[..., Any], parameters: str) -> None:
    assert " ".join(inspect.signature(called).parameters) == parameters


OURS: dict[type, str] = {
    Connection: "run protocol_send _read_data _close",
    Http1: "_check_protocol _create_stream _send_error_response",
    Http2: "handle send_task stream_send _create_stream _handle_events _send_data",
    Outgoing: "close pop push",
    Starter: "spawn_app",
    Requests: "next_event",
    Http3: "datagram_received quic_event_received",
    _Server: "datagram_received",
}
"""Class of ours -> methods of the library's that it replaces. Any other of the same name would be by accident."""


def library(ours: type) -> type:
    """The class of a library that one of ours is built on."""
    return next(base for base in ours.__mro__[1:] if not base.__module__.startswith("cdnkit"))


@pytest.mark.parametrize("ours", OURS, ids=lambda ours: ours.__name__)
def test_what_replaces_a_librarys_method_is_called_as_that_is(ours: type) -> None:
    theirs = library(ours)
    replaced = {name for name in vars(ours) if hasattr(theirs, name) and not name.startswith("__")}
    assert replaced == set(OURS[ours].split())
    for name in replaced:
        mine, that = (list(inspect.signature(getattr(one, name)).parameters) for one in (ours, theirs))
        assert len(mine) == len(that), f"{theirs.__name__}.{name}({', '.join(that)})"


def test_no_attribute_of_ours_takes_the_place_of_one_of_theirs() -> None:
    async def look() -> dict[type, object]:
        return {Connection: _tcp(), Http1: _protocol(H11Protocol), Http2: _protocol(H2Protocol),
                Http3: QuicConnectionProtocol(_quic()), Outgoing: StreamBuffer(EventWrapper)}  # fmt: skip

    made = asyncio.run(look())
    meant = {"connection", "stream", "closed", "buffer"}  # which the library reads, too
    for ours, theirs in made.items():
        assigned = set(_assigned(ast.parse(inspect.getsource(ours)))) - meant
        assert [name for name in sorted(assigned) if name.startswith("_") and hasattr(theirs, name)] == [], ours


def _assigned(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name):
            yield node.attr


def test_every_private_that_is_touched_is_named_here() -> None:
    """A private name that no file of the room defines is somebody else's."""
    touched, own = set[str](), set[str]()
    for file in SERVING.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
                (own if isinstance(node.ctx, ast.Store) else touched).add(node.attr)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                own.add(node.name)
    named = {name for _, names in MADE.values() for name in names.split()}
    assert touched - own - named == set()
    assert {name for name in named if name.startswith("_")} - touched - own == set(), "named here, and not touched"


def test_the_files_of_the_room_import_in_one_direction() -> None:
    """In annotations, too: `TYPE_CHECKING` hides no circle."""
    imports = {
        file.stem: {
            node.module.rpartition(".")[2]
            for node in ast.walk(ast.parse(file.read_text("utf-8")))
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cdnkit.serving.")
        }
        for file in SERVING.glob("*.py")
    }
    assert imports["connection"] > {"http1", "http2"}
    TopologicalSorter(imports).prepare()  # raises CycleError
