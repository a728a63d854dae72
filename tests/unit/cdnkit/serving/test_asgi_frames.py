"""Frames of ASGI on a socket: cut anywhere, they come whole and in order; what is none ends the link."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdnkit.serving.asgi_frames import HEAD, LARGEST_FRAME, PASSED_ON, Call, Frames, Kind, call_of, encoded, scope_of
from cdnkit.serving.certificates import TLS_NAMES
from cdnkit.serving.inbox import EMPTY_QUERY, GONE, INTERIM

FRAMES = st.lists(st.tuples(st.integers(0, 2**32 - 1), st.sampled_from(Kind), st.binary(max_size=300)), max_size=12)


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.octets = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.octets += data

    def writelines(self, parts: Any) -> None:
        self.octets += b"".join(parts)

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True


def reader() -> tuple[Frames, list[tuple[int, Kind, bytes]], list[str]]:
    came: list[tuple[int, Kind, bytes]] = []
    lost: list[str] = []
    frames = Frames(lambda *frame: came.append(frame), lost.append)
    frames.connection_made(Wire())  # type: ignore[arg-type]
    return frames, came, lost


@given(FRAMES, st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_what_is_sent_comes_however_it_is_cut(sent: list[tuple[int, Kind, bytes]], cuts: list[int]) -> None:
    wire = Wire()
    writer = Frames(lambda *_: None, lambda _: None)
    writer.connection_made(wire)  # type: ignore[arg-type]
    for call, kind, payload in sent:
        writer.send(call, kind, payload)
    frames, came, _ = reader()
    at, turn = 0, 0
    while at < len(wire.octets):
        size = cuts[turn % len(cuts)]
        frames.data_received(wire.octets[at : at + size])
        at, turn = at + size, turn + 1
    assert came == sent


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (HEAD.pack(LARGEST_FRAME + 1, 1, Kind.BODY), f"a frame of {LARGEST_FRAME + 1} bytes"),
        (HEAD.pack(0, 1, 99), "a frame that cannot be read: 99 is not a valid Kind"),
    ],
)
def test_what_is_no_frame_ends_the_link(octets: bytes, why: str) -> None:
    frames, came, lost = reader()
    frames.data_received(HEAD.pack(0, 7, Kind.GONE) + octets + HEAD.pack(0, 8, Kind.GONE))
    assert came == [(7, Kind.GONE, b"")]
    assert not frames.open
    frames.connection_lost(None)
    assert lost == [why]


def scope(**more: Any) -> dict[str, Any]:
    return {
        "type": "http", "method": "GET", "scheme": "https", "http_version": "2", "path": "/ä", "raw_path": b"/%c3%a4",
        "query_string": b"", "root_path": "", "headers": [(b"x", b"1"), (b"x", b"\xff")], "client": ("::1", 9),
        "server": ("::1", 443), "state": {}, "extensions": {}, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    "sent",
    [
        scope(),
        scope(client=None, server=("/run/a.sock", None)),
        scope(state={EMPTY_QUERY: True}),
        scope(extensions={TLS_NAMES: ("a.test", frozenset({"a.test", "b.test"}))}),
    ],
)
def test_a_scope_comes_as_it_was(sent: dict[str, Any]) -> None:
    import msgspec

    call = msgspec.msgpack.decode(encoded(call_of(sent)), type=Call)
    came = scope_of(call, lambda status, lines: None, None)
    assert came.pop("asgi")["version"] == "3.0"
    assert came["extensions"].pop(PASSED_ON) is True
    assert came == sent


def test_extensions_are_there_where_the_client_has_them() -> None:
    loop = asyncio.new_event_loop()
    try:
        gone = loop.create_future()
        call = call_of(scope(extensions={INTERIM: print, GONE: gone}))
        assert scope_of(call, print, gone)["extensions"] == {PASSED_ON: True, INTERIM: print, GONE: gone}
    finally:
        loop.close()
