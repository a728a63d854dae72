"""The memory of all open requests together: never more than its bound, and who holds most goes first."""

from hypothesis import given
from hypothesis import strategies as st

from origin.ingest.memory import Memory


def test_at_the_bound_all_stay_and_over_it_the_greediest_goes() -> None:
    memory, gone = Memory(100), list[str]()
    memory.hold("a", 60, lambda why: gone.append(f"a: {why}"))
    memory.hold("b", 40, lambda why: gone.append(f"b: {why}"))
    assert gone == []
    memory.hold("b", 41, lambda why: gone.append(f"b: {why}"))
    (one,) = gone
    assert one.startswith("a: found 101 bytes of media in open requests, and most of them (60) in this one, wanted at")
    assert memory.taken == 41
    memory.release("b")
    memory.release("b")
    assert memory.taken == 0


STEPS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 200) | st.none()), max_size=100)


@given(STEPS)
def test_whatever_they_hold_the_bound_is_kept(steps: list[tuple[int, int | None]]) -> None:
    memory, holding = Memory(300), dict[int, int]()

    def give_up(request: int) -> None:
        assert holding[request] == max(holding.values()), "the greediest"
        del holding[request]

    for request, size in steps:
        if size is None:
            memory.release(request)
            holding.pop(request, None)
        else:
            holding[request] = size
            memory.hold(request, size, lambda _, request=request: give_up(request))
        assert memory.taken == sum(holding.values()) <= 300
