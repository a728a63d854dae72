"""What of a track is in no segment, and which files have it."""

from origin.live.hand import Hand
from tests.unit.origin.live.test_stream import sound


def test_files_go_when_all_they_have_is_in_segments() -> None:
    hand = Hand()
    for n in range(3):
        hand.add(sound(n * 1024, 1))
    assert hand.count == 3
    name, count = hand.next_file(7), hand.count
    assert name == "hand-7-000001.bin"
    hand.stored(name, count)
    assert hand.count == 0 and hand.fresh == b""
    hand.add(sound(3 * 1024, 1))
    hand.parts.append(2048)
    hand.cut(2048)
    assert hand.over == [] and hand.parts == []
    hand.cut(3072)
    assert hand.over == [name]
    later = hand.next_file(7)
    hand.stored(later, 1)
    assert hand.close() == [name, later]


def test_what_was_cut_while_its_file_was_written_needs_no_file() -> None:
    hand = Hand()
    hand.add(sound(0, 1))
    name, count = hand.next_file(7), hand.count
    hand.cut(1024)
    hand.stored(name, count)
    assert hand.over == [name]


def test_what_ran_into_a_segment_is_in_no_file() -> None:
    hand = Hand()
    for n in range(1000):
        hand.add(sound(n * 1024, 1))
        hand.cut(n * 1024)
        assert hand.count <= 2
