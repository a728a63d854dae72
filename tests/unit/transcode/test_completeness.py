"""Limits of what a transcode judges, each with a row on it: whole renditions, a full disk, pace, what ends an ffmpeg."""

import asyncio
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from transcode.child import Exit, Patience, run
from transcode.completeness import box_starts, is_full, lacking
from transcode.encoders import Encoder
from transcode.events import Died, Drained, Event, LogLine, Progress, Started
from transcode.progress import Pace, Report
from transcode.vod import _Watch

BOX = b"\0\0\0\x08free"

FILES = [  # what is in a file            is a row of whole boxes
    (b"", False),
    (BOX, True),
    (BOX * 3, True),
    (BOX + b"\0\0\0\x09free", False),  # a byte is missing
    (BOX + b"\0\0\0\x09freex", True),
    (b"\0\0\0\x07free", False),  # shorter than its own head
    (BOX + b"\0\0", False),
]


@pytest.mark.parametrize(("data", "whole"), FILES)
def test_a_row_of_whole_boxes(data: bytes, whole: bool, tmp_path: Path) -> None:
    (tmp_path / "seg-0.m4s").write_bytes(data)
    assert bool(box_starts(tmp_path / "seg-0.m4s")) is whole
    assert not box_starts(tmp_path / "seg-1.m4s") and not box_starts(tmp_path)


LENGTHS = [  # seconds made     said of a playlist of 3.5 s
    (3.0, []),
    (4.0, []),  # half a second: sound and picture seldom end together
    (4.25, ["a/media.m3u8 is 3.5 s long, not 4.2 s"]),
]


@pytest.mark.parametrize(("media_time", "said"), LENGTHS)
def test_a_playlist_may_be_half_a_second_short(media_time: float, said: list[str], tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "seg-0.m4s").write_bytes(BOX)
    text = "#EXTM3U\n#EXTINF:2.000000,\nseg-0.m4s\n\n#EXTINF:1.500000,\nseg-0.m4s\n#EXT-X-ENDLIST\n"
    (tmp_path / "a" / "media.m3u8").write_text(text)
    assert lacking(tmp_path, [["a/media.m3u8"]], media_time) == said


KINDS = [  # seconds of two videos, of a sound, that were made        what is lacking
    ((4.0, 4.0), 4.0, 4.0, []),
    ((4.0, 4.0), 2.0, 4.0, []),  # a source whose sound ends first, and whose header does not say so
    ((2.0, 2.0), 4.0, 4.0, []),
    ((4.0, 3.0), 4.0, 4.0, ["b/media.m3u8 is 3.0 s long, not 4.0 s"]),
    (
        (3.0, 3.0),
        3.0,
        4.0,
        [f"{name}/media.m3u8 is 3.0 s long, not 4.0 s" for name in "abc"],
    ),
]


@pytest.mark.parametrize(("videos", "sound", "media_time", "said"), KINDS)
def test_playlists_of_one_kind_are_equally_long(
    videos: tuple[float, float], sound: float, media_time: float, said: list[str], tmp_path: Path
) -> None:
    for name, length in zip("abc", (*videos, sound), strict=True):
        (tmp_path / name).mkdir()
        (tmp_path / name / "seg-0.m4s").write_bytes(BOX)
        text = f"#EXTM3U\n#EXTINF:{length},\nseg-0.m4s\n#EXT-X-ENDLIST\n"
        (tmp_path / name / "media.m3u8").write_text(text)
    kinds = [["a/media.m3u8", "b/media.m3u8"], ["c/media.m3u8"]]
    assert lacking(tmp_path, kinds, media_time) == said


DISKS = [  # blocks free   of          of bytes each    full
    (1_000_000, 10**12, 1, False),
    (999_999, 10**12, 1, True),
    (500, 10**12, 2_000, False),  # a megabyte in blocks
    (499, 10**12, 2_000, True),
    (1_000, 100_000, 1, False),  # one per cent of a small disk
    (999, 100_000, 1, True),
    (0, 0, 1, False),  # a file system that does not say
]


@pytest.mark.parametrize(("free", "blocks", "size", "full"), DISKS)
def test_a_full_disk(free: int, blocks: int, size: int, full: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = SimpleNamespace(f_bavail=free, f_frsize=size, f_blocks=blocks)
    monkeypatch.setattr(os, "statvfs", lambda folder: disk)
    assert is_full(Path("/")) is full


def test_speed_is_measured_over_the_last_ten_seconds_and_judged_when_they_are_full() -> None:
    pace = Pace()
    assert pace.complaint(0.0, 0.0, "x") is None, "nothing is known yet"
    assert pace.speed(100.0, 0.0) == 0.0
    assert pace.speed(105.0, 5.0) == 1.0
    assert pace.complaint(105.0, 0.5, "x") is None, "half a window"
    assert pace.speed(110.0, 5.0) == 0.5
    assert pace.complaint(110.0, 0.98, "x") is None, "on the floor is not below it"
    told = pace.complaint(110.0, 0.5, "x")
    assert told is not None and told.speed == 0.5
    assert pace.speed(115.0, 5.0) == 0.0, "from 105 on: the youngest that is a whole window old"
    assert pace.complaint(139.9, 0.0, "x") is None
    assert pace.complaint(140.0, 0.0, "x") is not None, "again after thirty seconds"


def test_progress_of_a_vod_is_a_fraction_that_is_one_only_at_the_end() -> None:
    told: list[Event] = []
    now = 0.0
    watch = _Watch(10.0, told.append, lambda: now)
    for at, media in ((0.0, 0.0), (1.0, 2.0), (5.0, 10.0), (5.5, 11.0)):
        now = at
        watch.on_report(Report(int(30 * media), 30.0, media, last=False))
    watch.finish()
    seen = [one for one in told if isinstance(one, Progress)]
    assert [one.fraction for one in seen] == [0.0, 0.2, 0.999, 0.999, 1.0]
    assert [one.eta for one in seen] == [None, 4.0, 0.0, 0.0, 0.0]
    assert [one.speed for one in seen] == [0.0, 2.0, 2.0, 2.0, 2.0]
    assert watch.media_time == 11.0


WORDS: list[tuple[Event, str]] = [
    (Drained("q"), "drained"),
    (Drained("SIGTERM"), "stopped with SIGTERM"),
    (Died(-9, "x", 0.5), "ffmpeg died (signal 9: x); starting again in 0.5 s"),
    (Died(0, "x", 15.0), "ffmpeg died (exit status 0: x); starting again in 15 s"),
    (Started(7, ("ffmpeg", "-i", "a b")), "ffmpeg -i 'a b'"),
]


@pytest.mark.parametrize(("event", "words"), WORDS)
def test_words_of_events(event: Event, words: str) -> None:
    assert str(event) == words
    assert not isinstance(event, Started) or event.attempt == 1


def test_an_encoders_cost_is_its_own() -> None:
    assert Encoder("nvenc", "h264_nvenc").relative_cost("veryfast") == 0.1
    assert Encoder("x264", "libx264").relative_cost("veryfast") == 1.0


# ---- what ends a program ---------------------------------------------------------------------------------------------

READY = "import signal, sys, time\nprint('progress=continue', flush=True)\n"
PROGRAMS = [  # what it does when it is to stop                                                     then
    (READY + "sys.stdin.read(1)", Exit(0, "q", ())),
    (READY + "time.sleep(600)", Exit(-15, "SIGTERM", ())),
    (
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + READY + "time.sleep(600)",
        Exit(-9, "SIGKILL", ()),
    ),
]


@pytest.mark.parametrize(("program", "then"), PROGRAMS, ids=[row[1].drained_by for row in PROGRAMS])
def test_the_kindest_way_that_works(program: str, then: Exit) -> None:
    async def drained() -> Exit:
        stop = asyncio.Event()
        gone = await run(
            [sys.executable, "-c", program],
            on_event=lambda event: None,
            on_report=lambda report: stop.set(),  # it is ready
            stop=stop,
            patience=Patience(
                60.0 if then.drained_by == "q" else 0.1, 60.0 if then.drained_by == "SIGTERM" else 0.1, 60.0
            ),
        )
        assert stop.is_set()
        return gone

    assert asyncio.run(drained()) == then


SAYS = [  # what it writes to its log                                            the errors, and why
    ("", (), "without a word"),
    ("[info] hello\\n[warning] hm", (), "without a word"),
    ("[error] first\\n[fatal] second\\n[panic] third\\n", ("first", "second", "third"), "first"),
    ("[error] no end of line", ("no end of line",), "no end of line"),
]


@pytest.mark.parametrize(("text", "errors", "why"), SAYS)
def test_why_it_ended(text: str, errors: tuple[str, ...], why: str) -> None:
    told: list[Any] = []
    program = f"import os, sys\nsys.stderr.write('{text}')\nsys.exit(3 if os.getsid(0) == os.getpid() else 4)"
    gone = asyncio.run(run([sys.executable, "-c", program], on_event=told.append, on_report=told.append))
    assert gone == Exit(3, "", errors), "in a session of its own, which a Ctrl-C does not reach"
    assert gone.why == why
    assert isinstance(told[0], Started) and told[0].command == (sys.executable, "-c", program)
    assert [one.text for one in told if isinstance(one, LogLine) and one.level in ("error", "fatal", "panic")] == [
        *errors
    ]
