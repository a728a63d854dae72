"""ffmpeg, mpv, GStreamer and streamlink read what an edge behind a shield gives them: every picture, all the sound.

Judged by the times that the media have in them, so that a busy machine fails nothing.
"""

import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from tests.kit.late import Late, again
from tests.outside.players.programs import READERS, Decoded, missing
from tests.outside.players.stage import LENGTH, RATE, SEGMENT, Stage

pytestmark = [pytest.mark.live, pytest.mark.long]

LIVE_S = 10
FRAME_S = 1 / RATE
SLACK_S = 0.5
"""The sound of mpv comes in pieces of a third of a second, and streamlink ends with a whole segment."""

STORED = [("VOD", "HLS"), ("ended", "HLS"), ("ended", "HLS in MPEG-TS"), ("ended", "DASH")]
LIVE_HLS = [("live", "HLS"), ("live", "HLS in MPEG-TS")]
PLAYED = {
    # It loses its place in a live timeline whose sound is not cut at whole seconds.
    "ffmpeg": [*STORED, *LIVE_HLS, ("live", "DASH by numbers")],
    # The same, and here it reads ahead of what is there, where its DASH knows no waiting.
    "mpv": [*STORED, *LIVE_HLS],
    # It does not find its place in a live timeline that begins later than its Period (1.22).
    # Where HLS has subtitles, gst-launch waits for a sink of theirs for ever.
    "GStreamer": [
        *(what for what in STORED if what != ("ended", "HLS")),
        *LIVE_HLS,
        ("live", "DASH by numbers"),
    ],
    "streamlink": [*STORED, *LIVE_HLS, ("live", "DASH")],
}

ROWS = [(program, *what) for program in READERS for what in PLAYED[program]]


@pytest.fixture(scope="module")
def live(
    stage: Stage, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[tuple[str, ...], Future[Decoded]]]:
    """The live ones of the rows that are to run, read at the same time: each takes as long as it plays."""
    names = " ".join(one.name for one in request.session.items)
    with ThreadPoolExecutor(len(ROWS)) as pool:
        yield {
            row: pool.submit(READERS[row[0]], stage.url(*row[1:]), LIVE_S, tmp_path_factory.mktemp("live"))
            for row in ROWS
            if row[1] == "live" and not missing(row[0]) and f"[{' '.join(row)}]" in names
        }


@pytest.mark.parametrize(("program", "kind", "protocol"), ROWS, ids=[" ".join(row) for row in ROWS])
def test_a_program_reads(
    stage: Stage, program: str, kind: str, protocol: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if why := missing(program):
        pytest.skip(why)
    seconds = LIVE_S if kind == "live" else None
    begun = [request.getfixturevalue("live")[program, kind, protocol]] if kind == "live" else []

    def attempt() -> None:
        try:
            found = begun.pop().result() if begun else READERS[program](stage.url(kind, protocol), seconds, tmp_path)
        except subprocess.TimeoutExpired as late:
            raise Late(str(late)) from late
        assert (found.status, found.complaints) == (0, [])
        check(found, seconds or LENGTH, exact=not (program == "GStreamer" and seconds))

    again(attempt)


def check(found: Decoded, seconds: float, *, exact: bool) -> None:
    """Pictures and sound of so many seconds, without a hole, and together."""
    pictures, sound = found.pictures, found.sound
    assert pictures and sound
    apart = pictures[0] - sound[0]  # streamlink and ffmpeg may begin the one a segment before the other
    for lasted, behind in ((pictures[-1] + FRAME_S - pictures[0], apart), (found.sound_end - sound[0], -apart)):
        whole, cut = pytest.approx(seconds, abs=SLACK_S), pytest.approx(seconds - behind, abs=SLACK_S)
        assert lasted == whole or (behind > 0 and lasted == cut)  # ffmpeg ends both at the same time
    assert apart - SEGMENT * round(apart / SEGMENT) == pytest.approx(0, abs=2 * FRAME_S if exact else SLACK_S)
    if exact:
        # The decoder of ffmpeg 5.1, which mpv uses, keeps the last picture but one where it ends with DASH.
        assert longest_step(pictures[:-1]) < 1.5 * FRAME_S
        assert len(pictures) >= round((pictures[-1] - pictures[0]) / FRAME_S)
        usual = (sound[-1] - sound[0]) / (len(sound) - 1)
        assert longest_step(sound) < 1.5 * usual, "a hole"


def longest_step(times: list[float]) -> float:
    return max(later - one for one, later in pairwise(times))
