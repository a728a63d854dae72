"""What tracks hold without a request: counted, never for longer than it is held, and the greediest is broken off."""

import logging

import pytest

from origin.ingest.memory import Memory
from origin.ingest.parked import Parked
from origin.live.feeds import Sender
from origin.live.reception import Way
from origin.live.session import State
from origin.live.stream import Stream
from tests.unit.origin.live.test_stream import NOW, video, video_init


def fed(name: str, seconds: float) -> Stream:
    """A stream of segments of ten seconds, to which a sender has sent less by a request."""
    stream = Stream(name, length=10.0, target=10, largest=2**26)
    sender = stream.feeds.expect(Sender("720p", video_init(), Way.ENDLESS, lambda: None, NOW))
    stream.feeds.keep(sender, "a connection")
    for fragment in video(seconds):
        stream.feeds.push(sender, fragment, NOW)
    return stream


def test_it_counts_until_it_is_published_or_a_request_counts_it() -> None:
    stream, memory = fed("live", 4.0), Memory(2**26)
    parked = Parked(memory, lambda: NOW)
    parked.park(stream, "720p")
    assert memory.taken == stream.memory_of("720p") > 0
    parked.release(stream, "720p")
    assert memory.taken == 0
    parked.park(stream, "720p")
    parked.park(stream, "720p")
    assert memory.taken == stream.memory_of("720p")
    stream.feeds.close(NOW)
    parked.tick()
    assert memory.taken == 0


def test_what_waits_for_a_segment_that_has_not_come_counts() -> None:
    stream = fed("live", 1.0)
    before, late = stream.memory_of("720p"), video(8.0)[-1]
    (sender,) = stream.feeds._kept["720p"].values()
    stream.feeds.push(sender, late, NOW)
    assert stream.memory_of("720p") == before + len(late.data)


def test_the_track_that_holds_most_is_broken_off_and_its_samples_are_published(
    caplog: pytest.LogCaptureFixture,
) -> None:
    much, little = fed("much", 6.0), fed("little", 2.0)
    memory = Memory(much.memory_of("720p"))
    parked = Parked(memory, lambda: NOW)
    parked.park(much, "720p")
    with caplog.at_level(logging.WARNING):
        parked.park(little, "720p")
    assert memory.taken == little.memory_of("720p")
    (line,) = [one.getMessage() for one in caplog.records]
    assert line.startswith("much/720p: found ") and line.endswith("; the track is broken off")
    for stream in (much, little):
        stream.feeds.tick(NOW + 0.5)
    parked.tick()
    assert much.feeds.state_of("720p") is State.BROKEN
    assert much.accounts["720p"].published == much.accounts["720p"].received > 0
    assert much.memory_of("720p") == 0
    assert little.feeds.state_of("720p") is State.LIVE
    assert memory.taken == little.memory_of("720p")
