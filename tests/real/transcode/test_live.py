"""A real ffmpeg, a real socket: what arrives at the origin's door."""

import asyncio
import itertools
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from cdnkit.settings.ladder import Rung
from cdnkit.settings.transcode import Stream
from tests.kit.late import GUARD_S, Late, again
from tests.real.transcode.boxes import fragments, inside, timescale
from tests.real.transcode.sink import Sink
from transcode import process
from transcode.command import START
from transcode.events import Behind, Died, Drained, Ended, Event, LogLine, Progress, Started
from transcode.ffmpeg import Ffmpeg
from transcode.plan import Plan, prepare
from transcode.process import Backoff, run_live
from transcode.source import probe

pytestmark = pytest.mark.live

SMALL = (Rung("180p", 320, 180, 300_000, 64_000), Rung("90p", 160, 90, 100_000, 32_000))
FAST = Stream(preset="ultrafast", encoder="x264", segment=1.0, part=0.25, frame_rate=30)


def small(stream: Stream = FAST) -> Plan:
    """The plan of a stream with rungs two busy cores always keep up with."""
    return replace(prepare(stream), rungs=SMALL)


def encode(plan: Plan, sink: Sink, shutdown: asyncio.Event, events: list[Event], **more):  # type: ignore[no-untyped-def]
    return asyncio.create_task(
        run_live(plan.stream, sink.url, plan=plan, shutdown=shutdown, on_event=events.append, **more)
    )


def of_kind(events: list[Event], kind: type) -> list:
    return [event for event in events if isinstance(event, kind)]


async def run_to_end(plan: Plan) -> tuple[Sink, list[Event]]:
    events: list[Event] = []
    async with Sink() as sink, asyncio.timeout(2 * GUARD_S):
        await encode(plan, sink, asyncio.Event(), events)
        for post in sink.posts:
            await post.ended.wait()
    return sink, events


@pytest.fixture(scope="module")
def finite() -> tuple[Sink, list[Event]]:
    """Four seconds of test card, to its end."""
    return asyncio.run(run_to_end(small(FAST.model_copy(update={"duration": 4.0}))))


def test_one_chunked_post_per_track_that_ends_properly(finite: tuple[Sink, list[Event]]) -> None:
    sink, events = finite
    assert sorted(post.path for post in sink.posts) == [
        "/ingest/live/180p.cmfv",
        "/ingest/live/90p.cmfv",
        "/ingest/live/audio-32k.cmfa",
        "/ingest/live/audio-64k.cmfa",
    ]
    assert all(post.complete for post in sink.posts)
    assert all(post.chunks > 8 for post in sink.posts), "fragments are pushed as they are made"
    assert [type(event) for event in events if not isinstance(event, Progress)][-1] is Ended
    assert not of_kind(events, LogLine), "ffmpeg had nothing to complain of"


def test_segments_start_at_the_same_decode_time_in_every_rung(finite: tuple[Sink, list[Event]]) -> None:
    sink, _ = finite
    starts = {}
    for rung in SMALL:
        data = bytes(sink.of(rung.name)[0].body)
        assert timescale(data) == 30_000
        cut = [one for one in fragments(data) if one.starts_with_keyframe]
        starts[rung.name] = [one.first_decode_time / 30_000 for one in cut]
        assert all(one.composition_offsets[0] == 0 for one in cut), "presented when it is decoded"
    assert starts["180p"] == [START + second for second in range(4)]
    assert starts["90p"] == starts["180p"]


def test_keyframes_stand_nowhere_else(finite: tuple[Sink, list[Event]], tmp_path: Path) -> None:
    import av

    sink, _ = finite
    for rung in SMALL:
        (tmp_path / "track.mp4").write_bytes(sink.of(rung.name)[0].body)
        with av.open(str(tmp_path / "track.mp4")) as container:
            packets = [packet for packet in container.demux(video=0) if packet.size]
        keys = [number for number, packet in enumerate(packets) if packet.is_keyframe]
        assert len(packets) == 120
        assert keys == [0, 30, 60, 90]


def test_decode_times_go_on_without_a_gap(finite: tuple[Sink, list[Event]]) -> None:
    sink, _ = finite
    for post in sink.posts:
        made = fragments(bytes(post.body))
        for before, after in itertools.pairwise(made):
            assert after.first_decode_time == before.end, post.track


def test_parts_are_no_longer_than_asked(finite: tuple[Sink, list[Event]]) -> None:
    sink, _ = finite
    for rung in SMALL:
        lengths = {sum(one.durations) for one in fragments(bytes(sink.of(rung.name)[0].body))}
        # 250 ms are seven and a half frames: seven, and two at the end of a second.
        assert lengths == {7_000, 2_000}
    audio = fragments(bytes(sink.of("audio-64k")[0].body))
    assert {len(one.durations) for one in audio[:-1]} == {4}


def test_sound_and_picture_share_one_timeline(finite: tuple[Sink, list[Event]]) -> None:
    sink, _ = finite
    audio = bytes(sink.of("audio-64k")[0].body)
    assert timescale(audio) == 48_000
    # The encoder's 1024 samples of priming lie before the picture's first frame, where they belong.
    assert fragments(audio)[0].first_decode_time == START * 48_000 - 1024
    for post in sink.posts:
        assert not list(inside(bytes(post.body), "moov/trak/edts")), "no edit list to disagree about"


def test_what_was_posted_decodes_without_a_warning(
    finite: tuple[Sink, list[Event]], ffmpeg: Ffmpeg, tmp_path: Path
) -> None:
    sink, _ = finite
    for post in sink.posts:
        track = tmp_path / post.path.rpartition("/")[2]
        track.write_bytes(post.body)
        done = subprocess.run(
            [ffmpeg.path, "-v", "warning", "-nostdin", "-i", track, "-f", "null", "-"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        assert done.stderr == "", post.track


def test_progress_reaches_the_end(finite: tuple[Sink, list[Event]]) -> None:
    _, events = finite
    last = of_kind(events, Progress)[-1]
    assert last.frame == 120
    assert last.media_time == pytest.approx(4.0, abs=0.1)


async def _shut_down_in_the_middle() -> tuple[Sink, list[Event], float]:
    events: list[Event] = []
    shutdown = asyncio.Event()
    async with Sink() as sink, asyncio.timeout(2 * GUARD_S):
        task = encode(small(), sink, shutdown, events)
        await sink.until(lambda: len(sink.posts) == 4 and all(post.chunks > 3 for post in sink.posts))
        asked = time.monotonic()
        shutdown.set()
        await task
        took = time.monotonic() - asked
        for post in sink.posts:
            await post.ended.wait()
    return sink, events, took


def test_shutdown_drains_every_body() -> None:
    def attempt() -> None:
        sink, events, took = asyncio.run(_shut_down_in_the_middle())
        assert all(post.complete for post in sink.posts)
        assert events[-1] == Drained("q")
        with pytest.raises(ProcessLookupError):
            os.kill(of_kind(events, Started)[0].pid, 0)
        if took >= 2.5:
            raise Late(f"it took {took:.1f} s")

    again(attempt)


async def _stuck() -> tuple[list[Event], float]:
    events: list[Event] = []
    shutdown = asyncio.Event()
    async with Sink() as sink, asyncio.timeout(2 * GUARD_S):
        task = encode(small(), sink, shutdown, events)
        await sink.until(lambda: len(sink.posts) == 4 and of_kind(events, Started))
        os.kill(of_kind(events, Started)[0].pid, signal.SIGSTOP)
        asked = time.monotonic()
        shutdown.set()
        await task
    return events, time.monotonic() - asked


def test_an_ffmpeg_that_does_not_answer_is_killed() -> None:
    def attempt() -> None:
        events, took = asyncio.run(_stuck())
        assert events[-1] == Drained("SIGKILL")
        if took >= 2.5:
            raise Late(f"it took {took:.1f} s")

    again(attempt)


async def _slow() -> list[Event]:
    """Half a second of a clock that runs twenty times too fast: whole windows at a twentieth of the speed."""
    events: list[Event] = []
    shutdown = asyncio.Event()

    def on_event(event: Event) -> None:
        events.append(event)
        if isinstance(event, Behind):
            shutdown.set()

    async with Sink() as sink, asyncio.timeout(2 * GUARD_S):
        plan = small()
        fast_clock = lambda: 20 * time.monotonic()  # noqa: E731
        await run_live(plan.stream, sink.url, plan=plan, shutdown=shutdown, on_event=on_event, clock=fast_clock)
    return events


def test_an_encoder_that_falls_behind_says_what_to_drop() -> None:
    behind = of_kind(asyncio.run(_slow()), Behind)
    assert behind[0].speed < 0.5
    assert 'drop rungs (ladder = ["90p"]) or try fewer frames a second' in str(behind[0])


def test_it_runs_on_uvloop_as_well() -> None:
    uvloop = pytest.importorskip("uvloop")
    sink, events, _ = uvloop.run(_shut_down_in_the_middle())
    assert all(post.complete for post in sink.posts)
    assert events[-1] == Drained("q")


async def _asked_to_stop_before_it_began() -> list[Event]:
    events: list[Event] = []
    shutdown = asyncio.Event()
    shutdown.set()
    plan = small()
    await run_live(plan.stream, "http://127.0.0.1:9", plan=plan, shutdown=shutdown, on_event=events.append)
    return events


def test_a_shutdown_before_the_start_starts_nothing() -> None:
    events = asyncio.run(_asked_to_stop_before_it_began())
    assert not of_kind(events, Started)
    assert events[-1] == Drained("q")


async def _killed(times: int) -> tuple[Sink, list[Event]]:
    events: list[Event] = []
    shutdown = asyncio.Event()
    async with Sink() as sink, asyncio.timeout(2 * GUARD_S):
        task = encode(small(), sink, shutdown, events, backoff=Backoff(first=0.01, longest=0.03))
        for life in range(1, times + 1):
            await sink.until(lambda life=life: len(sink.posts) == 4 * life and sink.posts[-1].chunks > 0)
            os.kill(of_kind(events, Started)[-1].pid, signal.SIGKILL)
        await sink.until(lambda: len(sink.posts) == 4 * (times + 1) and sink.posts[-1].chunks > 0)
        shutdown.set()
        await task
        for post in sink.posts:
            await post.ended.wait()
    return sink, events


def test_a_dead_ffmpeg_is_started_again_with_back_off() -> None:
    sink, events = asyncio.run(_killed(3))
    assert [(event.status, event.retry_in) for event in of_kind(events, Died)] == [
        (-9, 0.01),
        (-9, 0.02),
        (-9, 0.03),  # the longest
    ]
    assert [event.attempt for event in of_kind(events, Started)] == [1, 2, 3, 4]
    assert [post.complete for post in sink.posts] == [False] * 12 + [True] * 4


async def _refused() -> list[Event]:
    events: list[Event] = []
    shutdown = asyncio.Event()
    async with Sink() as sink:
        plan = small()
        nobody = sink.url
    async with asyncio.timeout(2 * GUARD_S):

        def on_event(event: Event) -> None:
            events.append(event)
            if len(of_kind(events, Died)) == 2:
                shutdown.set()

        await run_live(
            plan.stream, nobody, plan=plan, shutdown=shutdown, on_event=on_event, backoff=Backoff(first=0.01)
        )
    return events


def test_an_origin_that_is_down_is_named_and_tried_again() -> None:
    events = asyncio.run(_refused())
    died = of_kind(events, Died)
    assert events[-1] == Drained("q"), "asked to stop while it waited"
    assert len(died) == 2
    assert "Connection refused" in died[0].why
    assert "starting again in 0.01 s" in str(died[0])


async def _broken_by_the_origin() -> list[Event]:
    events: list[Event] = []
    shutdown = asyncio.Event()
    async with Sink() as sink, asyncio.timeout(2 * GUARD_S):
        task = encode(small(), sink, shutdown, events, backoff=Backoff(first=0.01))
        await sink.until(lambda: len(sink.posts) == 4 and sink.posts[-1].chunks > 0)
        sink.break_all()
        await sink.until(lambda: len(sink.posts) == 8)
        shutdown.set()
        await task
    return events


def test_a_broken_post_restarts_the_whole_encoder() -> None:
    events = asyncio.run(_broken_by_the_origin())
    assert len(of_kind(events, Died)) == 1
    assert of_kind(events, Died)[0].status > 0


async def _away_and_back(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    events: list[Event] = []
    shutdown, seen_away = asyncio.Event(), asyncio.Event()
    looked = process._listens

    async def look(url: str) -> bool:
        listening = await looked(url)
        if not listening:
            seen_away.set()
        return listening

    monkeypatch.setattr(process, "_listens", look)
    async with asyncio.timeout(2 * GUARD_S):
        async with Sink() as origin:
            port = int(origin.url.rpartition(":")[2])
            task = encode(small(), origin, shutdown, events, backoff=Backoff(first=600))
            await origin.until(lambda: len(origin.posts) == 4 and origin.posts[-1].chunks > 0)
        await seen_away.wait()
        async with Sink(port) as origin:
            await origin.until(lambda: len(origin.posts) == 4 and origin.posts[-1].chunks > 0)
            shutdown.set()
            await task
    return events


def test_an_origin_that_is_back_does_not_wait_for_the_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    events = asyncio.run(_away_and_back(monkeypatch))
    assert [event.retry_in for event in of_kind(events, Died)] == [600]
    assert [event.attempt for event in of_kind(events, Started)] == [1, 2]


async def _cancelled() -> int:
    events: list[Event] = []
    async with Sink() as sink, asyncio.timeout(2 * GUARD_S):
        task = encode(small(), sink, asyncio.Event(), events)
        await sink.until(lambda: len(sink.posts) == 4 and of_kind(events, Started))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    return of_kind(events, Started)[0].pid


def test_a_cancelled_run_leaves_no_ffmpeg() -> None:
    with pytest.raises(ProcessLookupError):
        os.kill(asyncio.run(_cancelled()), 0)


SUPERVISED = Stream(ladder=("360p",), preset="ultrafast", encoder="x264", frame_rate=10)


async def _supervised(number: int) -> tuple[Sink, int]:
    """What arrived, and the supervisor's exit status; returns when its ffmpeg is gone, and fails if it stays.

    The supervisor is the process that `cdnlab up` starts for a stream.
    """
    async with Sink() as sink, asyncio.timeout(2 * GUARD_S):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "cdnlab.lab.children", "transcode",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        assert child.stdin is not None and child.stdout is not None
        settings = {"stream": SUPERVISED.model_dump(mode="json"), "ingest": sink.url}
        child.stdin.write(f"{json.dumps(settings)}\n".encode())
        while json.loads(await child.stdout.readline()).get("event") != "Started":
            pass
        (started,) = psutil.Process(child.pid).children()
        # A handle on the process, not its number: sockets close a moment before a killed process is gone.
        ffmpeg = os.pidfd_open(started.pid)
        await sink.until(lambda: len(sink.posts) == 2 and sink.posts[0].chunks > 0)
        child.send_signal(number)
        status = await child.wait()
        for post in sink.posts:
            await post.ended.wait()
    ended, _, _ = select.select([ffmpeg], [], [], 5.0)
    os.close(ffmpeg)
    assert ended, "an orphan"
    return sink, status


linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills the children of a killed parent")


@linux
def test_ffmpeg_dies_with_a_supervisor_that_is_killed() -> None:
    sink, _ = asyncio.run(_supervised(signal.SIGKILL))
    assert not any(post.complete for post in sink.posts), "the origin must see an interruption, not an end"


@linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_supervisor_drains(number: int) -> None:
    sink, status = asyncio.run(_supervised(number))
    assert status == 0
    assert all(post.complete for post in sink.posts)


def test_a_looped_file_without_sound_goes_on_in_time_with_silence(ffmpeg: Ffmpeg, clip) -> None:  # type: ignore[no-untyped-def]
    one_second = clip("one.mp4", seconds=1, sound=False)
    stream = FAST.model_copy(update={"source": str(one_second), "duration": 3.0})
    assert probe(stream.source).audio_index is None
    sink, _ = asyncio.run(run_to_end(small(stream)))
    video = fragments(bytes(sink.of("180p")[0].body))
    audio = fragments(bytes(sink.of("audio-64k")[0].body))
    assert video[-1].end / 30_000 == START + 3
    assert audio[-1].end / 48_000 == pytest.approx(START + 3, abs=0.03)
    assert [one.first_decode_time // 30_000 for one in video if one.starts_with_keyframe] == [10, 11, 12]


def test_a_file_that_is_not_looped_ends_the_stream(clip) -> None:  # type: ignore[no-untyped-def]
    stream = FAST.model_copy(update={"source": str(clip("short.mp4", seconds=1)), "loop": False})
    sink, events = asyncio.run(run_to_end(small(stream)))
    assert isinstance(events[-1], Ended)
    assert all(post.complete for post in sink.posts)
    assert fragments(bytes(sink.of("180p")[0].body))[-1].end / 30_000 == pytest.approx(START + 1, abs=0.05)


@pytest.mark.parametrize("late", ["picture", "sound"])
def test_a_late_picture_or_sound_starts_with_the_stream(late: str, clip, ffmpeg: Ffmpeg, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    whole, shifted = clip("whole.mkv", seconds=2), tmp_path / "late.mkv"
    first, second = ("0:a", "1:v") if late == "picture" else ("0:v", "1:a")
    subprocess.run(
        [ffmpeg.path, "-v", "error", "-nostdin", "-i", whole, "-itsoffset", "0.4", "-i", whole,
         "-map", first, "-map", second, "-c", "copy", "-t", "2", shifted],
        stdin=subprocess.DEVNULL, check=True, timeout=60,
    )  # fmt: skip
    stream = FAST.model_copy(update={"source": str(shifted), "duration": 1.0})
    sink, _ = asyncio.run(run_to_end(small(stream)))
    assert fragments(bytes(sink.of("180p")[0].body))[0].first_decode_time == START * 30_000
    assert fragments(bytes(sink.of("audio-64k")[0].body))[0].first_decode_time == START * 48_000 - 1024
