"""Which fragments a track takes: fragments as values, virtual time."""

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from origin.live.reception import MOST_HELD, PATIENCE, REMEMBERED, Reception, Way
from origin.media.fragments import Fragment, of_samples
from origin.media.samples import NON_SYNC, Samples
from origin.media.tracks import Kind, Track

NOW = 1_800_000_000.0
RATE = 1000
LENGTH = 4.0
TRACK = Track(Kind.AUDIO, 1, RATE, "mp4a.40.2", sample_rate=RATE, channels=1)
PICTURES_TRACK = Track(Kind.VIDEO, 1, RATE, "avc1.64001f", width=640, height=360)
EPOCH = round(NOW) * RATE - 2000


def piece(start: int, duration: int = 1000, *, by: bytes = b"", key: bool = True) -> Fragment:
    """Samples of 100 ms; `by` makes the bytes one encoder's own. `key`: decoding may begin here."""
    count = max(1, duration // 100)
    flags = (0 if key else NON_SYNC,) * count
    table = Samples((duration // count,) * count, (4 + len(by),) * count, flags, (0,) * count)
    media = b"".join((start + n * 100).to_bytes(8, "big")[-4:] + by for n in range(count))
    return of_samples(table, 1, start, media)


@dataclass
class Desk:
    """A reception, and all that it said."""

    length: float = LENGTH
    track: Track = field(default_factory=lambda: TRACK)
    largest: int = 2**20
    published: list[Fragment] = field(default_factory=list)
    taken: list[tuple[int, int]] = field(default_factory=list)
    repeated: list[tuple[int, int]] = field(default_factory=list)
    refused: list[tuple[int, int]] = field(default_factory=list)
    holes: list[tuple[int, int]] = field(default_factory=list)
    now: float = NOW

    def __post_init__(self) -> None:
        self.senders = {"A"}
        self.reception = Reception(
            self.track,
            self.length,
            self.largest,
            self.senders,
            refuse=lambda fragments, why: self.refused.extend((one.start, one.end) for one in fragments),
            repeat=lambda one: self.repeated.append((one.start, one.end)),
            hole=lambda start, end: self.holes.append((start, end)),
        )

    def take(self, *fragments: Fragment, way: Way = Way.SEGMENTS, by: str = "A") -> list[tuple[int, int]]:
        self.senders.add(by)
        came = [one for f in fragments for one in self.reception.take(f, self.now, sender=by, way=way)]
        self.published += came
        spans = [(one.start, one.end) for one in came]
        self.taken += spans
        return spans

    def wait(self, seconds: float) -> list[tuple[int, int]]:
        self.now += seconds
        came = list(self.reception.expire(self.now))
        self.published += came
        spans = [(one.start, one.end) for one in came]
        self.taken += spans
        return spans


ORDERS = [  # given the seconds that fragments of 1 s begin at, then what is taken, repeated, held
    ([0, 1, 2], [0, 1, 2], [], 0),
    ([0, 1, 1, 2], [0, 1, 2], [1], 0),
    ([0, 1, 2, 0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2], 0),
    ([0, 2, 1], [0, 1, 2], [], 0),
    ([0, 3, 2, 2, 1], [0, 1, 2, 3], [2], 0),
    ([0, 2, 4], [0], [], 2),
    ([0, 2, 4, 1], [0, 1, 2], [], 1),
    ([5, 5, 6], [5, 6], [5], 0),
]


@pytest.mark.parametrize(("order", "taken", "repeated", "held"), ORDERS)
@pytest.mark.parametrize("origin", [0, EPOCH])
def test_requests_in_any_order(order: list[int], taken: list[int], repeated: list[int], held: int, origin: int) -> None:
    desk = Desk()
    desk.take(*(piece(origin + 1000 * second) for second in order))
    assert [(start - origin) // 1000 for start, _ in desk.taken] == taken
    assert [(start - origin) // 1000 for start, _ in desk.repeated] == repeated
    assert desk.reception.held == held
    assert desk.refused == desk.holes == []


def test_a_hole_is_waited_for_three_segments_and_then_named() -> None:
    desk = Desk()
    desk.take(piece(0), piece(2000), piece(5000))
    assert desk.wait(PATIENCE * LENGTH - 0.1) == []
    assert desk.wait(0.1) == [(2000, 3000)]
    assert desk.holes == [(1000, 2000)]
    assert desk.wait(PATIENCE * LENGTH - 0.1) == [], "the next hole has its own time"
    assert desk.take(piece(3000, 2000)) == [(3000, 5000), (5000, 6000)]
    assert desk.take(piece(1000)) == [] and desk.refused == [(1000, 2000)], "too late, and no jump"
    assert desk.take(piece(6000)) == [(6000, 7000)]


def test_a_last_sample_of_duration_0_is_nothing_to_wait_for() -> None:
    desk = Desk()

    def open_ended(start: int) -> Fragment:
        table = Samples((100,) * 9 + (0,), (4,) * 10, (0,) * 10, (0,) * 10)
        return of_samples(table, 1, start, bytes(40))

    assert desk.take(*map(open_ended, (0, 1000, 2000))) == [(0, 900), (1000, 1900), (2000, 2900)]
    assert desk.take(open_ended(4000)) == [], "more than a sample is missing"
    assert desk.take(piece(3000)) == [(3000, 4000), (4000, 4900)] and desk.holes == []


def test_fragments_of_one_sample_in_any_order() -> None:
    desk = Desk()
    assert desk.take(*(piece(100 * n, 100) for n in (0, 2, 1, 3))) == [(n * 100, n * 100 + 100) for n in range(4)]


def test_a_fragment_far_ahead_is_a_jump_and_not_a_hole() -> None:
    desk = Desk()
    desk.take(piece(0))
    desk.take(piece(2000))
    assert desk.take(piece(3_600_000)) == [(2000, 3000), (3_600_000, 3_601_000)], "what waited comes first"
    assert desk.take(piece(3_614_000)) == [(3_614_000, 3_615_000)], "nor after that"


def test_a_sole_encoder_that_sends_in_order_is_never_waited_for() -> None:
    desk = Desk()
    assert desk.take(piece(0), piece(2000), way=Way.ENDLESS) == [(0, 1000), (2000, 3000)]
    assert desk.take(piece(500), way=Way.ENDLESS) == [(500, 1500)], "its clock was set back"
    assert desk.take(piece(1500), way=Way.ENDLESS) == [(1500, 2500)]


def test_times_set_back_to_what_came_before_are_no_repeat_if_the_bytes_are_others() -> None:
    desk = Desk()
    desk.take(piece(0), piece(1000), way=Way.ENDLESS)
    assert desk.take(piece(0, by=b"x"), piece(1000, by=b"x"), way=Way.ENDLESS) == [(0, 1000), (1000, 2000)]
    assert desk.take(piece(1000, by=b"x"), way=Way.ENDLESS) == [] and len(desk.repeated) == 1


def test_redundant_encoders_that_cut_differently_give_each_sample_once() -> None:
    desk = Desk()
    desk.take(piece(EPOCH), piece(EPOCH + 1000), way=Way.ENDLESS)
    assert desk.take(piece(EPOCH + 500, 2000, by=b"B"), by="B", way=Way.ENDLESS) == []
    desk.senders.discard("A")
    assert desk.wait(0.5) == [(EPOCH + 2000, EPOCH + 2500)], "A is gone"
    assert desk.repeated == [(EPOCH + 500, EPOCH + 2000)]
    assert desk.take(piece(EPOCH + 1000, 1500), by="A", way=Way.ENDLESS) == []
    assert desk.repeated[-1] == (EPOCH + 1000, EPOCH + 2500), "received in other fragments"


def test_rounding_is_no_hole_and_no_repeat() -> None:
    desk = Desk()
    assert desk.take(piece(0), piece(1020), piece(1990)) == [(0, 1000), (1020, 2020), (1990, 2990)]
    assert desk.repeated == []


CONTINUES = [  # given where a new sender begins, and how it sends, after fragments from 0 to 20 s; then
    (20_000, b"", Way.ENDLESS, True),
    (20_020, b"", Way.ENDLESS, True),
    (17_000, b"", Way.ENDLESS, True),  # the last ones again
    (17_000, b"x", Way.ENDLESS, False),  # the same time, and something else
    (7_000, b"", Way.ENDLESS, False),  # more than three segments ago
    (0, b"", Way.ENDLESS, False),  # from its own beginning
    (22_000, b"", Way.ENDLESS, False),
    (22_000, b"", Way.SEGMENTS, True),  # what is missing may follow
    (33_000, b"", Way.SEGMENTS, False),
    (19_500, b"", Way.SEGMENTS, False),
]


@pytest.mark.parametrize(("start", "by", "way", "then"), CONTINUES)
def test_a_sender_that_comes_back(start: int, by: bytes, way: Way, then: bool) -> None:
    desk = Desk()
    desk.take(*(piece(1000 * second) for second in range(20)))
    assert desk.reception.continues(piece(start, by=by), desk.now, way) is then


def test_a_sender_that_comes_back_at_once_from_its_beginning() -> None:
    desk = Desk()
    desk.take(piece(0, 40))
    assert not desk.reception.continues(piece(0, 40), desk.now, Way.ENDLESS)


def test_an_epoch_locked_sender_continues_wherever_the_wall_clock_is() -> None:
    desk = Desk()
    desk.take(piece(EPOCH))
    assert desk.reception.continues(piece(EPOCH + 20_000), desk.now, Way.ENDLESS)
    assert desk.reception.continues(piece(EPOCH), desk.now, Way.ENDLESS)
    assert not desk.reception.continues(piece(0), desk.now, Way.ENDLESS)


def test_its_memory_is_bounded() -> None:
    desk = Desk()
    desk.take(*(piece(100 * n, 100) for n in range(3 * REMEMBERED)))
    assert desk.reception.remembered == REMEMBERED
    assert desk.take(piece(0, 100)) == [(0, 100)], "so long ago that it is another timeline"


def test_what_waits_is_bounded_in_number() -> None:
    desk = Desk()
    desk.take(piece(0, 100))
    desk.take(*(piece(1000 + 10 * n, 10) for n in range(MOST_HELD)))
    assert (desk.reception.held, desk.taken) == (MOST_HELD, [(0, 100)])
    desk.take(piece(1000 + 10 * MOST_HELD, 10))
    assert desk.reception.held == 0 and len(desk.taken) == MOST_HELD + 2, "the hole is given up"
    assert desk.holes == [(100, 1000)]


def test_what_waits_is_bounded_in_bytes() -> None:
    desk = Desk(largest=5 * len(piece(0).data))
    desk.take(piece(0), *(piece(2000 + 1000 * n) for n in range(5)))
    assert desk.reception.held == 5
    desk.take(piece(7000))
    assert desk.reception.held == 0 and desk.holes == [(1000, 2000)]


@dataclass
class Encoder:
    """What one of two redundant encoders delivers: its cuts, what it loses and repeats, how it reorders."""

    cuts: list[int]
    lost: set[int]
    repeats: set[int]
    swaps: set[int]

    def delivers(self, total: int) -> list[Fragment]:
        edges, at = [0], 0
        while edges[-1] < total:
            edges.append(min(total, edges[-1] + 100 * self.cuts[at % len(self.cuts)]))
            at += 1
        fragments = [piece(EPOCH + a, b - a) for a, b in itertools.pairwise(edges)]
        kept = [one for n, one in enumerate(fragments) if n not in self.lost]
        for n in sorted(self.swaps):
            if n + 1 < len(kept):
                kept[n], kept[n + 1] = kept[n + 1], kept[n]
        return [one for n, one in enumerate(kept) for _ in range(2 if n in self.repeats else 1)]


def samples(spans: list[tuple[int, int]]) -> list[int]:
    return [at for start, end in spans for at in range(start, end, 100)]


numbers = st.sets(st.integers(0, 14), max_size=5)
encoders = st.builds(
    Encoder,
    st.lists(st.integers(1, 15), min_size=1, max_size=4),
    numbers,
    numbers,
    st.sets(st.integers(0, 12), max_size=3),
)


@settings(max_examples=200, deadline=None)
@given(
    encoders,
    encoders,
    st.lists(st.booleans(), max_size=60),
    st.booleans(),
    st.sets(st.integers(0, 60)),
    st.sampled_from([0.5, 4.0]),
)
def test_two_senders_in_any_order(
    one: Encoder, other: Encoder, turns: list[bool], same: bool, pauses: set[int], length: float
) -> None:
    """Whatever they lose, repeat, reorder: samples go out in order, none twice; what is missing, nobody delivered."""
    if same:
        other.cuts = one.cuts
    queues = {True: one.delivers(10_000), False: other.delivers(10_000)}
    desk = Desk(length=length)
    came: list[tuple[int, int]] = []
    for n, turn in enumerate([*turns, *[True] * 60, *[False] * 60]):
        if queues[turn]:
            fragment = queues[turn].pop(0)
            came.append((fragment.start, fragment.end))
            desk.take(fragment, by="AB"[turn])
            if n in pauses:
                desk.wait(1.5)
    desk.wait(PATIENCE * LENGTH)
    desk.wait(PATIENCE * LENGTH)
    while desk.reception.held:
        desk.wait(PATIENCE * LENGTH)
    out = samples(desk.taken)
    assert out == sorted(set(out)), "in order, none twice"
    assert set(out) <= set(samples(came)), "nothing is made up"
    named = set(samples(desk.refused))
    missing = set(samples(came)) - set(out) - named
    assert not missing, "each sample that came goes out, or its refusal is named"
    held_up = [at for start, end in desk.holes for at in range(start, end, 100)]
    assert not set(held_up) & set(out)
    late = [at for at in named if at not in held_up and at > out[0]]
    assert not late, "only what a hole was given up for, or what comes before the first one, is too late"


def pictures(by: bytes, count: int, *, gop: int = 4) -> list[Fragment]:
    return [piece(EPOCH + 1000 * n, by=by, key=n % gop == 0) for n in range(count)]


def by_whom(desk: Desk) -> str:
    """Who sent each fragment that was taken."""
    return "".join(chr(one.data[-1]) for one in desk.published)


PICTURES = [  # given the order in which fragments of two encoders come, then whose are taken; a key frame in each fourth
    ("ABABABABABABABAB", "AAAAAAAA"),
    ("ABABABABBABABABA", "AAAABBBB"),  # B's second key frame is the first to come
    ("ABBBBABABABBBAAA", "AAAABBBBB"),  # A is a little behind, and at last B's key frame comes before its own
    ("ABBB BBBBB", "A"),
    ("ABBB BBBBB BBB", "ABBBBBBBBBB"),  # A is a group of pictures behind
]


@pytest.mark.parametrize(("order", "taken"), PICTURES)
def test_a_group_of_pictures_is_one_encoders(order: str, taken: str) -> None:
    desk = Desk(track=PICTURES_TRACK)
    left = {who: pictures(who.encode(), 12) for who in "AB"}
    for who in order.replace(" ", ""):
        desk.take(left[who].pop(0), by=who, way=Way.ENDLESS)
    assert by_whom(desk) == taken


def test_when_the_leader_is_gone_the_other_goes_on_in_the_middle() -> None:
    desk = Desk(track=PICTURES_TRACK)
    a, b = pictures(b"A", 8), pictures(b"B", 8)
    desk.take(*a[:2], by="A", way=Way.ENDLESS)
    desk.take(*b[:4], by="B", way=Way.ENDLESS)
    assert by_whom(desk) == "AA"
    desk.senders.discard("A")
    desk.wait(0.5)
    assert by_whom(desk) == "AABB"


def test_an_encoder_that_is_always_a_little_ahead_takes_over_at_no_other_time_than_with_a_key_frame() -> None:
    desk = Desk(track=PICTURES_TRACK)
    a, b = pictures(b"A", 40), pictures(b"B", 40)
    desk.take(a[0], by="A", way=Way.ENDLESS)
    desk.take(*b[:2], by="B", way=Way.ENDLESS)
    for n in range(1, 4):
        desk.wait(PATIENCE * LENGTH / 2)  # something is held all the time, and never for so long
        desk.take(a[n], by="A", way=Way.ENDLESS)
        desk.take(b[n + 1], by="B", way=Way.ENDLESS)
    assert by_whom(desk) == "AAAAB"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.booleans(), max_size=60))
def test_groups_of_pictures_are_never_mixed_while_both_send(turns: list[bool]) -> None:
    desk = Desk(track=PICTURES_TRACK)
    left = {who: pictures(who.encode(), 16) for who in "AB"}
    for turn in turns:
        who = "AB"[turn]
        if left[who] and abs(len(left[who]) - 1 - len(left["BA"[turn]])) < 4:  # neither is a group behind
            desk.take(left[who].pop(0), by=who, way=Way.ENDLESS)
    groups = [by_whom(desk)[at : at + 4] for at in range(0, len(desk.published), 4)]
    assert all(len(set(group)) == 1 for group in groups), groups
    assert [start for start, _ in desk.taken] == [EPOCH + 1000 * n for n in range(len(desk.taken))]


def test_sound_is_one_encoders_until_that_is_a_segment_behind() -> None:
    desk = Desk(length=2.0)
    sound = {who: [piece(EPOCH + 500 * n, 500, by=who.encode()) for n in range(20)] for who in "AB"}
    left = {who: iter(sound[who]) for who in "AB"}
    for who in "ABABBABBA" + "BBBB" + "B":
        desk.take(next(left[who]), by=who, way=Way.ENDLESS)
    assert by_whom(desk) == "AAAABBBBBB"
    assert desk.repeated and not desk.refused


@pytest.mark.parametrize("track", [TRACK, PICTURES_TRACK], ids=["sound", "pictures"])
def test_what_the_leader_has_lost_is_the_others(track: Track) -> None:
    desk = Desk(track=track)
    a, b = pictures(b"A", 4), pictures(b"B", 4)
    desk.take(a[0], by="A")
    desk.take(b[1], by="B")
    assert by_whom(desk) == "A"
    desk.take(a[2], by="A")
    assert by_whom(desk) == "AB", "and now the other leads"
    desk.take(b[2], by="B")
    assert by_whom(desk) == "ABB"
