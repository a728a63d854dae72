"""Who feeds a track: encoders that come, share it, go, come back or take it over, in virtual time."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from origin.errors import BadMedia
from origin.live.account import MOST_COMPLAINTS, Complaint
from origin.live.feeds import MOST_SENDERS, Sender
from origin.live.reception import PATIENCE, Way
from origin.live.session import State
from origin.live.stream import Stream
from origin.media.fragments import Fragment
from origin.media.tracks import InitSection
from tests.unit.origin.live.test_stream import NOW, Lab, audio, audio_init, video, video_init

STALLED = 60.0
GRACE = PATIENCE * 1.0
EPOCH = round(NOW) * 30_000


@dataclass
class House(Lab):
    """A stream with its feeds, and what its encoders were told."""

    told: list[Sender] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stream = Stream("live", length=1.0, target=1, largest=2**20, stalled=STALLED)
        self.feeds = self.stream.feeds

    def endless(self, track: str, init: InitSection | None = None) -> Sender:
        """A request that has sent an init section."""
        init = init or (audio_init() if track.startswith("audio") else video_init(int(track[:-1])))
        sender = Sender(track, init, Way.ENDLESS, lambda: self.told.append(sender), self.now)
        return self.feeds.expect(sender)

    def header(self, track: str, connection: object, init: InitSection | None = None) -> Sender:
        """A request that was an init section."""
        sender = self.endless(track, init)
        self.feeds.keep(sender, connection)
        return sender

    def send(self, sender: Sender, fragments: Iterable[Fragment]) -> None:
        for fragment in fragments:
            assert self.feeds.push(sender, fragment, self.now)

    def segment(self, track: str, connection: object, fragments: Iterable[Fragment]) -> Sender:
        """A request that is media alone."""
        sender = self.feeds.sender_of(track, connection, self.now)
        assert sender is not None, "412"
        self.send(sender, fragments)
        return sender

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.feeds.tick(self.now)

    def media(self, track: str) -> list[tuple[float, int]]:
        """(start, discontinuity) of what is listed."""
        return [(one.start, one.discontinuity) for one in self.listed(track).listed if not one.gap]


def numbers(house: House, *tracks: str) -> list[set[int]]:
    return [{one.number for one in house.listed(track).listed} for track in tracks]


def test_a_connection_that_breaks_and_comes_back_goes_on_as_if_nothing_had_been() -> None:
    house = House()
    pictures, sound = house.endless("720p"), house.endless("audio-128k")
    v, a = video(6), audio(6)
    house.send(pictures, v[:5])
    house.send(sound, a[:5])
    house.feeds.leave(pictures, State.BROKEN, house.now)
    house.wait(0.5)
    house.feeds.leave(sound, State.BROKEN, house.now)
    house.wait(0.5)
    again, sound_again = house.endless("720p"), house.endless("audio-128k")
    house.send(again, v[3:])  # the last two again
    house.wait(1.0)
    house.send(sound_again, a[5:])
    for sender in (again, sound_again):
        house.feeds.leave(sender, State.ENDED, house.now)
    assert {disc for track in ("720p", "audio-128k") for _, disc in house.media(track)} == {0}
    pictures_out, sound_out = house.stream.accounts["720p"], house.stream.accounts["audio-128k"]
    assert (pictures_out.received, pictures_out.published, pictures_out.repeated) == (180, 180, 30)
    assert sound_out.received == sound_out.published and sound_out.repeated == 0
    assert house.stream.ended and house.told == []


def test_nobody_comes_back_and_what_is_complete_is_published() -> None:
    house = House()
    sender = house.endless("720p")
    house.send(sender, video(2.5))
    house.feeds.leave(sender, State.BROKEN, house.now)
    assert len(house.media("720p")) == 2
    house.wait(GRACE - 0.01)
    assert len(house.media("720p")) == 2
    house.wait(0.01)
    assert len(house.media("720p")) == 3 and not house.stream.ended and house.feeds.is_idle


def test_an_encoder_that_begins_from_its_own_beginning_is_a_new_generation() -> None:
    house = House()
    first = house.endless("720p")
    house.send(first, video(2.5))
    house.feeds.leave(first, State.BROKEN, house.now)
    house.send(house.endless("720p"), video(3))
    assert [disc for _, disc in house.media("720p")] == [0, 0, 0, 1, 1]


def test_after_the_grace_nothing_continues() -> None:
    house = House()
    first = house.endless("720p")
    house.send(first, video(3))
    house.feeds.leave(first, State.BROKEN, house.now)
    house.wait(GRACE)
    house.send(house.endless("720p"), video(6)[6:])
    assert {disc for _, disc in house.media("720p")} == {0, 1}


def test_another_encoder_that_took_over_in_between() -> None:
    house = House()
    first = house.endless("720p")
    house.send(first, video(3))
    house.feeds.leave(first, State.BROKEN, house.now)
    other = house.endless("720p", video_init(720, b"other"))
    house.send(other, video(3, start=7_000_000))
    house.send(house.endless("720p"), video(6)[6:])
    assert [disc for _, disc in house.media("720p")] == [0, 0, 0, 1, 1, 1, 2, 2]
    assert house.told == [other]


def test_the_same_encoder_on_a_new_connection_before_the_old_one_is_seen_to_break() -> None:
    house = House()
    first = house.endless("720p")
    house.send(first, video(3))
    second = house.endless("720p")
    house.send(second, video(6)[5:])
    assert house.told == [first], "409 on the old connection"
    house.feeds.leave(first, State.BROKEN, house.now)
    house.wait(GRACE + 1)
    house.feeds.leave(second, State.ENDED, house.now)
    assert {disc for _, disc in house.media("720p")} == {0} and house.stream.ended


def test_an_old_encoder_and_a_new_one_that_are_not_locked_to_the_clock() -> None:
    house = House()
    first, sound = house.endless("720p"), house.endless("audio-128k")
    house.send(first, video(3))
    house.send(sound, audio(3))
    house.send(house.endless("720p"), video(2))
    assert set(house.told) == {first, sound}
    assert not house.feeds.push(sound, audio(4)[6], house.now)


def test_redundant_encoders_share_a_track_and_one_may_die() -> None:
    house = House()
    one, other = house.endless("720p"), house.endless("720p")
    v = video(8, frame=1000, start=EPOCH)
    for early, late in zip(v[:8], [None, None, *v], strict=False):
        house.send(one, [early])
        house.send(other, [late] if late else [])
    house.feeds.leave(one, State.BROKEN, house.now)
    house.wait(GRACE + 1)
    house.send(other, v[6:12])
    again = house.endless("720p")  # it comes back, with a hole that the other one has filled
    house.send(again, v[12:14])
    house.send(other, v[12:])
    house.feeds.leave(again, State.ENDED, house.now)
    assert not house.stream.ended, "the other one sends on"
    house.feeds.leave(other, State.ENDED, house.now)
    account = house.stream.accounts["720p"]
    assert (account.received, account.published, account.refused) == (240, 240, 0)
    assert account.repeated == 15 * (6 + 2 + 2)
    assert {disc for _, disc in house.media("720p")} == {0}
    assert house.stream.ended and house.told == []


def test_when_the_last_redundant_encoder_breaks_it_is_an_interruption() -> None:
    house = House()
    one, other = house.endless("720p"), house.endless("720p")
    v = video(4, frame=1000, start=EPOCH)
    house.send(one, v[:3])
    house.send(other, v[:3])
    house.feeds.leave(one, State.ENDED, house.now)
    house.feeds.leave(other, State.BROKEN, house.now)
    house.wait(GRACE)
    assert not house.stream.ended
    assert len(house.media("720p")) == 2, "one and a half segments: all of it"


def test_a_redundant_encoder_with_another_configuration_is_another_encoder() -> None:
    house = House()
    one, other = house.endless("720p"), house.endless("720p", video_init(480))
    house.send(one, video(3, frame=1000, start=EPOCH))
    house.send(other, video(3, frame=1000, start=EPOCH))
    assert house.told == [one]


def test_init_sections_that_differ_in_nothing_a_decoder_reads_are_alike() -> None:
    house = House()
    one, other = house.endless("720p"), house.endless("720p", video_init(720, b"another comment in udta"))
    v = video(3, frame=1000, start=EPOCH)
    house.send(one, v)
    house.send(other, v)
    assert house.told == [] and house.stream.accounts["720p"].repeated == 90


def test_a_request_for_each_segment() -> None:
    house = House()
    for track in ("720p", "audio-128k"):
        house.header(track, f"{track}'s")
    assert house.feeds.expected == {"720p", "audio-128k"}
    v, a = video(6), audio(6)
    for n in range(0, 12, 2):
        house.segment("720p", "720p's", v[n : n + 2])
        house.segment("audio-128k", "audio-128k's", a[n : n + 2])
        house.wait(1.0)
    assert not house.stream.ended and not house.feeds.expected
    for track in ("720p", "audio-128k"):
        sender = house.feeds.sender_of(track, f"{track}'s", house.now)
        assert sender is not None
        house.feeds.leave(sender, State.ENDED, house.now)
    assert house.stream.ended
    assert len(house.media("720p")) == 6 and {disc for _, disc in house.media("audio-128k")} == {0}
    assert house.feeds.sender_of("720p", "720p's", house.now) is None, "412: what comes now needs its header again"


def test_a_connection_for_each_request() -> None:
    house = House()
    connections = itertools.count()
    house.header("720p", next(connections))
    for n in range(0, 8, 2):
        house.segment("720p", next(connections), video(4)[n : n + 2])
    assert [start for start, _ in house.media("720p")] == pytest.approx([0, 1.001, 2.002])


def test_media_without_an_init_section_is_for_nobody() -> None:
    house = House()
    assert house.feeds.sender_of("720p", 1, house.now) is None


def test_requests_out_of_order_and_one_that_never_comes() -> None:
    house = House()
    house.header("720p", 1)
    v = video(10)
    for n in (0, 4, 2, 8):
        house.segment("720p", n, v[n : n + 2])
    house.wait(GRACE)
    house.segment("720p", 1, v[6:8])  # too late
    house.segment("720p", 1, v[10:])
    account = house.stream.accounts["720p"]
    said = [str(one) for one in account.complaints]
    assert said[0] == "nothing came for 3.003 s to 4.004 s: a discontinuity"
    assert said[1].startswith("30 pictures from 3.003 s to 4.004 s are not published: too late")
    assert (account.received, account.refused) == (300, 30)
    assert [disc for _, disc in house.media("720p")] == [0, 0, 0, 1, 1, 1, 1, 1]


def test_a_sender_that_is_silent_is_gone_after_a_while() -> None:
    house = House()
    house.header("720p", 1)
    house.segment("720p", 1, video(2.5))
    house.wait(STALLED - 1)
    assert not house.feeds.is_idle
    house.wait(1)
    assert house.feeds.is_idle and not house.stream.ended
    assert len(house.media("720p")) == 3
    assert house.feeds.sender_of("720p", 1, house.now) is None


def test_an_init_section_alone_is_waited_for_and_then_forgotten() -> None:
    house = House()
    house.header("720p", 1)
    assert not house.feeds.is_idle and house.stream.awaited
    assert house.stream.tracks_in_use == {"720p"}, "it counts among the tracks that a stream may have"
    house.wait(STALLED)
    assert house.feeds.is_idle and not house.stream.awaited


def test_the_same_init_section_again_changes_nothing() -> None:
    house = House()
    house.header("720p", 1)
    v = video(6)
    house.segment("720p", 1, v[:4])
    house.header("720p", 1)
    house.segment("720p", 1, v[2:8])
    house.header("720p", 2)  # on a new connection
    house.segment("720p", 2, v[8:])
    assert {disc for _, disc in house.media("720p")} == {0} and house.stream.accounts["720p"].repeated == 30


def test_a_restarted_encoder_with_a_request_for_each_segment() -> None:
    house = House()
    for track in ("720p", "audio-128k"):
        house.header(track, track)
        house.segment(track, track, (video if track == "720p" else audio)(3))
    for track in ("720p", "audio-128k"):
        house.header(track, f"{track} again")
    for track in ("720p", "audio-128k"):
        house.segment(track, f"{track} again", (video if track == "720p" else audio)(3))
    assert {disc for _, disc in house.media("720p")} == {disc for _, disc in house.media("audio-128k")} == {0, 1}
    (before, sound_before), (pictures, sound) = (
        numbers(house, "720p", "audio-128k"),
        numbers(house, "720p", "audio-128k"),
    )
    assert before == pictures and sound_before == sound


def test_an_encoder_that_was_superseded_is_told_with_each_request() -> None:
    house = House()
    old = house.header("720p", 1)
    house.segment("720p", 1, video(2))
    house.header("720p", 2, video_init(480))
    house.segment("720p", 2, video(2))
    assert house.feeds.sender_of("720p", 1, house.now) is old
    assert not house.feeds.push(old, video(3)[4], house.now)
    assert house.feeds.is_fed("720p"), "409"


def test_a_sibling_of_a_track_that_was_taken_over_may_join_with_its_init_section() -> None:
    """The pictures' connection broke for long; the sound's did not."""
    house = House()
    for track in ("720p", "audio-128k"):
        house.header(track, track)
        house.segment(track, track, (video if track == "720p" else audio)(3))
    house.header("720p", "720p again")
    house.segment("720p", "720p again", video(3, start=30_000 * 100))
    sound = house.feeds.sender_of("audio-128k", "audio-128k", house.now)
    assert sound is not None
    late = audio(4, start=48_000 * 100)
    assert not house.feeds.push(sound, late[0], house.now) and not house.feeds.is_fed("audio-128k"), "412"
    house.header("audio-128k", "audio-128k")
    house.segment("audio-128k", "audio-128k", late)
    assert [start for start, disc in house.media("audio-128k") if disc] == pytest.approx([100.0, 101.0], abs=0.02)


def test_an_interrupted_track_goes_on_and_its_siblings_come_along() -> None:
    house = House()
    v, a = video(70, frame=1000, start=EPOCH), audio(70, start=EPOCH // 30_000 * 48_000)
    for track, media in (("720p", v), ("audio-128k", a)):
        house.header(track, track)
        house.segment(track, track, media[:6])
    for n in range(6, 130, 2):
        house.wait(1.0)
        house.segment("audio-128k", "audio-128k", a[n : n + 2])
    assert house.feeds.live == {"audio-128k"}
    house.header("720p", "720p")
    house.segment("720p", "720p", v[130:])
    house.segment("audio-128k", "audio-128k", a[130:])
    assert house.told == []
    assert {disc for _, disc in house.media("720p")} == {disc for _, disc in house.media("audio-128k")} == {0, 1}
    account = house.stream.accounts["audio-128k"]
    assert account.received == len(a) * 24 and account.refused == 0


def test_one_of_two_redundant_encoders_with_a_request_for_each_segment_ends() -> None:
    house = House()
    v = video(8, frame=1000, start=EPOCH)
    for connection in "AB":
        house.header("720p", connection)
    for n in range(0, 8, 2):
        for connection in "AB":
            house.segment("720p", connection, v[n : n + 2])
    last = house.segment("720p", "A", v[8:10])
    house.feeds.leave(last, State.ENDED, house.now)
    assert not house.stream.ended
    house.segment("720p", "B", v[8:12])
    house.wait(GRACE - 1)
    last = house.segment("720p", "B", v[12:14])
    house.feeds.leave(last, State.ENDED, house.now)
    assert house.stream.ended and house.stream.accounts["720p"].published == 210


def test_a_stale_connection_does_not_keep_a_track_from_its_end() -> None:
    """The encoder connected again; nobody will end the track on the connection that it lost."""
    house = House()
    v = video(8, frame=1000, start=EPOCH)
    house.header("720p", "lost")
    house.segment("720p", "lost", v[:4])
    house.header("720p", "new")
    last = house.segment("720p", "new", v[4:8])
    house.feeds.leave(last, State.ENDED, house.now)
    assert not house.stream.ended
    house.wait(GRACE)
    assert house.stream.ended


def test_what_a_late_redundant_encoder_sends_of_a_track_that_has_ended_begins_nothing() -> None:
    house = House()
    v = video(4, frame=1000, start=EPOCH)
    house.send(one := house.endless("720p"), v)
    house.feeds.leave(one, State.ENDED, house.now)
    other = house.endless("720p")
    house.send(other, v[-2:])
    house.feeds.leave(other, State.ENDED, house.now)
    assert house.stream.ended and {disc for _, disc in house.media("720p")} == {0}
    assert house.stream.accounts["720p"].repeated == 30


def test_the_last_segment_before_the_one_that_it_follows() -> None:
    house = House()
    house.header("720p", 1)
    v = video(4)
    house.segment("720p", 1, v[:4])
    last = house.segment("720p", 2, v[6:])
    house.feeds.leave(last, State.ENDED, house.now)
    assert not house.stream.ended
    house.segment("720p", 3, v[4:6])
    house.wait(GRACE)
    assert house.stream.ended and {disc for _, disc in house.media("720p")} == {0}
    assert house.stream.accounts["720p"].published == 120


def test_the_last_segment_after_one_that_never_comes() -> None:
    house = House()
    house.header("720p", 1)
    v = video(4)
    house.segment("720p", 1, v[:4])
    house.feeds.leave(house.segment("720p", 2, v[6:]), State.ENDED, house.now)
    house.wait(GRACE)
    assert house.stream.ended and {disc for _, disc in house.media("720p")} == {0, 1}


def test_senders_are_bounded() -> None:
    house = House()
    for connection in range(3 * MOST_SENDERS):
        house.header("720p", connection)
        house.now += 0.1
    assert len(house.stream.awaited) == MOST_SENDERS
    assert sum(house.feeds.sender_of("720p", one, house.now) is not None for one in range(3 * MOST_SENDERS))


def test_media_that_cannot_be_cut_breaks_the_track_off_and_names_all_of_it() -> None:
    house = House()
    sender = house.endless("720p")
    v = video(9, gop=300)
    with pytest.raises(BadMedia, match="no key frame"):
        house.send(sender, v)
    house.feeds.leave(sender, State.BROKEN, house.now, waits=False)
    account = house.stream.accounts["720p"]
    assert account.received == account.refused > 0 and house.feeds.is_idle


def test_an_init_section_in_the_middle_supersedes_who_sent_the_other_one() -> None:
    house = House()
    one, other = house.endless("720p"), house.endless("720p")
    v = video(4, frame=1000, start=EPOCH)
    house.send(one, v[:4])
    house.send(other, v[:4])
    house.feeds.renew(one, video_init(720), house.now)
    house.send(other, v[4:5])
    house.feeds.renew(one, video_init(480), house.now)
    house.send(one, v[4:])
    assert house.told == [other]
    assert {disc for _, disc in house.media("720p")} == {0, 1}


def test_closing_publishes_what_waits() -> None:
    house = House()
    house.header("720p", 1)
    v = video(6)
    house.segment("720p", 1, [*v[:2], *v[4:6]])
    house.feeds.close(house.now)
    assert len(house.media("720p")) == 2 and house.feeds.is_idle


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["send"] * 8 + ["again", "skip", "break", "end", "header", "restart", "wait", "long wait", "renew"]
        ),
        st.sampled_from(["720p", "360p", "audio-128k"]),
        st.sampled_from("AB"),
        st.integers(1, 6),
    ),
    max_size=70,
)


@settings(max_examples=200, deadline=None)
@given(STEPS, st.booleans(), st.booleans())
def test_whatever_senders_do_each_sample_is_accounted_for(
    steps: list[tuple[str, str, str, int]], locked: bool, endless: bool
) -> None:
    """Two encoders of three tracks, with a request for each segment or without end, that do as they like."""
    house = House()
    senders: dict[tuple[str, str], Sender] = {}
    at: dict[tuple[str, str], int] = {}
    media = {
        track: (audio if track.startswith("audio") else video)(
            60, start=EPOCH // 30_000 * (48_000 if track.startswith("audio") else 30_000) if locked else 0
        )
        for track in ("720p", "360p", "audio-128k")
    }
    for what, track, who, count in steps:
        key = (track, who)
        sender = senders.get(key)
        if what in ("header", "restart") or (sender is None and what in ("send", "again", "skip")):
            senders[key] = house.endless(track) if endless else house.header(track, who)
            at[key] = 0 if what == "restart" else at.get(key, 0)
        elif what == "wait":
            house.wait(count / 2)
        elif what == "long wait":
            house.wait(STALLED / 2)
        elif sender is None:
            continue
        elif what == "end" or what == "break":
            house.feeds.leave(senders.pop(key), State.ENDED if what == "end" else State.BROKEN, house.now)
        elif what == "renew" and endless:
            house.feeds.renew(
                sender, audio_init(b"x") if track.startswith("audio") else video_init(90, b"x"), house.now
            )
        else:
            at[key] = max(0, at[key] - count) if what == "again" else at[key] + (count if what == "skip" else 0)
            piece = media[track][at[key] : at[key] + count]
            at[key] += count
            try:
                for fragment in piece:
                    if not house.feeds.push(sender, fragment, house.now):
                        senders.pop(key, None)
                        break
            except BadMedia:
                senders.pop(key, None)
                house.feeds.leave(sender, State.BROKEN, house.now, waits=False)
    house.feeds.close(house.now)
    assert not house.feeds.live
    for track, account in house.stream.accounts.items():
        assert account.received == account.published + account.refused, track
        named = sum(one.samples for one in account.complaints if isinstance(one, Complaint))
        assert account.refused == named or len(account.complaints) == MOST_COMPLAINTS
        out = [item for item in house.stream.outbox.get(track, ()) if item.segment is not None]
        times: dict[int, list[int]] = {}
        for item in out:
            assert item.entry is not None and item.segment is not None
            starts = [start for one in item.segment.fragments for start in one.starts()[:-1]]
            times.setdefault(item.entry.discontinuity, []).extend(starts)
        for starts in times.values():
            assert starts == sorted(set(starts)), "in order, and none twice"
