"""Whose bytes go next: by urgency, and in turns (RFC 9218 §10)."""

import pytest

from cdnkit.serving.frames import LARGEST_FRAME
from cdnkit.serving.streams import Stream
from cdnkit.serving.turns import TURN_BYTES, Turns

SIZE = 2 * TURN_BYTES


def order(*streams: tuple[int, bool]) -> list[int]:
    """Which stream has each turn, where each has two turns' bytes and an (urgency, incremental) of its own."""
    turns: Turns[Stream] = Turns()
    for at, priority in enumerate(streams):
        stream = Stream(at, 2**31 - 1, priority)
        stream.push(bytes(SIZE), last=True)
        turns.add(stream)
        turns.add(stream)  # which changes nothing
    had = []
    while turns:
        stream = turns.first()
        had.append(stream.id)
        stream.take(TURN_BYTES, [])
        if stream.pending:
            turns.give_way(stream)
        else:
            turns.discard(stream)
    return had


ORDERS = [  # streams                                  their turns
    ([(3, True), (3, True), (3, True)], [0, 1, 2, 0, 1, 2]),  # all share
    ([(3, False), (3, False)], [0, 0, 1, 1]),  # one after the other
    ([(5, True), (0, True), (3, False)], [1, 1, 2, 2, 0, 0]),  # the urgent one first
    ([(3, True), (3, False)], [0, 1, 1, 0]),  # the one that needs all of its own goes on once it has begun
]


@pytest.mark.parametrize(("streams", "turns"), ORDERS)
def test_turns_go_by_urgency_and_then_around(streams: list[tuple[int, bool]], turns: list[int]) -> None:
    assert order(*streams) == turns


def test_bytes_are_referenced_and_cut_into_frames() -> None:
    body = memoryview(bytes(range(256)) * 200)
    stream = Stream(7, 100_000, (3, True))
    stream.push(body, last=True)
    out: list[bytes | memoryview] = []
    assert stream.take(40_000, out) == 40_000
    assert [len(part) for part in out] == [9, LARGEST_FRAME, 9, LARGEST_FRAME, 9, 40_000 - 2 * LARGEST_FRAME]
    assert all(isinstance(part, memoryview) and part.obj is body.obj for part in out[1::2])
    assert (stream.window, stream.pending, stream.taken) == (60_000, 11_200, 40_000)
    assert out[4][4] == 0
    out.clear()
    assert stream.take(40_000, out) == 11_200
    assert out[0] == (11_200).to_bytes(3, "big") + b"\0\1" + (7).to_bytes(4, "big")  # DATA, END_STREAM
