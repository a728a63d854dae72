"""What an earlier run had in hand becomes segments with the numbers, dates and bytes that they would have had."""

import copy
import itertools
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from origin.live.feeds import Sender
from origin.live.reception import Way
from origin.live.recovered import InHand, recover
from origin.live.session import Session, State
from origin.live.stream import Stream
from origin.media.fragments import Fragment
from origin.media.tracks import InitSection
from tests.unit.origin.live.test_stream import NOW, Lab, audio, audio_init, sound, video, video_init

PART = 0.5
Sent = dict[str, tuple[InitSection, list[Fragment]]]


def lab(part: float | None) -> Lab:
    return Lab(Stream("live", length=1.0, target=1, largest=2**20, part=part))


def send(one: Lab, sent: Sent) -> dict[str, Session]:
    """In turns, in the order of decode times."""
    sessions = {name: one.begin(name, init) for name, (init, _) in sent.items()}
    rows = [
        (fragment.start / init.track.timescale, name, fragment)
        for name, (init, fragments) in sent.items()
        for fragment in fragments
    ]
    for _, name, fragment in sorted(rows, key=lambda row: row[:2]):
        one.push(sessions[name], [copy.copy(fragment)])
    return sessions


def in_hand(session: Session, fragments: list[Fragment]) -> InHand:
    generation = session.generation
    assert generation.anchor is not None and session.index is not None
    return InHand(
        session.init, fragments[len(fragments) - session.hand.count :], generation.id, generation.base,
        {one.start: generation.base + session.index for one in fragments}, generation.discontinuity, generation.anchor, list(session.hand.parts),
    )  # fmt: skip


def parts_of(one: Lab, name: str) -> bytes:
    """Of the segment that is not complete."""
    items, found = one.stream.outbox.get(name, ()), b""
    for item in items:
        if item.part is not None:
            found += b"".join(fragment.data for fragment in item.fragments)
        elif item.segment is not None:
            found = b""
    return found


def killed(sent: Sent, part: float | None) -> tuple[Stream, Lab]:
    """The stream of the run after the kill, and the run that was killed: what it had numbered was stored."""
    before = lab(part)
    sessions = send(before, sent)
    found = {name: in_hand(one, sent[name][1]) for name, one in sessions.items() if one.hand.count}
    after, states = lab(part).stream, {}
    kept = {name: [*box] for name, box in before.stream.outbox.items()}
    for box in before.stream.outbox.values():
        for item in [item for item in box if item.part is not None]:
            box.remove(item)
    for name in sessions:
        before.listed(name)
        states[name] = json.loads(json.dumps(before.stream.to_json(name)))
    for name, values in states.items():
        if values["window"]["listed"]:  # there is no state before the first segment
            after.resume(name, values, NOW)
    for name, items in kept.items():
        before.stream.outbox[name].extend(items)
    assert recover(after, found, NOW) == []
    return after, before


@pytest.mark.parametrize("part", [None, PART])
@given(seconds=st.integers(2, 20).map(lambda n: n / 4))
@settings(max_examples=20, deadline=None)
def test_pictures_are_as_if_the_encoder_had_ended_there(part: float | None, seconds: float) -> None:
    sent: Sent = {"720p": (video_init(), video(seconds))}
    whole = lab(part)
    send(whole, sent)["720p"].finish(State.ENDED)
    wanted = [item for item in whole.stream.outbox["720p"] if item.segment is not None]
    after, before = killed(sent, part)
    found = [item for item in after.outbox.get("720p", ()) if item.segment is not None]
    for have, want in zip(found, wanted[len(wanted) - len(found) :], strict=True):
        assert have.entry is not None and want.entry is not None
        assert have.segment is not None and want.segment is not None
        assert replace(have.entry, received=0.0, at=0.0) == replace(want.entry, received=0.0, at=0.0)
        assert have.entry.at == pytest.approx(want.entry.at, abs=1e-6)
        assert have.segment.data == want.segment.data
        assert have.segment.data.startswith(parts_of(before, "720p")), "what players have of it"
    listed = len(wanted) - len(found)
    assert [item.entry.number for item in found if item.entry] == list(range(listed, len(wanted)))
    account = after.accounts["720p"]
    assert account.received == account.published and account.refused == 0


@given(pictures=st.integers(2, 16).map(lambda n: n / 4), ahead=st.integers(0, 12).map(lambda n: n / 4))
@settings(max_examples=30, deadline=None)
def test_sound_is_cut_where_the_pictures_are_and_none_is_lost(pictures: float, ahead: float) -> None:
    sent: Sent = {
        "720p": (video_init(), video(pictures)),
        "audio-128k": (audio_init(), audio(pictures + ahead)),
    }
    after, _ = killed(sent, None)
    samples = sum(one.samples for one in sent["audio-128k"][1])
    entries = [*(after.windows["audio-128k"].listed if "audio-128k" in after.windows else ())]
    items = [item for item in after.outbox.get("audio-128k", ()) if item.segment is not None]
    entries += [item.entry for item in items if item.entry is not None]
    assert sum(entry.ticks for entry in entries) == 1024 * samples
    numbers = [entry.number for entry in entries]
    assert numbers == sorted(set(numbers))
    starts = {entry.number: entry.start for entry in after.windows["720p"].listed} if "720p" in after.windows else {}
    starts |= {item.entry.number: item.entry.start for item in after.outbox.get("720p", ()) if item.entry is not None}
    for entry in entries:
        assert abs(entry.start - starts.get(entry.number, entry.start)) < 0.03, "in step"
        assert entry.duration < 1.5
    dates = [entry.at for entry in entries]
    assert dates == sorted(dates)


def test_a_newer_encoder_makes_what_an_older_one_had_in_hand_superfluous() -> None:
    sent: Sent = {"720p": (video_init(), video(2.4))}
    before = lab(None)
    session = send(before, sent)["720p"]
    found = in_hand(session, sent["720p"][1])
    before.now += 10
    send(before, sent)
    before.listed("720p")
    after = lab(None).stream
    after.resume("720p", before.stream.to_json("720p"), NOW)
    assert recover(after, {"720p": found}, NOW) == []
    assert not any(item.entry for item in after.outbox.get("720p", ()))


def test_the_next_encoder_begins_behind_it() -> None:
    after, _ = killed({"720p": (video_init(), video(2.4))}, None)
    last = max(item.entry.number for item in after.outbox["720p"] if item.entry is not None)
    session = after.begin("720p", video_init(), NOW + 60, lambda: None)
    for fragment in video(2.4):
        session.push(fragment, NOW + 60)
    first = next(i.entry for i in after.outbox["720p"] if i.entry is not None and i.entry.generation > NOW + 50)
    assert (first.number, first.discontinuity) == (last + 1, 1)
    assert first.at > max(i.entry.at for i in after.outbox["720p"] if i.entry is not None and i.entry.number <= last)


def test_what_is_too_long_for_one_segment_becomes_several() -> None:
    one = lab(None)
    sent: Sent = {"audio-128k": (audio_init(), [sound(n * 4096, 4) for n in range(100)])}
    session = send(one, sent)["audio-128k"]
    found = replace(
        in_hand(session, sent["audio-128k"][1]),
        fragments=sent["audio-128k"][1],
        numbers=dict.fromkeys(range(409600), 0),
    )
    after = lab(None).stream
    assert recover(after, {"audio-128k": found}, NOW) == []
    items = [item for item in after.outbox["audio-128k"] if item.segment is not None]
    assert sum(item.segment.samples for item in items if item.segment) == 400
    assert all(item.entry.duration < 1.5 for item in items if item.entry)


def go_on(stream: Stream, init: InitSection, name: str) -> Sender:
    """The encoder's next request, with a segment and without the init section."""
    sender = stream.feeds.sender_of(name, None, NOW)
    assert sender is not None and sender.init.id == init.id
    return sender


def test_an_encoder_goes_on_without_a_discontinuity() -> None:
    init, fragments = video_init(), video(6.0)
    after, _ = killed({"720p": (init, fragments[:4])}, None)
    sender = go_on(after, init, "720p")
    for fragment in [fragments[3], *fragments[4:]]:  # it had no answer to the last one, and sends it again
        assert after.feeds.push(sender, fragment, NOW)
    after.feeds.tick(NOW + 1000)
    listed = [*after.windows["720p"].listed] if "720p" in after.windows else []
    entries = listed + [item.entry for item in after.outbox["720p"] if item.entry is not None]
    assert [one.number for one in entries] == list(range(len(entries)))
    assert {one.discontinuity for one in entries} == {0} and len({one.generation for one in entries}) == 1
    assert sum(one.ticks for one in entries) == sum(one.duration for one in fragments)
    assert after.accounts["720p"].repeated == fragments[3].samples
    assert not any(item.entry is not None and item.entry.gap for item in after.outbox["720p"])


def test_a_sender_that_goes_on_within_a_group_of_pictures_does_so_behind_a_discontinuity() -> None:
    init, fragments = video_init(), video(6.0)
    after, _ = killed({"720p": (init, fragments[:3])}, None)
    sender = go_on(after, init, "720p")
    for fragment in fragments[3:]:  # the first one has no key frame
        assert after.feeds.push(sender, fragment, NOW)
    after.feeds.tick(NOW + 1000)
    listed = [*after.windows["720p"].listed]
    entries = listed + [item.entry for item in after.outbox["720p"] if item.entry is not None]
    for one, other in itertools.pairwise(entries):
        assert other.number == one.number + 1 and other.at > one.at
        touch = one.decode_time + one.ticks == other.decode_time
        assert touch == (one.discontinuity == other.discontinuity)
    assert entries[-1].discontinuity == 1
    account = after.accounts["720p"]
    assert account.refused == fragments[3].samples and account.complaints


def test_a_track_that_catches_up_before_the_other_loses_nothing() -> None:
    """Of two connections, one is always first; sound used to begin a generation that the pictures before it were not in."""
    pictures, sounds = video(8.0), audio(8.0)
    sent: Sent = {"720p": (video_init(), pictures[:4]), "audio-128k": (audio_init(), sounds[:4])}
    after, _ = killed(sent, None)
    for name, fragments in (("audio-128k", sounds[4:]), ("720p", pictures[4:])):
        sender = go_on(after, sent[name][0], name)
        for fragment in fragments:
            assert after.feeds.push(sender, fragment, NOW)
    after.feeds.tick(NOW + 1000)
    for name, fragments in (("audio-128k", sounds), ("720p", pictures)):
        account = after.accounts[name]
        assert account.refused == 0, [str(one) for one in account.complaints]
        entries = [*after.windows[name].listed] + [i.entry for i in after.outbox[name] if i.entry is not None]
        assert sum(one.ticks for one in entries) == sum(one.duration for one in fragments)
        assert {one.discontinuity for one in entries} == {0}


def test_an_encoder_that_does_not_come_back_is_gone() -> None:
    after, _ = killed({"720p": (video_init(), video(2.4))}, None)
    assert after.is_live("720p") and not after.feeds.is_idle
    after.outbox.clear()
    after.feeds.tick(NOW + 61)
    assert after.feeds.is_idle and not after.ended and after.feeds.state_of("720p") is State.BROKEN


def test_who_went_on_is_told_when_a_newer_encoder_takes_over() -> None:
    init, fragments = video_init(), video(6.0)
    after, _ = killed({"720p": (init, fragments[:4])}, None)
    sender = go_on(after, init, "720p")
    assert after.feeds.push(sender, fragments[4], NOW)
    newer = after.feeds.expect(Sender("720p", video_init(salt=b"newer"), Way.ENDLESS, lambda: None, NOW + 5))
    assert after.feeds.push(newer, video(1.0)[0], NOW + 5)
    assert sender.is_superseded and not after.feeds.push(sender, fragments[5], NOW + 6)


def test_an_encoder_that_begins_anew_begins_a_generation() -> None:
    init = video_init()
    after, _ = killed({"720p": (init, video(2.4))}, None)
    sender = after.feeds.expect(Sender("720p", init, Way.ENDLESS, lambda: None, NOW + 5))
    for fragment in video(2.4, start=300 * 30_000):
        after.feeds.push(sender, fragment, NOW + 5)
    after.feeds.tick(NOW + 1000)
    assert [i.entry.discontinuity for i in after.outbox["720p"] if i.entry is not None][-1] == 1
