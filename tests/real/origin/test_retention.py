"""What an origin forgets, from memory and disk, and how much it holds at most: in virtual time, and by real posts."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from origin import Origin
from origin.errors import NoRoom
from origin.hls.playlist import init_name
from origin.live.session import Session, State
from origin.live.timeline import REMEMBERED, Timeline
from origin.live.window import Numbered
from origin.media.fragments import LARGEST_INIT, Fragment
from origin.media.tracks import InitSection
from origin.publishing import retention
from origin.publishing.publisher import Publisher
from origin.publishing.retention import Retention
from tests.kit.live_origin import Feeder, Running, pieces, until
from tests.unit.origin.live.test_stream import NOW, audio, audio_init, video, video_init


class Lab:
    """A publisher whose clock the test sets, and encoders that post to it."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.settings = Origin(storage=folder, segment=1.0, window=10.0, linger=20.0, **changes)
        self.folder = folder
        self.now = NOW
        self.publisher = Publisher(self.settings, lambda: self.now)
        self.retention = Retention(self.publisher)

    async def post(self, track: str, init: InitSection, fragments: list[Fragment], stream: str = "live") -> None:
        """One whole POST, in real time."""
        await self.retention.make_room(stream, track)
        with self.publisher.posting(stream, track) as one:
            session = one.begin(track, init, self.now, lambda: None)
            await self.feed(session, fragments)
            session.finish(State.BROKEN)
            await self.publisher.close(one)

    async def feed(self, session: Session, fragments: list[Fragment]) -> None:
        for fragment in fragments:
            session.push(fragment, self.now)
            self.now += float(session.segmenter.seconds(fragment.duration))
            await self.publisher.drain(session.stream)

    def files(self, track: str, stream: str = "live") -> set[str]:
        folder = self.folder / stream / track
        return {path.name for path in folder.iterdir()} if folder.is_dir() else set()

    def there(self, path: str) -> bool:
        return self.publisher.catalog.get(path) is not None


def in_lab(folder: Path, test: Callable[[Lab], Awaitable[None]], **changes: Any) -> None:
    async def run() -> None:
        lab = Lab(folder, **changes)
        await lab.publisher.resume()
        await test(lab)
        await lab.publisher.storage.close()

    asyncio.run(run())


def test_an_init_section_goes_with_the_last_segment_that_needs_it(tmp_path: Path) -> None:
    async def test(lab: Lab) -> None:
        old, new = video_init(salt=b"old"), video_init(salt=b"new")
        before, after = f"live/720p/{init_name(old.id)}", f"live/720p/{init_name(new.id)}"
        await lab.post("720p", old, video(4))
        await lab.post("720p", new, video(9))
        assert lab.there(before) and lab.there(after), "the old segments are listed, and then linger"
        await lab.post("720p", new, video(40))
        assert not lab.there(before) and lab.there(after)
        inits = {name for name in lab.files("720p") if name.startswith("init-")}
        assert inits == {init_name(new.id)}

    in_lab(tmp_path, test)


def test_init_sections_without_segments_are_not_kept(tmp_path: Path) -> None:
    async def test(lab: Lab) -> None:
        with lab.publisher.posting("live", "720p") as stream:
            session = stream.begin("720p", video_init(), lab.now, lambda: None)
            for number in range(200):
                session.renew(video_init(salt=b"%d" % number), lab.now)
                await lab.publisher.drain(stream)
                assert len(lab.files("720p")) <= 2
            assert lab.there(f"live/720p/{init_name(video_init(salt=b'199').id)}")
            await lab.feed(session, video(5))
            session.finish(State.ENDED)
            await lab.publisher.close(stream)
        assert lab.there("live/720p/media.m3u8")

    in_lab(tmp_path, test)


def test_a_track_that_is_posted_no_more_goes_when_the_others_have_gone_on(tmp_path: Path) -> None:
    async def test(lab: Lab) -> None:
        with lab.publisher.posting("live", "720p") as stream:
            live = stream.begin("720p", video_init(), lab.now, lambda: None)
            with lab.publisher.posting("live", "360p"):
                other = stream.begin("360p", video_init(360), lab.now, lambda: None)
                for fragment in video(5):
                    other.push(fragment, lab.now)
                    await lab.feed(live, [fragment])
                other.finish(State.BROKEN)
                await lab.publisher.close(stream)
            segment = f"live/360p/{stream.windows['360p'].listed[0].name}"
            rest = video(60)[len(video(5)) :]
            await lab.feed(live, rest[:10])
            await lab.retention.sweep()
            assert lab.there("live/360p/media.m3u8"), "the other track lists what it has, too"
            await lab.feed(live, rest[10:40])
            await lab.retention.sweep()
            assert not lab.there("live/360p/media.m3u8")
            assert lab.there(segment), "a player that has read the playlist may still come"
            lab.now += 21.0
            await lab.retention.sweep()
            assert not lab.there(segment) and not (lab.folder / "live/360p").exists()
            assert set(stream.windows) == set(stream.outbox) == {"720p"}
            text = lab.publisher.catalog.get("live/multivariant.m3u8")
            assert text is not None and text.body is not None and b"360p" not in text.body
            # Whoever posts it again is of another run of the encoder: its names are new.
            with lab.publisher.posting("live", "360p"):
                again = stream.begin("360p", video_init(360), lab.now, lambda: None)
                assert again.generation.id > other.generation.id

    in_lab(tmp_path, test)


def test_a_stream_that_has_ended_keeps_its_last_window_and_nothing_more(tmp_path: Path) -> None:
    async def test(lab: Lab) -> None:
        await lab.post("720p", video_init(), video(25))
        window = lab.publisher.streams["live"].windows["720p"]
        assert window.gone
        lab.now += 30.0
        await lab.retention.sweep()
        assert not window.gone
        listed = {entry.name for entry in window.listed}
        assert lab.files("720p") == listed | {"state.json", init_name(window.init)}
        assert lab.there("live/720p/media.m3u8") and lab.there("live/multivariant.m3u8")

    in_lab(tmp_path, test)


def test_a_track_that_never_had_a_segment_leaves_nothing(tmp_path: Path) -> None:
    async def test(lab: Lab) -> None:
        await lab.post("720p", video_init(), [])
        assert lab.files("720p")
        lab.now += 2.0
        await lab.retention.sweep()
        assert not lab.publisher.streams

    in_lab(tmp_path, test)
    assert {one.name for one in tmp_path.iterdir()} == {".lock", ".steady"}


def test_segments_that_are_too_short_take_no_more_room(tmp_path: Path) -> None:
    """A new init section after each frame: every segment is a thirtieth of a second."""

    async def test(lab: Lab) -> None:
        most = lab.settings.most_segments(1.0)
        with lab.publisher.posting("live", "720p") as stream:
            session = stream.begin("720p", video_init(), lab.now, lambda: None)
            for number in range(3 * most):
                session.renew(video_init(salt=b"%d" % number), lab.now)
                await lab.feed(session, [Fragment(0, 1001, True, 1, b"v")])
            window = stream.windows["720p"]
            assert len(window.listed) == most and len(window.gone) <= most
            assert len(lab.files("720p")) <= 2 * (2 * most) + 4

    in_lab(tmp_path, test)


def test_a_track_too_many_takes_the_place_of_the_one_that_has_waited_longest(tmp_path: Path) -> None:
    async def test(lab: Lab) -> None:
        for name in ("a", "b", "c"):
            await lab.post(name, video_init(), video(3))
            await lab.post(name, video_init(), video(3))  # again: a generation of its own
        await lab.post("d", video_init(), video(3))
        stream = lab.publisher.streams["live"]
        assert set(stream.windows) == {"b", "c", "d"} and not lab.files("a") and not lab.there("live/a/media.m3u8")
        with (
            lab.publisher.posting("live", "b"), lab.publisher.posting("live", "e"), lab.publisher.posting("live", "f")
        ):  # fmt: skip
            with pytest.raises(NoRoom, match="live/g: found 5 tracks, all in use, wanted at most 3"):
                await lab.retention.make_room("live", "g")
            await lab.retention.make_room("live", "b")

    in_lab(tmp_path, test, ingest_limits={"tracks": 3})


def test_a_stream_too_many_takes_the_place_of_the_one_that_has_waited_longest(tmp_path: Path) -> None:
    async def test(lab: Lab) -> None:
        await lab.post("720p", video_init(), video(3), stream="first")
        await lab.post("720p", video_init(), video(3), stream="second")
        await lab.post("720p", video_init(), video(3), stream="third")
        assert set(lab.publisher.streams) == {"second", "third"}
        assert not (tmp_path / "first").exists() and not lab.there("first/multivariant.m3u8")
        with (
            lab.publisher.posting("second", "720p"), lab.publisher.posting("third", "720p"),
            pytest.raises(NoRoom, match="fourth: found 2 streams"),
        ):  # fmt: skip
            await lab.retention.make_room("fourth", "720p")
        # Its name comes back with names that were never there.
        await lab.post("720p", video_init(), video(3), stream="first")
        assert lab.publisher.streams["first"].last_generation >= int(NOW) + 9

    in_lab(tmp_path, test, ingest_limits={"streams": 2})


def test_what_a_restart_finds_and_nobody_needs_goes(tmp_path: Path) -> None:
    left = [tmp_path / "live/720p" / name for name in ("init-0123456789ab.mp4", "seg-1-99.m4s")]

    async def first(lab: Lab) -> None:
        await lab.post("720p", video_init(), video(4))
        for file in left:
            file.write_bytes(b"x")

    async def second(lab: Lab) -> None:
        assert not any(file.exists() for file in left)
        assert lab.there(f"live/720p/{init_name(video_init().id)}") and lab.there("live/720p/media.m3u8")

    in_lab(tmp_path, first)
    in_lab(tmp_path, second)


@pytest.mark.long
def test_a_source_whose_clock_is_corrupt_takes_no_more_room(tmp_path: Path) -> None:
    """A fading signal: decode times at random, key frames now and then."""
    chance = random.Random(5)

    async def test(lab: Lab) -> None:
        most = lab.settings.most_segments(1.0)
        with lab.publisher.posting("live", "720p") as stream:
            session = stream.begin("720p", video_init(), lab.now, lambda: None)
            for _ in range(1_000):
                start, ticks = chance.randrange(2**40), chance.choice((1001, 15_015, 30_030))
                await lab.feed(session, [Fragment(start, ticks, chance.random() < 0.5, 1, b"v" * 100)])
            window = stream.windows["720p"]
            assert len(window.listed) <= most and len(window.gone) <= most
            assert len(lab.files("720p")) <= len(window.listed) + len(window.gone) + 4
            lab.now += 30.0
            await lab.retention.sweep()
            assert len(lab.files("720p")) <= len(window.listed) + 2

    in_lab(tmp_path, test)


def test_more_posts_than_tracks_are_refused(tmp_path: Path) -> None:
    """Posts of one track that send nothing: each would hold a connection, and what it has sent so far."""

    async def test(lab: Lab) -> None:
        with ExitStack() as posts:
            for _ in range(4):
                await lab.retention.make_room("live", "720p")
                posts.enter_context(lab.publisher.posting("live", "720p"))
            with pytest.raises(NoRoom, match="live: found 4 open requests, all in use, wanted at most 4"):
                await lab.retention.make_room("live", "720p")
        await lab.retention.make_room("live", "720p")

    in_lab(tmp_path, test, ingest_limits={"tracks": 2})


def test_a_track_that_goes_while_others_wait_for_it_is_no_defect(tmp_path: Path) -> None:
    async def test(lab: Lab) -> None:
        await lab.post("720p", video_init(), video(3))
        stream = lab.publisher.streams["live"]
        async with lab.publisher.lock(stream, "720p"):
            stream.outbox["720p"].append(Numbered(init=video_init()))
            waiting = [asyncio.create_task(work(stream)) for work in (lab.publisher.drain, lab.publisher.close)]
            for _ in range(5):
                await asyncio.sleep(0)
            stream.forget("720p")
        await asyncio.gather(*waiting)
        assert "720p" not in stream.windows

    in_lab(tmp_path, test)


def test_sweeping_goes_on_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retention, "SWEEP_S", 0.0)
    swept = asyncio.Event()

    async def test(lab: Lab) -> None:
        turns = itertools.count()

        async def sweep() -> None:
            if next(turns):
                swept.set()
            else:
                raise OSError("a disk that is gone")

        monkeypatch.setattr(lab.retention, "sweep", sweep)
        sweeping = asyncio.create_task(lab.retention.keep_sweeping())
        await asyncio.wait_for(swept.wait(), 30)
        sweeping.cancel()

    in_lab(tmp_path, test)
    assert "sweeping: OSError: a disk that is gone" in caplog.text


def test_a_generation_remembers_its_last_cuts_only(tmp_path: Path) -> None:
    timeline = Timeline(Fraction(0))
    for index in range(3 * REMEMBERED):
        timeline.mark(index, Fraction(index + 1))
        assert len(timeline.boundaries) <= 2 * REMEMBERED
    assert timeline.count == 3 * REMEMBERED
    for index in range(timeline.first, timeline.count):
        assert timeline.end_of(index) == index + 1
        assert timeline.index_at(Fraction(index) + Fraction(1, 2)) == index
    assert timeline.index_near(Fraction(timeline.count), Fraction(1, 30)) == timeline.count


def test_sound_that_is_later_than_all_cuts_goes_on_where_they_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("origin.live.timeline.REMEMBERED", 8)

    async def test(lab: Lab) -> None:
        with lab.publisher.posting("live", "720p") as stream, lab.publisher.posting("live", "audio"):
            pictures = stream.begin("720p", video_init(), lab.now, lambda: None)
            sound = stream.begin("audio", audio_init(), lab.now, lambda: None)
            await lab.feed(sound, audio(2))
            await lab.feed(pictures, video(60))
            await lab.feed(sound, audio(60)[len(audio(2)) :])
            starts = {entry.number: entry.start for entry in stream.windows["720p"].listed}
            for entry in stream.windows["audio"].listed:
                if not entry.gap and entry.number in starts:
                    assert 0 <= entry.start - starts[entry.number] < 0.52
            assert stream.windows["audio"].next_number >= stream.windows["720p"].next_number - 1

    in_lab(tmp_path, test)


def test_two_hundred_init_sections_in_one_post(
    origins: Callable[..., Running], encoded: dict[str, bytes], tmp_path: Path
) -> None:
    origin = origins()
    init, *fragments = pieces(encoded["180p.cmfv"])
    free = [(len(salt) + 8).to_bytes(4, "big") + b"free" + salt for salt in (b"%d" % n for n in range(200))]
    ftyp = init[: int.from_bytes(init[:4], "big")]
    moov = init[len(ftyp) :]
    feeder = Feeder(origin, "live/180p.cmfv")
    for box in free:
        inner = moov[8:] + box
        feeder.send(ftyp + (len(inner) + 8).to_bytes(4, "big") + b"moov" + inner)
    for fragment in fragments:
        feeder.send(fragment)
    assert feeder.end().status == 200
    names = {path.name for path in (tmp_path / "media/live/180p").iterdir()}
    assert len({name for name in names if name.startswith("init-")}) == 1
    text = until(lambda: origin.get("live/180p/media.m3u8").text)
    assert text.count("#EXTINF") == 5


@pytest.mark.parametrize("kind", ["ftyp", "moov"])
def test_an_init_section_too_large_is_refused(
    origins: Callable[..., Running], encoded: dict[str, bytes], kind: str
) -> None:
    media = encoded["180p.cmfv"]
    before = b"" if kind == "ftyp" else media[: int.from_bytes(media[:4], "big")]
    size = LARGEST_INIT + 8
    feeder = Feeder(origins(), "live/180p.cmfv")
    feeder.send(before + size.to_bytes(4, "big") + kind.encode())
    reply = feeder.reply()
    assert reply.status == 413, "before it is read"
    assert f"{kind}: found size {size}, wanted at most {LARGEST_INIT} bytes" in reply.text
