"""SCTE-35 in an MPD: which events date ranges have, and where a Period lists them."""

from xml.etree import ElementTree

from cdnkit.dash.xml import Xml
from origin.dash.events import Event, event_stream, events_of
from origin.dash.mpd import manifest
from origin.hls.playlist import date_time
from origin.hls.schedule import Schedule, Span
from tests.unit.origin.dash.test_mpd import DYNAMIC, NOW, TIMING, settled, windows

SPAN = Span(NOW, NOW + 60)

LISTED = """\
  <Period id="3-41" start="PT0S">
    <EventStream schemeIdUri="urn:scte:scte35:2014:xml+bin" timescale="1000">
      <Event presentationTime="0" id="8">
        <Signal xmlns="http://www.scte.org/schemas/35/2016">
          <Binary>/DA=</Binary>
        </Signal>
      </Event>
      <Event presentationTime="1500" duration="30000" id="7">
        <Signal xmlns="http://www.scte.org/schemas/35/2016">
          <Binary>/AA=</Binary>
        </Signal>
      </Event>
    </EventStream>
"""


def test_a_splice_is_an_event_at_its_start_and_one_at_its_end() -> None:
    schedule = Schedule()
    for id, values in (
        ("splice", {"PLANNED-DURATION": 30, "SCTE35-OUT": "0xFC00"}),
        ("command", {"DURATION": 0, "SCTE35-CMD": "0xFC30"}),
        ("score", {"CLASS": "com.example.score", "X-SCORE": "2:1"}),
    ):
        schedule = schedule.put(id, {"START-DATE": date_time(NOW + 10), **values}, SPAN, NOW)
    out, command = events_of(schedule)
    assert (out.at, out.duration, out.section) == (NOW + 10, 30.0, b"\xfc\x00")
    assert (command.at, command.duration, command.section) == (NOW + 10, 0.0, b"\xfc\x30")
    ended = schedule.put("splice", {"DURATION": 20, "SCTE35-IN": "0xFC01"}, SPAN, NOW + 30)
    out_then, back, _ = events_of(ended)
    assert (out_then.id, out_then.at, out_then.duration) == (out.id, NOW + 10, 20.0)
    assert (back.at, back.duration, back.section) == (NOW + 30, None, b"\xfc\x01")
    assert len({one.id for one in events_of(ended)}) == 3


def test_a_manifest_with_events_to_the_letter() -> None:
    """The Period begins at the tenth second of decode time, whose date is ten seconds after `NOW`."""
    tracks, began = windows(), NOW + 10
    events = [
        Event(7, began + 1.5, 30.0, b"\xfc\x00"),
        Event(8, began, None, b"\xfc\x30"),
        Event(9, began - 1, 1.0, b""),
    ]
    for numbers in (False, True):
        found = manifest(
            settled(tracks), tracks, TIMING, NOW, published="2026-09-21T13:40:00.000Z", ended=False, numbers=numbers,
            events=events,
        )  # fmt: skip
        assert found is not None
        assert LISTED in found
        if not numbers:
            assert found.replace(LISTED, LISTED.splitlines(keepends=True)[0]) == DYNAMIC


def test_each_event_is_in_the_period_that_it_falls_into() -> None:
    events = [Event(n, NOW + n, None, b"") for n in range(4)]

    def listed(began: float, until: float | None) -> list[str | None]:
        xml = Xml()
        xml.open("Period")
        event_stream(xml, events, NOW + began, None if until is None else NOW + until)
        xml.close()
        return [one.get("id") for one in ElementTree.fromstring(xml.text()).iter("Event")]

    assert listed(0, 2) == ["0", "1"]
    assert listed(2, 2.5) == ["2"]
    assert listed(2.5, 2.9) == []
    assert listed(2.5, None) == ["3"], "what is to come is in the one that goes on"
