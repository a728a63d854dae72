"""Splices of an encoder as date ranges (HLS draft -22, 4.4.5.1.1)."""

from fractions import Fraction

from origin.hls.schedule import MOST, Schedule, Span
from origin.hls.splices import with_splices
from origin.media.splices import Point, Splice

AT = 1_790_000_000.0
SPAN = Span(AT, AT + 60)


def splice(point: Point, *, event: int = 7, duration: float | None = None, returns: bool = False) -> Splice:
    return Splice(Fraction(0), b"\xfc" + point.name.encode(), point, event, duration, returns)


class Channel:
    """A stream's schedule, and what was complained about."""

    def __init__(self) -> None:
        self.schedule = Schedule()
        self.complaints: list[str] = []

    def take(self, *dated: tuple[Splice, float], span: Span = SPAN) -> list[str]:
        due = [(one, AT + at) for one, at in dated]
        self.schedule = with_splices(self.schedule, due, span, span.end, self.complaints.append)
        return self.schedule.lines()


def test_out_and_in_are_one_date_range_however_many_tracks_bring_them() -> None:
    channel = Channel()
    out, back = (splice(Point.OUT, duration=30.0), 10.0), (splice(Point.IN), 40.5)
    (line,) = channel.take(out, out)
    assert line == (
        '#EXT-X-DATERANGE:ID="splice-00000007-1790000010000",START-DATE="2026-09-21T14:13:30.000Z",'
        "SCTE35-OUT=0xFC4F5554,PLANNED-DURATION=30"
    )
    before = channel.schedule
    channel.take(out, (out[0], 10.04))
    assert channel.schedule is before, "nothing to save, nothing to list"
    assert channel.take(back, back) == [f"{line},SCTE35-IN=0xFC494E,DURATION=30.5"]
    channel.take(out, back)
    assert channel.complaints == []


def test_numbers_of_events_are_used_again() -> None:
    channel = Channel()
    channel.take(
        (splice(Point.OUT), 10.0), (splice(Point.IN), 20.0), (splice(Point.OUT), 30.0), (splice(Point.IN), 45.0)
    )
    assert [(one.start - AT, one.end and one.end - AT) for one in channel.schedule.ranges] == [(10, 20), (30, 45)]


def test_a_break_that_returns_by_itself_has_its_end_and_a_section_that_says_it_again_is_kept() -> None:
    channel = Channel()
    (line,) = channel.take((splice(Point.OUT, duration=15.0, returns=True), 10.0))
    assert line.endswith("DURATION=15")
    assert channel.take((splice(Point.IN), 25.04)) == [f"{line},SCTE35-IN=0xFC494E"]
    assert channel.complaints == []


def test_a_splice_that_is_cancelled_is_not_listed() -> None:
    channel = Channel()
    assert len(channel.take((splice(Point.OUT), 70.0), (splice(Point.OUT, event=8), 30.0))) == 2
    assert len(channel.take((splice(Point.CANCEL), 60.0), (splice(Point.CANCEL, event=8), 60.0))) == 1, "one has begun"
    assert len(channel.take((splice(Point.OUT), 70.0))) == 1, "another track's copy does not bring it back"


def test_other_commands_are_instants() -> None:
    (line,) = Channel().take((splice(Point.OTHER), 10.0))
    assert 'START-DATE="2026-09-21T14:13:30.000Z",DURATION=0,SCTE35-CMD=0xFC4F54484552' in line


def test_an_end_without_a_beginning_is_a_complaint() -> None:
    channel = Channel()
    assert channel.take((splice(Point.IN), 10.0)) == []
    (complaint,) = channel.complaints
    assert "event 7" in complaint


def test_encoders_that_end_nothing_fill_nothing() -> None:
    """A channel whose breaks are only announced goes on for months."""
    channel = Channel()
    for number in range(3 * MOST):
        span = Span(AT + 60 * number, AT + 60 * number + 60)
        channel.take((splice(Point.OUT, event=number, duration=20.0), 60.0 * number + 30), span=span)
    assert channel.complaints == []
    assert len(channel.schedule.ranges) <= 3
