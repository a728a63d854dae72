"""RFC 8216, 2nd edition, draft -22: the clauses on low latency that a media playlist shows. A test is named after its clause."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import pytest

from origin.hls.blocking import Answer, BadDirectives, Directives, decide
from origin.hls.low_latency import LowLatency, without_dates
from origin.hls.playlist import media_playlist
from origin.live.session import Session, State
from origin.live.stream import Stream
from origin.live.window import TrackWindow
from origin.media.tracks import InitSection, Kind
from tests.unit.origin.live.test_stream_frames import NOW, Sender, pictures, sound

TARGET, PART = 2, 0.4
RULES = LowLatency(PART, TARGET)
LONG = 10.0 * TARGET


@dataclass
class Origin:
    """A stream with its windows, as a publisher keeps them."""

    stream: Stream = field(default_factory=lambda: Stream("r", length=2.0, target=TARGET, largest=2**26, part=PART))
    now: float = NOW

    def begin(self, sender: Sender) -> Session:
        sender.session = self.stream.begin(
            sender.name, InitSection(sender.name.encode(), sender.track), NOW, lambda: None
        )
        self.publish()
        return sender.session

    def run(self, *senders: Sender, until: float = 1e9) -> "Origin":
        """What the encoder sends before `until`, in seconds of decode time."""
        for sender in senders:
            if sender.session is None:
                self.begin(sender)
        rows = [(Fraction(one.end, s.track.timescale), s.name, one, s) for s in senders for one in s.fragments]
        for at, _, fragment, sender in sorted(rows, key=lambda row: row[:2]):
            if at <= until and sender.session is not None:
                sender.session.push(fragment, NOW)
                sender.fragments.remove(fragment)
                self.publish()
        return self

    def end(self, *senders: Sender, how: State = State.ENDED) -> None:
        for sender in senders:
            assert sender.session is not None
            sender.session.finish(how)
        self.publish()

    def publish(self) -> None:
        for name, box in self.stream.outbox.items():
            while box:
                item = box.popleft()
                if item.init is not None:
                    window = self.stream.windows.setdefault(name, TrackWindow(name, item.init.track, item.init.id))
                    window.track, window.init = item.init.track, item.init.id
                    continue
                window = self.stream.windows[name]
                if item.part is not None:
                    if not window.listed:
                        window.next_number = max(window.next_number, item.part.number)
                    window.parts.add(item.part)
                elif item.entry is not None:
                    window.add(item.entry, target=TARGET)
                    window.slide(LONG, 60.0, self.now, 1000)
                window.slide_parts(RULES.parts_for, self.now)
                session = self.stream.generation.sessions[name] if self.stream.generation else None
                if session is not None:
                    window.parts.expect(window.next_number, session.generation.id, self.stream.length)
                window.parts.show(window.next_number)

    def playlist(self, name: str = "360p", *, delta: bool = False, dates: Sequence[str] = ()) -> list[str]:
        windows = self.stream.windows
        others = [one for one in windows.values() if one.name != name]
        return media_playlist(
            windows[name], TARGET, ended=self.stream.ended, low_latency=RULES, others=others, delta=delta, dates=dates
        ).splitlines()


def video(seconds: float, *, start: float = 10.0) -> Sender:
    return pictures(seconds, gop=50, start=start).pack([10])


def audio(seconds: float, *, start: float = 10.0) -> Sender:
    return sound(seconds, start=start).pack([4])


def attributes(line: str) -> dict[str, str]:
    return {k: v.strip('"') for k, v in re.findall(r'([A-Z-]+)=("[^"]*"|[^,]*)', line.partition(":")[2])}


def tags(lines: list[str], name: str) -> list[dict[str, str]]:
    return [attributes(line) for line in lines if line.startswith(f"#{name}:")]


@pytest.fixture
def live() -> Origin:
    """12.5 s of two tracks: six segments, and the seventh in hand."""
    return Origin().run(video(30), audio(30), until=22.6)


def test_4_4_1_2_version_is_that_of_the_skip_tag(live: Origin) -> None:
    assert live.playlist()[1] == live.playlist(delta=True)[1] == "#EXT-X-VERSION:9"


def test_4_4_3_7_part_inf_tells_the_part_target_and_4_4_3_8_server_control_what_is_offered(live: Origin) -> None:
    for name in ("360p", "audio-64k"):
        assert tags(live.playlist(name), "EXT-X-PART-INF") == [{"PART-TARGET": "0.400000"}]
        (control,) = tags(live.playlist(name), "EXT-X-SERVER-CONTROL")
        assert control == {
            "CAN-BLOCK-RELOAD": "YES",
            "CAN-SKIP-UNTIL": "12.000",  # six target durations at least
            "CAN-SKIP-DATERANGES": "YES",
            "HOLD-BACK": "6.000",  # three
            "PART-HOLD-BACK": "1.200",  # three part targets, two at least
        }


def test_4_4_4_9_parts_stand_before_their_segment_behind_its_tags(live: Origin) -> None:
    lines = live.playlist()
    at = max(n for n, line in enumerate(lines) if line.startswith("#EXTINF"))
    assert [line.partition(":")[0] for line in lines[at - 6 : at + 1]] == [
        "#EXT-X-PROGRAM-DATE-TIME", *["#EXT-X-PART"] * 5, "#EXTINF",
    ]  # fmt: skip
    assert [line.partition(":")[0] for line in lines[at + 2 :]] == [
        "#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-PART", "#EXT-X-PRELOAD-HINT", "#EXT-X-RENDITION-REPORT",
    ]  # fmt: skip


def test_4_4_4_9_part_durations_are_at_most_the_target_and_85_percent_of_it(live: Origin) -> None:
    """Strangers': players of Apple's refuse a playlist with a part of 0.501 s under a PART-TARGET of 0.49."""
    for name in ("360p", "audio-64k"):
        lines = live.playlist(name)
        for line, following in itertools.pairwise(lines):
            if line.startswith("#EXT-X-PART:"):
                duration = float(attributes(line)["DURATION"])
                assert duration <= PART
                assert duration >= 0.85 * PART or following.startswith("#EXTINF"), "the last of its segment"


def test_4_4_4_9_independent_parts_are_those_with_a_key_frame(live: Origin) -> None:
    marks = ["INDEPENDENT" in one for one in tags(live.playlist(), "EXT-X-PART")]
    assert marks == [True, False, False, False, False] * 3 + [True]
    assert all("INDEPENDENT" in one for one in tags(live.playlist("audio-64k"), "EXT-X-PART"))


def test_4_4_5_3_one_preload_hint_names_the_next_part() -> None:
    origin, pictures_ = Origin(), video(30)
    for until, index in [(12.41, 1), (12.81, 2), (13.61, 4), (14.41, 1), (14.81, 2)]:
        origin.run(pictures_, until=until)
        number = 1 if until < 14 else 2
        generation = origin.stream.last_generation
        (hint,) = tags(origin.playlist(), "EXT-X-PRELOAD-HINT")
        assert hint == {"TYPE": "PART", "URI": f"part-{generation}-{number}-{index}.m4s"}


def test_4_4_5_3_a_segment_that_has_its_length_is_followed_by_the_next_one() -> None:
    """Its last part is there before anybody knows so: a hint at one more part would be abandoned, and be a 404."""
    origin = Origin().run(video(30), until=14.0)
    assert len(tags(origin.playlist(), "EXT-X-PART")) == 10
    (hint,) = tags(origin.playlist(), "EXT-X-PRELOAD-HINT")
    assert hint["URI"].endswith("-2-0.m4s")


def test_4_4_5_4_a_rendition_report_for_every_other_playlist(live: Origin) -> None:
    (report,) = tags(live.playlist(), "EXT-X-RENDITION-REPORT")
    assert report["URI"] == "../audio-64k/media.m3u8"
    assert (report["LAST-MSN"], report["LAST-PART"]) == ("6", "0")
    (back,) = tags(live.playlist("audio-64k"), "EXT-X-RENDITION-REPORT")
    assert back == {"URI": "../360p/media.m3u8", "LAST-MSN": "6", "LAST-PART": "0"}


def test_4_4_5_4_between_two_segments_the_last_one_is_reported() -> None:
    origin, pictures_ = Origin(), video(4)
    origin.run(pictures_, audio(30), until=13.9)
    origin.end(pictures_, how=State.BROKEN)
    (report,) = tags(origin.playlist("audio-64k"), "EXT-X-RENDITION-REPORT")
    parts = len(origin.stream.windows["360p"].parts.of(1))
    assert report == {"URI": "../360p/media.m3u8", "LAST-MSN": "1", "LAST-PART": str(parts - 1)}


def test_6_2_2_parts_leave_the_playlist_three_target_durations_before_its_end(live: Origin) -> None:
    lines = live.playlist()
    last = 6
    numbers = [int(attributes(line)["URI"].split("-")[2]) for line in lines if line.startswith("#EXT-X-PART:")]
    assert set(numbers) == {3, 4, 5, last}, "the end is at 12.5 s: segment 2 ended 6.5 s before it, segment 3 4.5 s"
    gone = [part.number for part, _ in live.stream.windows["360p"].parts.gone]
    assert sorted(set(gone)) == [0, 1, 2]


def test_6_2_1_every_change_of_the_playlist_is_an_allowed_one() -> None:
    """Segments and parts are appended; segments go from the front, parts where they are old."""
    origin, senders = Origin(), (video(40), audio(40))
    before: dict[str, list[str]] = {}
    for step in range(100):
        origin.run(*senders, until=10 + step * 0.4)
        for name, window in origin.stream.windows.items():
            if not window.listed:
                continue
            now = [line for line in origin.playlist(name) if line.startswith(("#EXT-X-PART:", "seg-"))]
            was = before.get(name, [])
            stays = [line for line in was if line in now]
            assert now[: len(stays)] == stays, "only the end grows"
            gone = [line for line in was if line not in now]
            assert [line for line in gone if line.startswith("seg-")] == [
                line for line in was if line.startswith("seg-")
            ][: sum(line.startswith("seg-") for line in gone)]
            before[name] = now


def test_6_2_5_1_a_delta_update_skips_what_is_behind_the_skip_boundary() -> None:
    origin = Origin().run(video(40), until=31.6)
    whole, delta = origin.playlist(), origin.playlist(delta=True)
    (skip,) = tags(delta, "EXT-X-SKIP")
    skipped = int(skip["SKIPPED-SEGMENTS"])
    segments = [line for line in whole if line.startswith("seg-")]
    assert [line for line in delta if line.startswith("seg-")] == segments[skipped:]
    left = sum(float(line[8:-1]) for line in delta if line.startswith("#EXTINF"))
    parts = PART * sum(one["URI"].split("-")[2] == "10" for one in tags(delta, "EXT-X-PART"))
    assert RULES.skip_until <= left + parts < RULES.skip_until + 2 * TARGET
    head = [line for line in whole if line.startswith(("#EXT-X-MEDIA-SEQ", "#EXT-X-DISC", "#EXT-X-TARGET"))]
    assert head == [line for line in delta if line.startswith(("#EXT-X-MEDIA-SEQ", "#EXT-X-DISC", "#EXT-X-TARGET"))], (
        "strangers': a sequence number that counts what was skipped, or stands behind it, breaks the merge"
    )
    assert delta.index("#EXT-X-DISCONTINUITY-SEQUENCE:0") < delta.index(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")
    assert delta[delta.index(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}") + 1].startswith("#EXT-X-MAP:")


def test_6_2_5_1_an_update_that_skips_date_ranges_has_the_new_ones_and_says_which_are_gone() -> None:
    """Version 10 (section 8). RECENTLY-REMOVED-DATERANGES is REQUIRED there, and may be empty (4.4.5.2)."""
    live = Origin().run(video(60), audio(60), until=39.6)
    old, new = (f'#EXT-X-DATERANGE:ID="{id}",START-DATE="2026-09-21T14:13:20.000Z"' for id in ("old", "new"))
    whole, delta = live.playlist(dates=[old, new]), live.playlist(delta=True, dates=[old, new])
    at = whole.index(old)
    assert whole[at : at + 2] == delta[at : at + 2] == [old, new]
    assert whole[:at] + whole[at + 2 :] == live.playlist()
    short = without_dates("\n".join(delta) + "\n", [new], ["gone", "too"]).splitlines()
    assert (delta[1], short[1]) == ("#EXT-X-VERSION:9", "#EXT-X-VERSION:10")
    assert short[at] == new
    assert short[at + 1] == f'{delta[at + 2]},RECENTLY-REMOVED-DATERANGES="gone\ttoo"'
    assert short[2:at] + short[at + 2 :] == delta[2:at] + delta[at + 3 :]
    assert ',RECENTLY-REMOVED-DATERANGES=""' in without_dates("\n".join(delta), [], [])


def test_6_2_5_1_without_anything_to_skip_the_update_is_the_playlist() -> None:
    origin = Origin().run(video(30), audio(30), until=20)
    assert origin.playlist(delta=True) == origin.playlist()


def test_6_2_5_1_a_discontinuity_behind_the_boundary_stays_counted() -> None:
    origin, first = Origin(), video(4)
    origin.run(first)
    origin.end(first, how=State.BROKEN)
    origin.now += 100
    again = video(30)
    session = origin.stream.begin("360p", InitSection(b"again", again.track), NOW + 100, lambda: None)
    again.session = session
    origin.publish()
    origin.run(again, until=29)
    whole, delta = origin.playlist(), origin.playlist(delta=True)
    assert "#EXT-X-DISCONTINUITY" in whole
    assert "#EXT-X-DISCONTINUITY" not in delta and tags(delta, "EXT-X-SKIP")
    assert [line for line in delta if "DISCONTINUITY-SEQ" in line] == [
        line for line in whole if "DISCONTINUITY-SEQ" in line
    ]
    maps = [line for line in delta if line.startswith("#EXT-X-MAP")]
    assert maps == [f'#EXT-X-MAP:URI="init-{session.init.id}.mp4"']


def test_4_4_4_3_a_discontinuity_stands_before_the_first_part_of_the_new_encoder() -> None:
    origin, first = Origin(), video(4)
    origin.run(first)
    origin.end(first, how=State.BROKEN)
    again = video(30)
    again.session = origin.stream.begin("360p", InitSection(b"again", again.track), NOW + 100, lambda: None)
    origin.publish()
    origin.run(again, until=10.5)
    lines = origin.playlist()
    at = lines.index("#EXT-X-DISCONTINUITY")
    assert [line.partition(":")[0] for line in lines[at : at + 4]] == [
        "#EXT-X-DISCONTINUITY", "#EXT-X-MAP", "#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-PART",
    ]  # fmt: skip
    assert lines[at + 4].startswith("#EXT-X-PRELOAD-HINT")


def test_6_2_1_an_ended_playlist_has_no_hint() -> None:
    origin, pictures_ = Origin(), video(7)
    origin.run(pictures_)
    origin.end(pictures_)
    lines = origin.playlist()
    assert lines[-1] == "#EXT-X-ENDLIST"
    assert not tags(lines, "EXT-X-PRELOAD-HINT")
    assert not tags(origin.playlist(delta=True), "EXT-X-SKIP"), "6.2.5.1: nor a delta update"


def test_appendix_b_1_every_segment_and_its_parts_have_a_date(live: Origin) -> None:
    lines = live.playlist()
    dates = sum(line.startswith("#EXT-X-PROGRAM-DATE-TIME") for line in lines)
    assert dates == sum(line.startswith("#EXTINF") for line in lines) + 1


def test_appendix_b_1_renditions_are_in_step_within_a_part_target() -> None:
    """Compared whenever anything came, over twenty seconds."""
    origin, senders = Origin(), (video(30), audio(30))
    for step in range(200, 400):
        origin.run(*senders, until=10 + step / 20)
        ends = [
            sum(entry.duration for entry in window.listed) + sum(part.duration for part in window.in_hand)
            for window in origin.stream.windows.values()
        ]
        if len(ends) == 2 and min(ends) > 0:
            assert abs(ends[0] - ends[1]) <= PART + 0.1


def test_without_the_setting_the_playlist_has_none_of_it() -> None:
    stream = Stream("r", length=2.0, target=TARGET, largest=2**26)
    origin = Origin(stream).run(video(30), until=20)
    text = media_playlist(stream.windows["360p"], TARGET, ended=False)
    assert not re.search("PART|SERVER-CONTROL|SKIP|HINT|REPORT", text)
    assert "#EXT-X-VERSION:7" in text
    assert origin.stream.windows["360p"].track.kind is Kind.VIDEO


def test_a_player_goes_on_over_a_restart_of_the_encoder() -> None:
    """Strangers': the numbers began anew, and whoever asked for the next part of before got 400 for good."""
    origin, first = Origin(), video(7.2)
    origin.run(first)
    shown = origin.stream.windows["360p"].parts.shown
    assert shown is not None
    nexts = [
        Directives(shown.hand, shown.parts),
        Directives(shown.hand, shown.parts + 1),
        Directives(shown.hand + 1, 0),
    ]
    origin.end(first, how=State.BROKEN)
    again = video(30)
    again.session = origin.stream.begin("360p", InitSection(b"again", again.track), NOW + 100, lambda: None)
    origin.publish()
    for until in (10.0, 10.5, 12.5, 20.0):
        origin.run(again, until=until)
        shown = origin.stream.windows["360p"].parts.shown
        assert shown is not None
        for asked in nexts:
            assert not isinstance(decide(asked, shown, RULES, ended=False), BadDirectives), (until, asked)
    assert all(decide(asked, shown, RULES, ended=False) is Answer.NOW for asked in nexts)


def test_6_2_2_parts_are_forgotten_when_their_time_is_over_or_their_segment_is(live: Origin) -> None:
    window = live.stream.windows["360p"]
    assert {part.number for part, _ in window.parts.gone} == {0, 1, 2}
    assert {part.number for part in window.parts.expire(live.now - 1, 1)} == {0}
    assert {part.number for part in window.parts.expire(live.now, 0)} == {1, 2}
