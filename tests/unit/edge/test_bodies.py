"""Bodies: those who read without a task are called once, and only while they wait."""

import asyncio

import pytest

from edge.bodies import LAGGING_S, PIECE_BYTES, WINDOW_BYTES, Body, BodyBroken, Reader
from tests.kit.virtual_time import run_virtually


class Called:
    times = 0

    def on_more(self) -> None:
        self.times += 1


def test_who_waits_for_more_is_called_once_and_not_when_it_left() -> None:
    async def run() -> None:
        body, one, left = Body(kept=True), Called(), Called()
        reader = Reader(body, 0)
        for hungry in (one, one, left):
            reader.call(hungry)
        reader.call_off(left)
        body.write(b"a")
        body.write(b"b")
        assert (one.times, left.times) == (1, 0)
        for change in (body.finish, body.break_off):
            reader.call(one)
            change()
        assert one.times == 3

    asyncio.run(run())


READ = [  # written, finished, read from, up to      then: what is taken, one after the other
    ([b"abc", b"de"], False, 0, None, [b"abc", b"de"]),
    ([b"abc", b"de"], False, 1, 4, [b"bc", b"d"]),
    ([b"abc", b"de"], True, 1, None, [b"bcde"]),
    ([bytes(PIECE_BYTES + 1)], True, 0, None, [bytes(PIECE_BYTES), bytes(1)]),
    ([b"abc"], False, 3, 3, []),
    ([], True, 0, None, []),
]


@pytest.mark.parametrize(("written", "finished", "start", "stop", "taken"), READ)
def test_what_has_come_is_taken_piece_by_piece(
    written: list[bytes], finished: bool, start: int, stop: int | None, taken: list[bytes]
) -> None:
    async def run() -> None:
        body = Body(kept=True)
        for piece in written:
            body.write(piece)
        if finished:
            body.finish()
        reader = Reader(body, start)
        assert list(iter(lambda: reader.take(stop), b"")) == taken
        assert reader.is_over(stop) == (finished or stop is not None)

    asyncio.run(run())


def test_a_body_that_is_whole_is_taken_as_it_is_without_a_copy() -> None:
    body = Body.of(bytes(10 * PIECE_BYTES))
    assert Reader(body, 0).take_whole() is body.whole
    cut = Reader(body, 5).take_whole(10)
    assert isinstance(cut, memoryview) and (cut.obj, len(cut)) == (body.whole, 5)


def test_what_was_taken_of_a_body_in_its_place_stays_what_it_was() -> None:
    """Clients may have pieces of it long after it is whole."""

    async def run() -> None:
        for chunks in ((b"ab", b"cd"), (b"ab",), (b"ab", b"cde")):
            body = Body(kept=True)
            body.reserve(4)
            reader, came = Reader(body, 0), b"".join(chunks)
            taken = []
            for chunk in chunks:
                body.write(chunk)
                taken.append(reader.take())
            body.finish()
            assert body.whole == came and b"".join(taken) == came and not reader.take()

    asyncio.run(run())


def test_what_breaks_off_is_read_to_its_last_byte_and_no_further() -> None:
    async def run() -> None:
        body = Body(kept=True)
        body.write(b"a")
        body.break_off()
        reader = Reader(body, 0)
        assert reader.take() == b"a" and reader.take(1) == b""
        with pytest.raises(BodyBroken):
            reader.take()

    asyncio.run(run())


def test_one_that_takes_nothing_of_a_passing_body_is_cut_off_for_the_sake_of_one_that_waits_without_a_task() -> None:
    async def run() -> None:
        body, hungry = Body(kept=False), Called()
        slow, quick = Reader(body, 0), Reader(body, 0)
        body.write(bytes(PIECE_BYTES))
        body.write(bytes(WINDOW_BYTES))
        while quick.take():
            pass
        quick.call(hungry)
        began = asyncio.get_running_loop().time()
        assert await body.room()
        assert asyncio.get_running_loop().time() - began == LAGGING_S
        assert slow.cut_off and not quick.cut_off
        with pytest.raises(BodyBroken, match="too slow"):
            slow.take()

    run_virtually(run())
