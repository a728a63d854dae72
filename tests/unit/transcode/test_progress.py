"""Reports, log lines, back-off and pace: text and numbers in, values out."""

import pytest

from transcode.events import Behind, Died, Drained, LogLine, Progress
from transcode.process import Backoff
from transcode.progress import Pace, Report, ReportReader, read_log_line


def test_a_report_is_what_stands_before_its_last_line() -> None:
    reader = ReportReader()
    lines = "frame=15\nfps=29.97\nbitrate= 690.6kbits/s\nout_time_us=500000\nspeed= 1.1x\nprogress=continue\n"
    made = [reader.line(line) for line in lines.splitlines()]
    assert made == [None] * 5 + [Report(15, 29.97, 0.5, last=False)]
    # Before the first packet ffmpeg knows no time, and before zero it shows a huge negative one.
    for unknown in ("N/A", "-577014:32:22.77", "-21333"):
        reader.line(f"out_time_us={unknown}")
        assert reader.line("progress=end") == Report(0, 0.0, 0.0, last=True)


LOG = [
    ("[http @ 0x55d0c0] [error] HTTP error 404 Not Found", LogLine("error", "http: HTTP error 404 Not Found")),
    ("[out#0/mp4 @ 0x55] [fatal] Error opening", LogLine("fatal", "out#0/mp4: Error opening")),
    ("[error] /x.mp4: No such file", LogLine("error", "/x.mp4: No such file")),
    ("[aost#1:0/aac @ 0x5603eafe0940] [warning] x", LogLine("warning", "aost#1:0/aac: x")),
    ("  Metadata: without a level", LogLine("info", "Metadata: without a level")),
]


@pytest.mark.parametrize(("line", "then"), LOG)
def test_log_lines(line: str, then: LogLine) -> None:
    assert read_log_line(line) == then


BACKOFF = [
    # ran for                     waits
    ([0, 0, 0, 0, 0, 0, 0], [0.5, 1, 2, 4, 8, 15, 15]),
    ([0, 0, 0, 21, 0, 0], [0.5, 1, 2, 0.5, 1, 2]),  # it ran well in between
    ([300, 300, 300], [0.5, 0.5, 0.5]),
]


@pytest.mark.parametrize(("ran_for", "waits"), BACKOFF)
def test_back_off(ran_for: list[float], waits: list[float]) -> None:
    backoff = Backoff()
    assert [backoff.after(seconds) for seconds in ran_for] == waits
    backoff.reset()
    assert backoff.after(0) == 0.5


def complaints(speeds: list[tuple[int, float]]) -> list[int]:
    """The seconds at which it complains, given (until, speed) rows and a report every half second."""
    pace, media, at, told = Pace(), 0.0, 0.0, []
    for until, speed in speeds:
        while at < until:
            measured = pace.speed(at, media)
            if pace.complaint(at, measured, "drop rungs"):
                told.append(int(at))
            at += 0.5
            media += 0.5 * speed
    return told


PACE = [
    ([(120, 1.0)], []),
    ([(120, 0.99)], []),
    ([(100, 0.97)], [10, 40, 70]),  # after a full window, then every half minute
    ([(60, 1.0), (63, 0.5), (100, 1.2)], [60]),  # three seconds at half speed are 1.5 s lost
    ([(1, 0.0), (60, 1.15)], []),  # a second to start, then catching up
    ([(3600, 1.0), (3640, 0.9)], [3602, 3632]),  # ffmpeg's own average still says 0.999
]


@pytest.mark.parametrize(("speeds", "then"), PACE)
def test_pace(speeds: list[tuple[int, float]], then: list[int]) -> None:
    assert complaints(speeds) == then


def test_events_read_as_sentences() -> None:
    assert str(Died(-9, "without a word", 0.5)) == ("ffmpeg died (signal 9: without a word); starting again in 0.5 s")
    assert str(Behind(0.8, 'drop rungs (ladder = ["360p"])')) == (
        'the encoder cannot keep up (0.80x of real time): drop rungs (ladder = ["360p"])'
    )
    assert str(Drained("q")) == "drained"
    assert str(Progress(90, 30.0, 1.0, 3.0, 0.5, 3.0)) == "50% frame 90, 30.0 frames/s, 1.00x, 3 s to go"
