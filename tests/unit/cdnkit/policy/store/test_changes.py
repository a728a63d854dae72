"""The ring of changes: what its readers find out, however late they read."""

import random

import pytest

from cdnkit.policy.store.changes import SLOTS, Changes, Seen, cells_needed, mark_of


def shared(services: int = 1) -> tuple[Changes, memoryview]:
    cells = memoryview(bytearray(8 * cells_needed(services))).cast("Q")
    return Changes(cells, services), cells


def test_a_reader_gets_each_mark_once_and_in_order() -> None:
    changes, cells = shared()
    seen, late = Seen(cells, 1), Seen(cells, 1)
    changes.of(0).changed("/a")
    assert seen.news() == [mark_of(0, "/a")]
    changes.of(0).changed("/b")
    changes.of(0).changed("/a")
    assert seen.news() == [mark_of(0, "/b"), mark_of(0, "/a")]
    assert seen.news() == []
    assert late.news() == [mark_of(0, "/a"), mark_of(0, "/b"), mark_of(0, "/a")]


def test_services_have_marks_of_their_own() -> None:
    assert mark_of(0, "/a") != mark_of(1, "/a")
    assert mark_of(1, "1\n/a") != mark_of(11, "/a")
    assert mark_of(0, "/\udc80") < 2**48  # half a surrogate pair, as a path may decode to


BEHIND = [  # marks that came before a reader looked, and whether it can name them
    (SLOTS - 1, True),
    (SLOTS, True),
    (SLOTS + 1, False),
    (3 * SLOTS, False),
]


@pytest.mark.parametrize(("marks", "named"), BEHIND)
def test_who_is_behind_by_more_than_the_ring_drops_everything(marks: int, named: bool) -> None:
    changes, cells = shared()
    seen = Seen(cells, 1)
    for n in range(marks):
        changes.add(n)
    assert seen.news() == (list(range(marks)) if named else None)
    changes.add(7)
    assert seen.news() == [7], "and goes on from there"


def test_many_changes_at_once_are_not_named() -> None:
    changes, cells = shared()
    seen = Seen(cells, 1)
    changes.add(1)
    changes.of(0).cleared()
    changes.add(2)
    assert seen.news() is None
    assert seen.news() == []


def test_a_slot_that_is_written_over_meanwhile_or_not_visible_yet_is_not_believed() -> None:
    changes, cells = shared()
    seen = Seen(cells, 1)
    changes.add(1)
    changes.add(2)
    cells[2 + SLOTS % SLOTS] ^= 1 << 48  # another lap's
    assert seen.news() is None


def test_what_was_read_before_a_change_is_known_to_be_old() -> None:
    changes, cells = shared()
    seen = Seen(cells, 1)
    before = changes.position
    changes.add(5)
    after = changes.position
    seen.news()
    assert seen.has_changed(5, before)
    assert not seen.has_changed(5, after)
    assert not seen.has_changed(6, before)
    for n in range(SLOTS):
        changes.add(n + 10)
    seen.news()
    assert seen.has_changed(6, before), "too long ago to say"


def test_the_events_that_are_over_are_by_service() -> None:
    changes, cells = shared(3)
    changes.publish(2, 17)
    seen = Seen(cells, 3)
    assert [seen.events(service) for service in range(3)] == [0, 0, 17]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_order_a_reader_never_misses_a_change(seed: int) -> None:
    """It holds the changes that it was told of against all that there were."""
    chance = random.Random(seed)
    changes, cells = shared()
    changes.position = cells[0] = SLOTS * (2**16 - 1) + chance.randrange(SLOTS)  # laps begin anew soon
    readers = [Seen(cells, 1) for _ in range(3)]
    missing: list[list[int]] = [[] for _ in readers]
    for _ in range(300):
        for _ in range(chance.choice([0, 1, 2, 50, SLOTS // 2])):
            mark = chance.randrange(2**48)
            changes.add(mark)
            for one in missing:
                one.append(mark)
        n = chance.randrange(3)
        news = readers[n].news()
        assert news is None or news == missing[n]
        missing[n].clear()
